"""`ccproxy tail -f`: each exchange when it begins and when it ends, once each."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from ccproxy.cli.tailing import News, first_id
from ccproxy.stores.contract import Record
from tests.support.command import line, started
from tests.support.proxy import Proxy, client, request
from tests.support.standin import Gate, StandIn, stream_answer, text_stream


async def test_an_open_row_shows_while_the_stream_runs(tmp_path: Path) -> None:
    """A line appears when an exchange begins, and another when it ends; what was there before is not repeated."""
    gate = Gate()
    events = text_stream("now and then")
    script = [stream_answer(text_stream("before")), stream_answer([*events[:3], gate, *events[3:]])]
    async with StandIn(script) as up, Proxy(up.url, tmp_path / "proxy") as proxy, client() as http:
        await http.post(f"{proxy.url}/v1/messages", json=request())
        await proxy.ended()
        async with started("tail", "-f", "-n", "0", "--db", str(proxy.db), home=tmp_path / "home") as process:
            assert (await line(process.stdout)).startswith("time ")
            running = asyncio.create_task(http.post(f"{proxy.url}/v1/messages", json=request()))
            began = (await line(process.stdout)).split()
            assert began[2] == "open"
            await gate.reached()
            assert not running.done()
            gate.open()
            assert (await running).status_code == 200
            ended = (await line(process.stdout)).split()
            assert (ended[1], ended[2], ended[3]) == (began[1], "200", "claude-sonnet-4-5")
            process.send_signal(signal.SIGINT)
            out, err = await asyncio.wait_for(process.communicate(), 20)
            assert (process.returncode, out, err) == (0, b"", b"")


async def test_follow_waits_for_the_first_capture(tmp_path: Path) -> None:
    """Without a store yet, tail -f waits for one and says so, and Ctrl-C ends it like any other."""
    db = tmp_path / "proxy" / "requests.db"
    async with started("tail", "-f", "--db", str(db), home=tmp_path / "home") as process:
        assert await line(process.stderr) == f"waiting for the first capture in {db}\n"
        async with StandIn([stream_answer(text_stream("hi"))]) as up, Proxy(up.url, tmp_path / "proxy") as proxy:
            assert (await line(process.stdout)).startswith("time ")
            async with client() as http:
                await http.post(f"{proxy.url}/v1/messages", json=request())
            states = [(await line(process.stdout)).split()[2]]
            while states[-1] == "open":
                states.append((await line(process.stdout)).split()[2])
            assert states in (["open", "200"], ["200"])
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 20) == 0


class Shelf:
    """As much of a store as following it takes."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}

    def exchanges(self, *, limit: int, before: str | None = None, changed_since: str | None = None) -> list[Record]:
        """Return rows, newest first."""
        found = [key for key in self.rows if (before is None or key < before) and key >= (changed_since or "")]
        return [{"id": key, "state": self.rows[key]} for key in sorted(found, reverse=True)[:limit]]


def test_nothing_is_missed_and_nothing_told_twice() -> None:
    """News are exchanges that began or ended: also one of a slower worker that is older, and one that ran for hours."""
    shelf = Shelf()
    news = News(shelf)  # type: ignore[arg-type]
    hour, minute = 3_600_000, 60_000
    old, first, late, second = (
        first_id(moment) + "-x" for moment in (hour, 9 * hour, 9 * hour - 900, 9 * hour + minute)
    )
    shelf.rows = {old: "open", first: "complete"}
    assert [row["id"] for row in news.begin(1)] == [first]
    assert news.look() == []
    shelf.rows[late] = "open"
    assert news.look() == [{"id": late, "state": "open"}]
    shelf.rows[second] = "complete"
    assert news.look() == [{"id": second, "state": "complete"}]
    assert news.look() == []
    shelf.rows |= {old: "complete", late: "failed"}
    assert news.look() == [{"id": old, "state": "complete"}, {"id": late, "state": "failed"}]
    assert news.look() == []
    assert News(Shelf()).look() == []  # type: ignore[arg-type]
