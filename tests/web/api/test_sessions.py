"""`/api/sessions`: what sessions came to, and their conversations as threads with subagents."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ccproxy.protocol.titles import title
from tests.support import wire
from tests.support.api import Api, assistant, exchange, said, user
from tests.support.entries import T0, Session, captured, exchange_id, stream

Json = dict[str, Any]
MINUTE = 60_000_000
MAIN = ("x-claude-code-request-class", "main")
SUMMARY_PROMPT = "Your task is to create a detailed summary of the conversation so far"


def spawn(call: str, prompt: str, tool: str = "Agent") -> Json:
    """Return a call of the tool that starts agents."""
    return {"type": "tool_use", "id": call, "name": tool, "input": {"description": "d", "prompt": prompt}}


def result(call: str, words: str) -> Json:
    """Return a user message with the result of a call."""
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call, "content": words}]}


def by_agent(agent: str, parent: str | None = None) -> list[tuple[str, str]]:
    """Return the headers of a subagent's request."""
    headers = [("x-claude-code-agent-id", agent), ("x-claude-code-agent-type", f"type-{agent}")]
    return [*headers, *([("x-claude-code-parent-agent-id", parent)] if parent else [])]


def spoken(segment: Json) -> list[str]:
    """Return each message of a segment as its role and first text."""
    first = [m["content"] if isinstance(m["content"], str) else m["content"][0] for m in segment["messages"]]
    said = [one if isinstance(one, str) else one.get("text", one["type"]) for one in first]
    return [f"{m['role']}: {words}" for m, words in zip(segment["messages"], said, strict=True)]


async def test_a_list_of_sessions(api: Api) -> None:
    """Each session is one row with its figures, the one with the newest exchange first."""
    exchanges = list(Session(seed=7, preamble_bytes=3000).exchanges(3))
    await api.fill([*exchanges, exchange(10, [user("short")], session="t", headers=by_agent("a1"), status=429)])
    found = await api.json("/api/sessions")
    assert [row["id"] for row in found["sessions"]] == ["t", "session-7"]
    assert (found["total"], found["page"], found["limit"]) == (2, 1, 10)
    small, large = found["sessions"]
    assert (small["agents"], small["errors"], small["turns"], small["exchanges"]) == (1, 1, 0, 1)
    assert (large["turns"], large["exchanges"], large["running"], large["agents"]) == (3, 3, 0, 0)
    assert large["tokens"] == {"input": 33, "cache_read": 2100, "cache_write": 120, "output": 270}
    assert (large["models"], large["clients"]) == (["claude-test-1"], ["claude-cli 2.1.300"])
    assert large["started_at"] == T0 + MINUTE
    assert large["last_activity_at"] == exchanges[-1].ended_at
    assert len(large["title"]) == 80
    assert large["title"].endswith("…")
    assert (await api.json("/api/sessions?limit=1&page=2"))["sessions"] == [large]
    assert (await api.json("/api/sessions?page=9"))["total"] == 2
    for query, total in (("status=429", 1), ("q=short", 1), ("project=/none", 0), (f"since={T0 + 9 * MINUTE}", 1)):
        assert (await api.json(f"/api/sessions?{query}"))["total"] == total


async def test_no_sessions_is_an_empty_list(api: Api) -> None:
    """Before the first capture there are no sessions, and that is no error."""
    assert await api.json("/api/sessions") == {"sessions": [], "total": 0, "page": 1, "limit": 10}
    assert await api.problem("/api/sessions/abc", 404)


