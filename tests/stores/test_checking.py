"""A check of the store: nothing to say of one that is whole, and a sentence for each fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccproxy.stores.checking import faults
from ccproxy.stores.sqlite import SqliteStore
from tests.support.entries import Session, captured, fill, stream

TEXT = {"type": "text", "text": "an answer of some words"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """Give a store with a session of some turns, and exchanges of other kinds."""
    store = SqliteStore(tmp_path / "store.db", write=True)
    others = [captured(900, b"no JSON", [b"x"]), captured(901, {"messages": []}, stream([TEXT])), captured(902)]
    fill(store, [*list(Session(tools=3, preamble_bytes=4000).exchanges(6)), *others])
    yield store
    store.close()


def found(store: SqliteStore) -> list[str]:
    """Return the faults of a store."""
    return list(faults(store, lambda _: None))


def test_a_whole_store_has_no_faults(store: SqliteStore) -> None:
    """Everything is looked at, and nothing is wrong."""
    seen: Counter[str] = Counter()
    assert list(faults(store, lambda kind: seen.update([kind]))) == []
    stats = store.stats()
    assert (seen["exchange"], seen["node"], seen["part"]) == (9, stats["nodes"], stats["blobs"])


DAMAGES = {
    "UPDATE blobs SET data = zeroblob(20), encoding = 'raw', size = 20 WHERE id = 3": "its digest is not that of its text",
    "UPDATE blobs SET data = zeroblob(20), encoding = 'raw' WHERE id = 3": "it has 20 bytes of",
    "UPDATE blobs SET data = zeroblob(20), encoding = 'zstd' WHERE id = 3": "cannot be unpacked",
    "UPDATE blobs SET encoding = 'lzma' WHERE id = 3": "an encoding of which this version knows nothing: lzma",
    "UPDATE nodes SET parent = NULL WHERE depth = 2": "its digest is not that of its parent and message",
    "DELETE FROM nodes WHERE depth = 1": "nodes.parent: 1 rows point at something that is not in the store",
    "DELETE FROM preambles": "exchanges.preamble: ",
    "DELETE FROM blobs WHERE digest IN (SELECT template FROM headers)": "headers.template: ",
    "DELETE FROM exchanges WHERE id = (SELECT min(id) FROM exchanges)": "bodies.exchange: ",
    "UPDATE bodies SET data = substr(data, 1, 30)": "exchange ",
    "UPDATE bodies SET size = size + 1 WHERE rowid = 1": "is damaged: it has",
}


@pytest.mark.parametrize(("damage", "said"), DAMAGES.items())
def test_each_kind_of_damage_is_told(store: SqliteStore, damage: str, said: str) -> None:
    """What was changed behind the store's back is found, and named."""
    assert store.db.execute(damage).rowcount > 0
    assert any(said in fault for fault in found(store)), found(store)
