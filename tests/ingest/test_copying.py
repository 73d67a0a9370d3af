"""From one store into another: everything arrives, byte for byte, however often it is interrupted."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from ccproxy.errors import StoreBusyError
from ccproxy.ingest import copying
from ccproxy.stores.checking import SIDES, faults
from ccproxy.stores.contract import Store
from tests.stores.test_same_answers import sessions
from tests.support import routed
from tests.support.entries import fill
from tests.support.homes import DIALECTS, home_in


def plain(value: Any) -> Any:
    """Return a value with what PostgreSQL cannot keep in texts replaced as it does that; bytes stay as they are."""
    if isinstance(value, str):
        return re.sub("[\0\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    return type(value)(plain(member) for member in value) if isinstance(value, list | tuple) else value


def told(store: Store) -> dict[str, Any]:
    """Return everything that a store tells about every exchange."""
    found = {}
    for row in store.exchanges(limit=1000):
        exchange = row["id"]
        sides = {side: (store.body(exchange, side), store.headers(exchange, side)) for side in SIDES}
        trees = {name: store.conversation(row[name]) for name in ("tip", "reply")}
        found[exchange] = plain((row, sides, trees, store.timeline(exchange)))
    return found


@pytest.mark.parametrize(("here", "there"), list(itertools.product(DIALECTS, DIALECTS)))
def test_everything_arrives(tmp_path: Path, here: str, there: str) -> None:
    """Rows, bodies, headers, conversations and times are the same; the new store is whole."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with home_in(here, tmp_path / "a") as old, home_in(there, tmp_path / "b") as new:
        source, target = old.open(), new.open()
        fill(source, list(sessions()))
        ended = {key: value for key, value in told(source).items() if value[0]["state"] != "open"}
        assert set(copying.copy(source, target)) == set(ended)
        assert told(target) == ended
        assert list(faults(target, lambda _: None)) == []
        assert len(list(copying.copy(source, target))) == len(ended)
        assert told(target) == ended


@pytest.mark.parametrize(("here", "there"), list(itertools.product(DIALECTS, DIALECTS)))
def test_what_was_routed_arrives(tmp_path: Path, here: str, there: str) -> None:
    """Columns, the translated request, the provider's own bytes and the message that they came to are the same afterwards."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with home_in(here, tmp_path / "a") as old, home_in(there, tmp_path / "b") as new:
        source, target = old.open(), new.open()
        routed.fill(source)
        list(copying.copy(source, target))
        assert told(target) == told(source)
        assert list(faults(target, lambda _: None)) == []
        packed = "SELECT side, encoding, count(*) FROM bodies GROUP BY side, encoding ORDER BY side, encoding"
        assert {*new.run(packed)} >= {("sent", "request", 5)}
        assert target.body(routed.id_of(103), "sent") == routed.by_number()[103].sent
        assert target.exchange(routed.id_of(103))["agent_name"] == "code-reviewer"


def test_it_goes_on_where_it_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that broke off anywhere leaves a whole store, and the next one brings the rest."""
    monkeypatch.setattr(copying, "BATCH", 3)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with home_in("sqlite", tmp_path / "a") as old, home_in("sqlite", tmp_path / "b") as new:
        source = old.open()
        fill(source, list(sessions()))
        for written in (1, 2, 3):
            target = new.open()
            write, calls = target.write, itertools.count(1)

            def stop(*arguments: Any, write: Any = write, calls: Any = calls, last: int = written) -> None:
                if next(calls) > last:
                    raise StoreBusyError("somebody pulled the plug")
                write(*arguments)

            monkeypatch.setattr(target, "write", stop)
            with pytest.raises(StoreBusyError):
                list(copying.copy(source, target))
            assert list(faults(target, lambda _: None)) == []
        finished = new.open()
        list(copying.copy(source, finished))
        assert told(finished) == {key: value for key, value in told(source).items() if value[0]["state"] != "open"}
