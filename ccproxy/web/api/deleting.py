"""Deleting, and saying what was kept.

Refuses to know what a deletion takes along.
"""

from __future__ import annotations

from ccproxy.stores.contract import Selection
from ccproxy.web.api.answering import ConflictError
from ccproxy.web.api.opening import Stores
from ccproxy.web.api.shapes import Deleted


async def delete(stores: Stores, selection: Selection) -> Deleted:
    """Delete what a selection means, all but exchanges that still run. Where nothing else is meant, that is a conflict."""
    counted = await stores.read(lambda store: store.count(selection), None)
    if counted is None:
        return Deleted(0, "nothing is captured yet")
    if counted.running and not counted.exchanges and not selection.everything:
        raise ConflictError(f"{_number(counted.running)} still running and kept; ask again when nothing of it runs")
    deleted = await stores.write(lambda store: store.delete(selection)) if counted.exchanges else 0
    message = f"{_number(deleted)} deleted"
    if counted.running:
        message += f"; {_number(counted.running)} still running and kept"
    return Deleted(deleted, message)


def _number(count: int) -> str:
    return "1 exchange is" if count == 1 else f"{count} exchanges are"
