"""A listener's queue: bounded, filtered, and honest about what it lost."""

from __future__ import annotations

import asyncio

import pytest

from ccproxy.live.listener import Change, Listener, Wanted


def _change(number: int, size: int = 10, session: str | None = None, agent: str | None = None) -> Change:
    return Change(number, "text", b"x" * size, session, agent)


def _snapshot(number: int) -> Change:
    return Change(number, "snapshot", b"{}")


async def _all(listener: Listener, count: int) -> list[tuple[int, str]]:
    found = []
    for _ in range(count):
        change = await listener.next()
        assert change is not None
        found.append((change.number, change.name))
    return found


async def test_the_snapshot_comes_first() -> None:
    """Nothing is told before the snapshot, and everything after it."""
    listener = Listener(Wanted())
    listener.offer([_change(1)])
    assert listener.waits_for_snapshot
    listener.show(_snapshot(2))
    listener.offer([_change(3), _change(4)])
    assert await _all(listener, 3) == [(2, "snapshot"), (3, "text"), (4, "text")]


async def test_a_slow_listener_is_told_and_gets_a_fresh_snapshot() -> None:
    """Where too much waits, all of it goes; the listener hears `lagging`, then a snapshot, then what follows."""
    listener = Listener(Wanted(), limit=2000)
    listener.show(_snapshot(1))
    listener.offer([_change(number, 500) for number in range(2, 9)])
    listener.offer([_change(9)])
    assert not listener.waits_for_snapshot
    assert await _all(listener, 1) == [(4, "lagging")]
    assert listener.waits_for_snapshot
    listener.offer([_change(10)])
    listener.show(_snapshot(11))
    listener.offer([_change(12)])
    assert await _all(listener, 2) == [(11, "snapshot"), (12, "text")]


async def test_the_queue_never_grows_beyond_its_limit() -> None:
    """However much is offered, what waits stays below the limit."""
    listener = Listener(Wanted(), limit=10_000)
    listener.show(_snapshot(1))
    for number in range(1000):
        listener.offer([_change(number, 700)])
        assert sum(len(change.data) for change in listener._queue) <= 10_000


async def test_one_event_that_is_larger_than_the_queue_is_still_told() -> None:
    """A listener that keeps up hears every event, however large."""
    listener = Listener(Wanted(), limit=100)
    listener.show(_snapshot(1))
    assert await _all(listener, 1) == [(1, "snapshot")]
    listener.offer([_change(2, 5000)])
    assert await _all(listener, 1) == [(2, "text")]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), [1, 2, 3, 4]),
        (Wanted(session="s"), [2, 3]),
        (Wanted(agent="a"), [3, 4]),
        (Wanted(session="s", agent="a"), [3]),
        (Wanted(session="s", agent="main"), [2]),
        (Wanted(session="nobody"), []),
    ],
)
async def test_only_what_is_wanted_is_told(wanted: Wanted, expected: list[int]) -> None:
    """Session and agent narrow what is heard; both together narrow it to both."""
    listener = Listener(wanted)
    listener.show(_snapshot(0))
    changes = [_change(1), _change(2, session="s"), _change(3, session="s", agent="a"), _change(4, agent="a")]
    listener.offer(changes)
    assert [number for number, _ in await _all(listener, len(expected) + 1)] == [0, *expected]


async def test_the_end_wakes_who_waits() -> None:
    """A listener that waits hears at once that nothing will follow."""
    listener = Listener(Wanted())
    waiting = asyncio.create_task(listener.next())
    await asyncio.sleep(0)
    listener.end()
    assert await waiting is None
    assert await listener.next() is None
