"""What lists cost: pages, filters, searches and sessions of the data API, over 10,000 stored exchanges and some of 20 MB.

Run it from the repository with `python -m benchmarks.listing`; making the store takes a minute. Each figure is a whole answer
of the application, read to its end, without a network: the median and the slowest of several. A word that stands in every
message is the hardest search there is.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from quart import Quart

from ccproxy.ingest.memory import Memory
from ccproxy.records import Captured
from ccproxy.stores.contract import Filter
from ccproxy.stores.sqlite import SqliteStore
from ccproxy.web.api.app import create_api
from tests.support.api import stores_of
from tests.support.entries import T0, Session, captured, entry_of, exchange_id, stream

SESSIONS, TURNS = 100, 100
LARGE, LARGE_BYTES = 5, 20_000_000
ROUNDS = 9
COMMON = "everywhere"
LIMIT_MS = 100.0


class _Talk(Session):
    """A session in which every text begins with the same word."""

    def _text(self, size: int) -> str:
        return f"{COMMON} {super()._text(size)}"


def _moved(exchange: Captured, number: int) -> Captured:
    """Give an exchange another id and another time."""
    distance = T0 + number * 60_000_000 - exchange.opened_at
    exchange.id = exchange_id(number)
    exchange.opened_at += distance
    for name in ("sent_at", "head_at", "ended_at"):
        setattr(exchange, name, getattr(exchange, name) + distance)
    exchange.chunks = [(at + distance, data) for at, data in exchange.chunks]
    return exchange


def _fill(store: SqliteStore) -> int:
    number = 0
    for seed in range(SESSIONS):
        memory, entries = Memory(store.part), []
        for exchange in _Talk(seed=seed, preamble_bytes=20_000).exchanges(TURNS):
            number += 1
            entries.append(entry_of(_moved(exchange, number), memory))
        store.write(entries, [])
    memory = Memory(store.part)
    for _ in range(LARGE):
        number += 1
        body = {"model": "large", "messages": [{"role": "user", "content": "x" * LARGE_BYTES}]}
        answer = stream([{"type": "text", "text": "y" * LARGE_BYTES}])
        store.write([entry_of(captured(number, body, answer), memory)], [])
    return number


async def _ask(app: Quart, path: str) -> tuple[float, int]:
    """Return how long an answer took, in ms, and its bytes."""
    began = time.perf_counter()
    response = await app.test_client().get(path)
    body = await response.get_data(as_text=False)
    assert response.status_code == 200, body
    return (time.perf_counter() - began) * 1000, len(body)


async def _measure(app: Quart, middle: str) -> bool:
    lists = {
        "first page": "/api/requests",
        "last page": "/api/requests?page=1001",
        "1000 rows": "/api/requests?limit=1000",
        "1000 rows from the middle": "/api/requests?limit=1000&page=5",
        "after a cursor in the middle": f"/api/requests?before={middle}",
        "model that all have": "/api/requests?model=TEST",
        "model that none has": "/api/requests?model=none",
        "status that none has": "/api/requests?status=5xx",
        "session": "/api/requests?session=session-50",
        "agent, state, kind, provider": "/api/requests?agent=main&state=complete&kind=main&provider=anthropic",
        "time range, last page": f"/api/requests?since={T0}&until={T0 + 10**15}&page=1000",
        "project that none has": "/api/requests?project=/nowhere",
        "word in one session": "/api/requests?q=tool3&session=session-50",
        "word in every answer": "/api/requests?q=tool3",
        "word in every message": f"/api/requests?q={COMMON}",
        "word in every message, 1000 rows": f"/api/requests?q={COMMON}&limit=1000",
        "word that none has": "/api/requests?q=nothingofthekind",
    }
    others = {
        "sessions": "/api/sessions",
        "100 sessions": "/api/sessions?limit=100",
        "one session, 200 messages": "/api/sessions/session-50",
        "stats": "/api/stats",
        "one exchange": f"/api/requests/{middle}",
        "one exchange, all of it": f"/api/requests/{middle}?include=request,response,headers,events",
    }
    fast = True
    for bounded, paths in ((True, lists), (False, others)):
        for name, path in paths.items():
            took = [await _ask(app, path) for _ in range(ROUNDS)]
            times = [time for time, _ in took]
            late = bounded and statistics.median(times) > LIMIT_MS
            fast = fast and not late
            mark = f"  over {LIMIT_MS:.0f} ms" if late else ""
            print(
                f"{name:34} {statistics.median(times):8.1f} ms  slowest {max(times):8.1f} ms  {took[0][1]:10,} bytes{mark}"
            )
    return fast


async def main() -> None:
    """Make the store, and measure."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        store = SqliteStore(path, write=True)
        number = _fill(store)
        middle = store.listing(Filter(), limit=1, offset=number // 2).rows[0]["id"]
        store.close()
        print(
            f"{number} exchanges, {LARGE} of them with {LARGE_BYTES:,} bytes each way; {path.stat().st_size:,} bytes on disk"
        )
        app = create_api(stores_of(path))
        async with app.test_app():
            fast = await _measure(app, middle)
    if not fast:
        sys.exit("lists are slower than they should be")


if __name__ == "__main__":
    asyncio.run(main())
