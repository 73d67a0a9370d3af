"""Whether a store is whole: every digest, every pointer, every body.

Works over any store. Refuses to mend what it finds: a fault is a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ccproxy.errors import StoreError
from ccproxy.protocol.parts import digest, node_digest, normalised
from ccproxy.stores import compression
from ccproxy.stores.contract import Packed, Store

PAGE = 500
SIDES = ("request", "sent", "response")


def faults(store: Store, looked_at: Callable[[str], object]) -> Iterator[str]:
    """Yield a sentence for each fault; call `looked_at` with part, node or exchange for each that was looked at."""
    for pointer, count in store.dangling().items():
        yield f"{pointer}: {count} rows point at something that is not in the store"
    for part in store.parts():
        looked_at("part")
        yield from _part_faults(part)
    for node, parent, message in store.tree():
        looked_at("node")
        if node_digest(parent, message) != node:
            yield f"node {node.hex()}: its digest is not that of its parent and message"
    for exchange in _ids(store):
        looked_at("exchange")
        yield from _exchange_faults(store, exchange)


def _part_faults(part: Packed) -> Iterator[str]:
    name = f"part {part.digest.hex()}"
    try:
        text = compression.decompress(part.encoding, part.data)
    except StoreError as error:
        yield f"{name}: {error}"
        return
    if len(text) != part.size:
        yield f"{name}: it has {len(text)} bytes of {part.size}"
    elif part.digest not in (digest(normalised(text)), digest(text)):  # the latter: templates of header lists
        yield f"{name}: its digest is not that of its text"


def _exchange_faults(store: Store, exchange: str) -> Iterator[str]:
    for side in SIDES:
        try:
            store.body(exchange, side)
            store.headers(exchange, side)
        except StoreError as error:
            yield f"exchange {exchange}: {error}"
        except StopIteration:
            yield f"exchange {exchange}: the headers of its {side} have a value too few"


def _ids(store: Store) -> Iterator[str]:
    before: str | None = None
    while rows := store.exchanges(limit=PAGE, before=before):
        yield from (row["id"] for row in rows)
        before = rows[-1]["id"]