@pytest.mark.parametrize(
    ("named", "texts", "expected"),
    [
        ('{"title": "Fix the importer"}', ["x"], "Fix the importer"),
        ('{"isNewTopic": false, "title": null}', ["please  fix\nit"], "please fix it"),
        ("Plain title", [], "Plain title"),
        (None, ["<system-reminder>\nmind\n</system-reminder>", "do it"], "do it"),
        (None, ["<system-reminder>a</system-reminder> go <system-reminder>cut"], "go"),
        (None, ["é" * 81], "é" * 79 + "…"),
        (None, ["👩‍🚀" * 5], "👩‍🚀" * 5),
        (None, ["  "], ""),
        (None, [], ""),
    ],
)
def test_titles(named: str | None, texts: list[str], expected: str) -> None:
    """As the model named it; else the first thing the person said, without reminders, cut on characters."""
    assert title(named, texts) == expected


async def test_a_conversation_is_its_messages_in_order(api: Api) -> None:
    """From first to last, each once, each answer with its exchange, each request's message with who sent it first."""
    first = [user("one")]
    second = [*first, assistant(*said("two")), user("three")]
    await api.fill([exchange(1, first, "two"), exchange(2, second, "four")])
    whole = await api.json("/api/sessions/s")
    assert whole["session"]["id"] == "s"
    [segment] = whole["thread"]["segments"]
    assert spoken(segment) == ["user: one", "assistant: two", "user: three", "assistant: four"]
    assert [m["sent_with"] for m in segment["messages"]] == [exchange_id(1), exchange_id(2), exchange_id(2), None]
    makers = [m["produced_by"] and m["produced_by"]["id"] for m in segment["messages"]]
    assert makers == [None, exchange_id(1), None, exchange_id(2)]
    producer = segment["messages"][1]["produced_by"]
    assert producer["tokens"] == {"input": 11, "cache_read": 700, "cache_write": 40, "output": 90}
    assert (producer["first_token_ms"], producer["stop_reason"], producer["model"]) == (
        130,
        "end_turn",
        "claude-test-1",
    )
    assert (segment["beside"], segment["after_compaction"], whole["other"]) == ([], False, [])
    assert whole["thread"]["tokens"]["output"] == 180


async def test_what_was_rewound_is_told_beside_the_line(api: Api) -> None:
    """The line follows the newest message; what went another way, failed or still runs is named beside it."""
    first = [user("one")]
    left = [*first, assistant(*said("two")), user("left")]
    right = [*first, assistant(*said("two")), user("right")]
    await api.fill([
        exchange(1, first, "two"), exchange(2, left, "gone"),
        captured(3, {"messages": right}, [b'{"type":"error","error":{"type":"overloaded_error","message":"m"}}'], status=529,
                 request_headers=[("x-claude-code-session-id", "s")], response_headers=[("content-type", "application/json")]),
        exchange(4, right, "kept"),
    ])  # fmt: skip
    [segment] = (await api.json("/api/sessions/s"))["thread"]["segments"]
    assert spoken(segment) == ["user: one", "assistant: two", "user: right", "assistant: kept"]
    assert [(one["id"], one["status"]) for one in segment["beside"]] == [(exchange_id(2), 200), (exchange_id(3), 529)]


async def test_a_compaction_begins_a_new_segment(api: Api) -> None:
    """All roots in the order of time; the summary stands at the end of what it sums up."""
    first = [user("one")]
    summing = [*first, assistant(*said("two")), user(SUMMARY_PROMPT)]
    after = [user("This session continues: a summary.")]
    await api.fill([
        exchange(1, first, "two", headers=[MAIN]),
        exchange(2, summing, "a summary", headers=[("x-claude-code-compaction", "auto")]),
        exchange(3, after, "on we go", headers=[MAIN]),
    ])  # fmt: skip
    before, behind = (await api.json("/api/sessions/s"))["thread"]["segments"]
    assert (before["after_compaction"], behind["after_compaction"]) == (False, True)
    assert spoken(before)[-1] == "assistant: a summary"
    assert spoken(behind) == ["user: This session continues: a summary.", "assistant: on we go"]


