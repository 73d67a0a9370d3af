"""The stores behind the data API: opened when they are needed, and used in threads, one reader by one thread at a time.

Where nothing was captured yet there is no store to open, and that is no error. Refuses to know what is read.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ccproxy.errors import StoreError
from ccproxy.settings import Storage
from ccproxy.stores import choosing
from ccproxy.stores.contract import Store

T = TypeVar("T")
READERS = 4


class Stores:
    """Hands out stores. `read` opens one to read from, or None while there is none; `write` opens one to write to."""

    def __init__(self, read: Callable[[], Store | None], write: Callable[[], Store]) -> None:
        self._open_reader, self._open_writer = read, write
        self._idle: list[Store] = []
        self._threads = ThreadPoolExecutor(READERS, "store")

    async def read(self, question: Callable[[Store], T], nothing: T) -> T:
        """Ask a store in a thread; `nothing` is the answer while there is none."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, question, nothing)

    async def write(self, task: Callable[[Store], T]) -> T:
        """Have a thread do something to the store."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._do, task)

    def _ask(self, question: Callable[[Store], T], nothing: T) -> T:
        store = self._reader()
        if store is None:
            return nothing
        try:
            return question(store)
        except StoreError:
            store.close()  # whatever is wrong with it, the next one may find it well again
            store = None
            raise
        finally:
            if store is not None:
                self._idle.append(store)

    def _reader(self) -> Store | None:
        try:
            return self._idle.pop()
        except IndexError:
            return self._open_reader()

    def _do(self, task: Callable[[Store], T]) -> T:
        with contextlib.closing(self._open_writer()) as store:
            return task(store)

    def close(self) -> None:
        """Let go of all stores."""
        self._threads.shutdown()
        while self._idle:
            self._idle.pop().close()


def of_storage(storage: Storage) -> Stores:
    """Return the stores that the settings mean, which need not exist yet."""
    return Stores(lambda: choosing.open_if_there(storage), lambda: choosing.open_store(storage, write=True))
