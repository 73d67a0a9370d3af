"""What routing leaves on record, as the data API gives it: in lists, in an exchange, in a session's thread, and as bytes."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from ccproxy.stores.sqlite import SqliteStore
from tests.support import routed
from tests.support.api import Api, exchange, user
from tests.support.routed import ASKED_FOR, LOSSES, OPENAI, SESSION, id_of

FILTERS = {
    "agent=code-reviewer": [103, 102],
    "agent=a1": [103, 102],
    "agent=tidier": [105],
    "agent=main": [109, 101],
    "provider=openai": [103, 102],
    "provider=ollama": [107, 106],
    "model=gpt-4o": [104, 103, 102],
    "model=HAIKU": [105],
    "model=opus&agent=code-reviewer": [103, 102],
    "model=llama&status=5xx": [107],
}


@pytest.fixture
async def elsewhere(api: Api) -> Api:
    """Give the data API over the session in which agents are answered by others."""

    def put() -> None:
        with contextlib.closing(SqliteStore(api.path, write=True)) as store:
            routed.fill(store)

    await asyncio.to_thread(put)
    return api


async def test_a_row_has_what_a_badge_needs(elsewhere: Api) -> None:
    """Whether it was routed, from which model to which, by whom it was answered and whose it was."""
    rows = {row["id"]: row for row in (await elsewhere.json("/api/requests?limit=20"))["requests"]}
    assert [number for number in range(101, 110) if rows[id_of(number)]["routed"]] == [102, 103, 104, 105, 106, 107]
    row = rows[id_of(103)]
    told = (
        "requested_model",
        "routed_model",
        "response_model",
        "provider",
        "endpoint",
        "agent_name",
        "agent_sign",
        "losses",
    )
    assert [row[name] for name in told] == [
        ASKED_FOR, "gpt-4o", "gpt-4o-2024-08-06", "openai", OPENAI, "code-reviewer", "spawn", list(LOSSES),
    ]  # fmt: skip
    same_provider, main = rows[id_of(105)], rows[id_of(101)]
    assert (same_provider["endpoint"], same_provider["routed_model"], same_provider["losses"]) == (
        None,
        "claude-haiku-4-5",
        None,
    )
    assert {main[name] for name in ("endpoint", "agent_name", "agent_sign", "losses")} == {None}


@pytest.mark.parametrize("query", sorted(FILTERS))
async def test_filters(elsewhere: Api, query: str) -> None:
    """An agent by its id or name, a provider, and a model by what was asked for or what was routed to."""
    found = await elsewhere.json(f"/api/requests?limit=20&{query}")
    assert [row["id"] for row in found["requests"]] == [id_of(number) for number in FILTERS[query]]


async def test_what_went_up_is_included_where_it_is_asked_for(elsewhere: Api) -> None:
    """The translated request stands beside the client's own; where none was translated it is null."""
    exchange = routed.by_number()[104]
    found = await elsewhere.json(f"/api/requests/{id_of(104)}?include=request,sent,response")
    assert found["sent"] == {"bytes": len(exchange.sent), "form": "json", "content": json.loads(exchange.sent)}
    assert found["request"]["content"]["model"] == ASKED_FOR
    assert found["response"]["content"] == exchange.raw.decode()
    message = found["response"]["message"]
    assert (message["model"], message["content"]) == (
        "openai/gpt-4o-2024-08-06",
        [{"type": "text", "text": "Numbers go up."}],
    )
    for number in (101, 105, 108):
        assert (await elsewhere.json(f"/api/requests/{id_of(number)}?include=sent"))["sent"] is None
    assert "sent" not in await elsewhere.json(f"/api/requests/{id_of(104)}")


async def test_what_went_up_downloads_as_it_was(elsewhere: Api) -> None:
    """Its exact bytes, as a JSON file; where nothing was translated the answer says that the client's own went up."""
    response = await elsewhere.ask(f"/api/requests/{id_of(104)}/sent")
    assert await response.get_data(as_text=False) == routed.by_number()[104].sent
    assert response.content_type == "application/json"
    assert response.headers["content-disposition"] == f'attachment; filename="{id_of(104)}.sent.json"'
    for number in (101, 105):
        assert "it went up as the client sent it" in await elsewhere.problem(f"/api/requests/{id_of(number)}/sent", 404)


async def test_a_thread_names_its_agents(elsewhere: Api) -> None:
    """Agents stand below the message that started them, with the name that routing found; each answer says who gave it."""
    whole = await elsewhere.json(f"/api/sessions/{SESSION}")
    [segment] = whole["thread"]["segments"]
    agents = {agent["agent_name"]: agent for message in segment["messages"] for agent in message["agents"]}
    assert list(agents) == list(routed.AGENTS)
    reviewer = agents["code-reviewer"]
    assert (reviewer["agent_type"], reviewer["linked_by"], reviewer["models"]) == (
        "custom",
        "prompt",
        ["gpt-4o-2024-08-06"],
    )
    answers = [message["produced_by"] for message in reviewer["segments"][0]["messages"] if message["produced_by"]]
    told = ("provider", "routed", "requested_model", "model")
    assert [[one[name] for name in told] for one in answers] == [["openai", True, ASKED_FOR, "gpt-4o-2024-08-06"]] * 2
    assert [m["produced_by"]["routed"] for m in segment["messages"] if m["produced_by"]] == [False, False]


async def test_losses_that_are_no_list_are_none(api: Api) -> None:
    """What stands in the store in some other form is not given out as sentences, and nothing fails."""
    await api.fill([exchange(1, [user("x")])])
    for odd in ("", "{", "3", '{"a": 1}', "[1, null]"):
        with contextlib.closing(SqliteStore(api.path, write=True)) as store:
            store.db.execute("UPDATE exchanges SET losses = ?", (odd,))
        [row] = (await api.json("/api/requests"))["requests"]
        assert row["losses"] is None