async def test_a_subagent_stands_where_it_was_started(api: Api) -> None:
    """Below the call whose prompt is its first message, nested as deep as agents start agents."""
    asked = [user("go")]
    calls = [*said("I ask two."), spawn("t1", "look here"), spawn("t2", "look there")]
    nested = [*said("One more."), spawn("t3", "look deeper", "Task")]
    reminder = {"type": "text", "text": "<system-reminder>mind</system-reminder>"}
    await api.fill([
        exchange(1, asked, calls),
        exchange(2, [{"role": "user", "content": [reminder, *said("look there")]}], nested, headers=by_agent("b")),
        exchange(3, [user("look here")], "seen here", headers=by_agent("a")),
        exchange(4, [user("look deeper")], "deep", headers=by_agent("c", "b")),
        exchange(5, [*asked, assistant(*calls), result("t1", "seen here")], "done"),
    ])  # fmt: skip
    thread = (await api.json("/api/sessions/s"))["thread"]
    messages = thread["segments"][0]["messages"]
    assert [len(message["agents"]) for message in messages] == [0, 2, 0, 0]
    links = {agent["agent_id"]: (agent["tool_use_id"], agent["linked_by"]) for agent in messages[1]["agents"]}
    assert links == {"a": ("t1", "prompt"), "b": ("t2", "prompt")}
    b = next(agent for agent in messages[1]["agents"] if agent["agent_id"] == "b")
    [c] = b["segments"][0]["messages"][1]["agents"]
    assert (c["agent_id"], c["tool_use_id"], c["agent_type"]) == ("c", "t3", "type-c")
    assert spoken(c["segments"][0]) == ["user: look deeper", "assistant: deep"]
    assert thread["agents"] == []


async def test_a_subagent_without_a_prompt_to_know_it_by_is_placed_by_time(api: Api) -> None:
    """The last free call before it began, else the message during which it began, else the conversation as a whole."""
    first = [user("go")]
    called = [spawn("t1", "look here")]
    await api.fill([
        exchange(1, [user("too early")], "x", headers=by_agent("early")),
        exchange(2, first, called),
        exchange(3, [user("look elsewhere")], "x", headers=by_agent("a")),
        exchange(4, [user("and there")], "x", headers=by_agent("b")),
    ])  # fmt: skip
    thread = (await api.json("/api/sessions/s"))["thread"]
    [a, b] = thread["segments"][0]["messages"][1]["agents"]
    assert (a["agent_id"], a["tool_use_id"], a["linked_by"]) == ("a", "t1", "time")
    assert (b["agent_id"], b["tool_use_id"], b["linked_by"]) == ("b", None, "time")
    assert [(one["agent_id"], one["linked_by"]) for one in thread["agents"]] == [("early", None)]


async def test_agents_that_name_each_other_as_parent_are_all_told(api: Api) -> None:
    """A circle, or a parent that nobody knows, hides nobody: each agent stands once, on the main conversation."""
    await api.fill([
        exchange(1, [user("a")], "x", headers=by_agent("a", "b")),
        exchange(2, [user("b")], "x", headers=by_agent("b", "a")),
        exchange(3, [user("c")], "x", headers=by_agent("c", "nobody")),
    ])  # fmt: skip
    whole = await api.json("/api/sessions/s")
    assert sorted(agent["agent_id"] for agent in whole["thread"]["agents"]) == ["a", "b", "c"]
    assert whole["thread"]["segments"] == []
    assert whole["thread"]["started_at"] == T0 + MINUTE


async def test_what_is_beside_every_conversation_is_told(api: Api) -> None:
    """Token counts and titles belong to no thread; they are named, and the title is used."""
    asks = {"output_config": {"format": {"type": "json_schema", "schema": {"properties": {"title": {}}}}}}
    await api.fill([
        exchange(1, [user("do it")], headers=[MAIN]),
        exchange(2, [user("name it")], '{"title": "Named"}', body=asks),
        exchange(3, [user("do it")], None, path="/v1/messages/count_tokens"),
    ])  # fmt: skip
    whole = await api.json("/api/sessions/s")
    others = [(one["id"], one["kind"]) for one in whole["other"]]
    assert others == [(exchange_id(2), "title"), (exchange_id(3), "count_tokens")]
    assert whole["session"]["title"] == "Named"
    assert len(whole["thread"]["segments"]) == 1


