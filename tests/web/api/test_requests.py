"""`GET /api/requests`: pages, filters and totals, as a script sees them."""

from __future__ import annotations

import pytest

from ccproxy.stores.sqlite import SqliteStore
from ccproxy.web.api.shapes import Exchange, Summary
from tests.support.api import Api, exchange, user
from tests.support.entries import T0, exchange_id

MINUTE = 60_000_000
FILTERS = {
    "model=OPUS": [3, 2, 1],
    "model=all": [4, 3, 2, 1],
    "model=": [4, 3, 2, 1],
    "model=%25": [],
    "model=_": [],
    "model=gpt": [4],
    "status=200": [3, 1],
    "status=4xx": [2],
    "status=4XX,529": [4, 2],
    "state=client_left": [3],
    "session=t": [2],
    "agent=a7": [3],
    "agent=main": [4, 2, 1],
    "kind=subagent": [3],
    "provider=anthropic": [4, 3, 2, 1],
    "provider=openai": [],
    f"since={T0 + 3 * MINUTE}": [4, 3],
    f"until={T0 + 3 * MINUTE}": [2, 1],
    "since=2025-10-09T08:55:00Z": [4, 3, 2],
    "since=2025-10-09T10:55:00+02:00": [4, 3, 2],
    "since=2025-10-09T10:55:00%2B02:00": [4, 3, 2],
    "since=2025-10-09": [4, 3, 2, 1],
    "until=2025-10-09": [],
    "q=giraffes": [1],
    "q=GIRAFFES+please": [1],
    "q=giraffes+zebras": [],
    "q=zebras&session=t&status=404": [2],
    "q=zebras&session=s": [],
    "unknown=1": [4, 3, 2, 1],
}


async def _fill(api: Api) -> None:
    agent = [("x-claude-code-agent-id", "a7")]
    await api.fill([
        exchange(1, [user("giraffes please")]),
        exchange(2, [user("zebras")], session="t", status=404),
        exchange(3, [user("lions")], headers=agent, state="client_left"),
        exchange(4, [user("apes")], status=529, body={"model": "gpt-5"}),
    ])  # fmt: skip


async def test_nothing_captured_yet_is_an_empty_list(api: Api) -> None:
    """A proxy that has just started has no store, and says that there is nothing, without making one."""
    found = await api.json("/api/requests")
    assert found == {"requests": [], "total": 0, "page": 1, "limit": 10, "next_before": None}
    assert not api.path.exists()
    api.path.touch()
    assert (await api.json("/api/requests?q=x&page=3"))["total"] == 0


@pytest.mark.parametrize("query", sorted(FILTERS))
async def test_filters(api: Api, query: str) -> None:
    """Each filter lets through what it says, newest first, and the total counts just that."""
    await _fill(api)
    found = await api.json(f"/api/requests?{query}")
    assert [row["id"] for row in found["requests"]] == [exchange_id(number) for number in FILTERS[query]]
    assert found["total"] == len(FILTERS[query])


@pytest.mark.parametrize(
    "query",
    ["status=20", "status=9999", "status=2xx,", "state=done", "since=yesterday", "until=2025-13-01", "before=xyz"],
)
async def test_a_filter_that_makes_no_sense_is_refused(api: Api, query: str) -> None:
    """A value that cannot be is a 400 whose sentence names the parameter, never an unfiltered list."""
    assert query.split("=")[0] in await api.problem(f"/api/requests?{query}", 400)
    assert '"q"' in await api.problem(f"/api/requests?q={'x' * 1001}", 400)


@pytest.mark.parametrize(
    ("query", "page", "limit"),
    [
        ("", 1, 10),
        ("page=2&limit=2", 2, 2),
        ("page=0&limit=0", 1, 10),
        ("page=-1&limit=-5", 1, 10),
        ("page=x&limit=1.5", 1, 10),
        ("page=&limit=", 1, 10),
        ("page=%D9%A3&limit=%D9%A3", 1, 10),
        ("limit=1000", 1, 1000),
        ("limit=1001", 1, 1000),
        ("limit=" + "9" * 18, 1, 1000),
        ("limit=" + "9" * 5000, 1, 10),
        ("page=" + "9" * 18, int("9" * 18), 10),
    ],
)
async def test_page_and_limit_fall_back(api: Api, query: str, page: int, limit: int) -> None:
    """Page and limit are taken where they make sense, and are 1 and 10 where they do not; no limit is above 1000."""
    await _fill(api)
    found = await api.json(f"/api/requests?{query}")
    assert (found["page"], found["limit"], found["total"]) == (page, limit, 4)
    assert len(found["requests"]) == max(0, min(limit, 4 - (page - 1) * limit))


async def test_a_page_past_the_end_is_empty_and_knows_the_total(api: Api) -> None:
    """Whoever goes too far gets an empty list, and learns how much there is."""
    await _fill(api)
    found = await api.json("/api/requests?page=2&limit=4")
    assert (found["requests"], found["total"], found["next_before"]) == ([], 4, None)


async def test_the_cursor_walks_the_whole_list(api: Api) -> None:
    """Following `next_before` shows each exchange once, also when new ones come in meanwhile."""
    await _fill(api)
    seen, query = [], "limit=3"
    while True:
        found = await api.json(f"/api/requests?{query}")
        seen += [row["id"] for row in found["requests"]]
        if found["next_before"] is None:
            break
        query = f"limit=3&before={found['next_before'].upper()}"
        await api.fill([exchange(len(seen) + 5, [user("new")])])
    assert seen == [exchange_id(number) for number in (4, 3, 2, 1)]


async def test_rows_are_summaries(api: Api) -> None:
    """A row has the exchange's columns and nothing of what was said."""
    await api.fill([exchange(1, [user("a secret plan")], "a secret answer")])
    response = await api.ask("/api/requests")
    assert b"secret" not in await response.get_data(as_text=False)
    [row] = (await response.get_json())["requests"]
    assert row["requested_model"] == "claude-opus-4"
    assert (row["status"], row["state"], row["stream"], row["session_id"]) == (200, "complete", False, "s")
    assert row["started_at"] == T0 + MINUTE
    assert (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]) == (11, 700, 90)


async def test_every_column_of_the_store_is_told(api: Api) -> None:
    """An exchange has a member for each column; what is not in the list is only what belongs to its inside."""
    await api.fill([exchange(1, [user("x")])])
    store = SqliteStore(api.path)
    columns = set(store.columns)
    store.close()
    assert columns <= set(Exchange.__struct_fields__)
    assert columns - set(Summary.__struct_fields__) == {"writer", "billing_line", "usage", "tip", "reply", "preamble"}