async def test_a_resumed_session_shows_the_history_of_the_other(api: Api) -> None:
    """Messages that another session brought about are part of the thread, with the exchange that produced them there."""
    first = [user("one")]
    await api.fill([
        exchange(1, first, "two", session="old"),
        exchange(2, [*first, assistant(*said("two")), user("on")], "three", session="new"),
    ])  # fmt: skip
    [segment] = (await api.json("/api/sessions/new"))["thread"]["segments"]
    assert spoken(segment) == ["user: one", "assistant: two", "user: on", "assistant: three"]
    assert segment["messages"][1]["produced_by"]["id"] == exchange_id(1)


async def test_odd_messages_hide_nothing(api: Api) -> None:
    """Messages that are none, half characters and large numbers come through as the JSON that they were."""
    body = rb'{"messages":["just text",{"role":"user","content":"\ud83d"},{"role":"user","n":123456789012345678901234567890}]}'
    await api.fill([captured(1, body, stream(said("x")), request_headers=[("x-claude-code-session-id", "s")])])
    [segment] = (await api.json("/api/sessions/s"))["thread"]["segments"]
    assert [message["content"] for message in segment["messages"][:2]] == ["just text", "�"]
    assert segment["messages"][2]["content"]["n"] == 123456789012345678901234567890


async def test_a_session_id_may_be_any_text(api: Api) -> None:
    """Ids are the client's own: slashes, spaces and marks in them find their session, for reading and for deleting."""
    odd = "a//b c?d%é"
    await api.fill([exchange(1, [user("x")], session=odd), exchange(2, [user("y")], session="other")])
    path = "/api/sessions/a%2F%2Fb%20c%3Fd%25%C3%A9"
    assert (await api.json(path))["session"]["id"] == odd
    assert (await api.json(path, method="DELETE"))["deleted"] == 1
    assert await api.problem(path, 404)
    assert (await api.json("/api/requests"))["total"] == 1


async def test_a_thousand_messages_are_quickly_told(api: Api) -> None:
    """A session of 500 turns is given as a whole in well under a second."""
    await api.fill(list(Session(preamble_bytes=3000).exchanges(500)))
    began = time.monotonic()
    response = await api.ask("/api/sessions/session-1")
    body = await response.get_data(as_text=False)
    assert time.monotonic() - began < 2.0  # measured: a tenth of it
    assert body.count(b'"node":') == 1000


@wire.needs_wire
@pytest.mark.parametrize(
    ("source", "agents"),
    [
        ("b_2.1.280.jsonl", ["Explore"]),
        ("o_2.1.50.jsonl", ["Explore"]),
        ("wire_nested_subagents_hints.jsonl", ["general-purpose", "Explore"]),
        ("wire_of_transcripts_2.1.330.jsonl", ["Explore"]),
    ],
)
async def test_subagents_of_real_sessions_are_found_by_their_prompts(api: Api, source: str, agents: list[str]) -> None:
    """What Claude Code really sent: each subagent stands below the call that started it, the nested one within the other."""
    requests = [request for request in wire.requests() if request.source == source]
    await api.fill([
        captured(number, one.body, [one.response] if one.response else None, method=one.method,
                 path=one.path.partition("?")[0], request_headers=one.headers)
        for number, one in enumerate(requests, 1)
    ])  # fmt: skip
    [session] = (await api.json("/api/sessions"))["sessions"]
    thread = (await api.json(f"/api/sessions/{session['id']}"))["thread"]
    for name in agents:
        below = [agent for segment in thread["segments"] for m in segment["messages"] for agent in m["agents"]]
        assert [(agent["agent_type"], agent["linked_by"]) for agent in below] == [(name, "prompt")]
        [thread] = below
