"""What the demo promises to show: that it all occurs, and that it hangs together."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from ccproxy.stores import checking
from ccproxy.stores.contract import Filter, Record
from tests.demo.conftest import Made, digest

MINUTE = 60_000_000


def blocks(made: Made, kind: str) -> list[tuple[Record, dict[str, Any]]]:
    """Return the blocks of a kind in requests, deep ones included, each with the exchange that was the first to send it."""
    seen: set[str] = set()
    found = []
    for row in made.rows:
        if row["method"] != "POST":
            continue
        for message in made.request(row)["messages"]:
            for block in message["content"] if isinstance(message["content"], list) else ():
                deep = block.get("content") if isinstance(block.get("content"), list) else []
                for each in (block, *deep):
                    key = json.dumps({**each, "cache_control": None}, sort_keys=True)
                    if each["type"] == kind and key not in seen:
                        seen.add(key)
                        found.append((row, each))
    return found


def test_it_is_a_week_of_a_person(made: Made) -> None:
    """There are some hundred exchanges in some dozen sessions, on seven days, in four projects."""
    assert 400 <= len(made.rows) <= 800
    assert 25 <= len({row["session_id"] for row in made.rows}) <= 45
    assert len({datetime.fromtimestamp(row["started_at"] / 1e6, UTC).date() for row in made.rows}) == 7
    assert {made.project(row) for row in made.rows} == {"harbor", "lantern", "tidepool", "fieldnotes"}


def test_every_kind_of_request_occurs(made: Made) -> None:
    """Each kind that a request may have is there, and each state in which an exchange may end."""
    kinds = Counter(row["kind"] for row in made.rows)
    wanted = {"main", "subagent", "title", "rename", "compaction", "count_tokens", "classifier", "probe", "auxiliary"}
    assert set(kinds) == wanted | {"other"}
    assert {row["state"] for row in made.rows} == {"complete", "failed", "client_left", "interrupted"}
    assert kinds["title"] >= 20
    assert all(row["capture_note"] is None for row in made.rows)


def test_models_and_versions(made: Made) -> None:
    """Three models and two versions of the client play; system prompt and tools change with the version."""
    asked = {row["requested_model"] for row in made.rows if row["requested_model"]}
    assert asked == {"claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-4-5"}
    assert "claude-haiku-4-5-20251001" in {row["response_model"] for row in made.rows}
    versions = {row["client_version"]: made.request(row) for row in made.where(kind="main")}
    assert set(versions) == {"2.1.280", "2.1.330"}
    prompts = [body["system"][2]["text"] for body in versions.values()]
    tools = [tuple(tool["name"] for tool in body["tools"] if "mcp__" not in tool["name"]) for body in versions.values()]
    assert prompts[0] != prompts[1]
    assert tools[0] != tools[1]


def test_requests_look_like_those_of_the_client(made: Made) -> None:
    """Billing line, user id, session, working directory, memory, reminders and messages of the system are where they belong."""
    for row in made.where(kind="main"):
        body, said = made.request(row), made.said(row)
        assert re.match(r"x-anthropic-billing-header: cc_version=2\.1\.\d+\.[0-9a-f]{3}; ", body["system"][0]["text"])
        user = json.loads(body["metadata"]["user_id"])
        assert user["session_id"] == row["session_id"] == said["x-claude-code-session-id"]
        assert said["user-agent"].startswith(f"claude-cli/{row['client_version']} ")
        first, second = body["messages"][:2]
        assert any("claudeMd" in block["text"] for block in first["content"] if block["type"] == "text")
        assert second["role"] == "system"
        assert row["cwd"]
    assert any("<system-reminder>" in block["text"] for _, block in blocks(made, "text"))
    assert all("sha256:" in (made.said(row).get("x-api-key") or made.said(row)["authorization"]) for row in made.rows)


def test_hints_are_on_in_most_sessions(made: Made) -> None:
    """Most sessions say what their requests are for, some do not, and only the newer version knows prompt ids."""
    main = made.where(kind="main")
    hinted = {row["session_id"] for row in main if row["kind_sign"] == "hint_header"}
    plain = {row["session_id"] for row in main} - hinted
    assert len(hinted) > 15
    assert len(plain) >= 3
    assert any(row["tool_durations"] for row in main)
    assert {row["client_version"] for row in made.rows if row["prompt_id"]} == {"2.1.330"}


def test_tools_of_all_sorts_work(made: Made) -> None:
    """Built-in tools, MCP servers and agents are called; some calls fail, some are made again as they were."""
    calls = blocks(made, "tool_use")
    names = {call["name"] for _, call in calls}
    assert names >= {"Bash", "Read", "Edit", "Write", "Grep", "Glob", "TodoWrite", "WebFetch", "Agent", "Skill"}
    assert names >= {"mcp__db__query", "mcp__github__list_pull_requests", "mcp__browser__screenshot"}
    results = {result["tool_use_id"]: result for _, result in blocks(made, "tool_result")}
    assert sum(bool(result.get("is_error")) for result in results.values()) >= 8
    same = Counter((row["session_id"], call["name"], json.dumps(call["input"])) for row, call in calls)
    assert sum(count > 1 for count in same.values()) >= 3
    unanswered = {call["id"] for _, call in calls} - set(results)
    assert not unanswered


def test_agents_run_nested_and_beside_each_other(made: Made) -> None:
    """There are explorers, a custom agent with a model of its own, one that starts another, and two at the same time."""
    agents = {row["agent_id"]: row for row in made.where(kind="subagent")}
    assert {row["agent_type"] for row in agents.values()} == {"Explore", "custom", "general-purpose"}
    assert any(row["parent_agent_id"] in agents for row in agents.values())
    spans: dict[str, tuple[str, int, int]] = {}
    for name, row in agents.items():
        times = made.where(agent_id=name)
        spans[name] = (row["session_id"], times[0]["started_at"], times[-1]["ended_at"])
    together = [
        (one, other)
        for one, (session, began, ended) in spans.items()
        for other, (same, start, _) in spans.items()
        if one != other and session == same and began <= start < ended and agents[other]["parent_agent_id"] != one
    ]
    assert together
    custom = [row for row in agents.values() if row["agent_type"] == "custom" and made.project(row) == "harbor"]
    assert {row["requested_model"] for row in custom} == {"claude-sonnet-5-5"}
    reports = [result for _, result in blocks(made, "tool_result") if "agentId: " in json.dumps(result)]
    assert len(reports) == len(agents)


def test_images_are_pasted_and_taken(made: Made) -> None:
    """A person pastes a picture, and tools take one; each is a PNG."""
    pasted = [block for row, block in blocks(made, "image") if block in made.request(row)["messages"][0]["content"]]
    every = [block for _, block in blocks(made, "image")]
    assert pasted
    assert len(every) > len(pasted)
    for block in every:
        assert base64.b64decode(block["source"]["data"]).startswith(b"\x89PNG\r\n\x1a\n")


def test_the_model_thinks(made: Made) -> None:
    """Thoughts come with a signature, shown or not, and are counted."""
    thoughts = [block for _, block in blocks(made, "thinking")]
    assert all(block["signature"] for block in thoughts)
    assert {bool(block["thinking"]) for block in thoughts} == {True, False}
    told = [json.loads(row["usage"]).get("output_tokens_details", {}) for row in made.rows if row["usage"]]
    assert max(details.get("thinking_tokens", 0) for details in told) > 500
    assert {row["thinking"] for row in made.rows if row["thinking"]} == {"adaptive", "enabled", "disabled"}


def test_conversations_are_compacted_and_rewound(made: Made) -> None:
    """A conversation is summed up by itself and by hand and goes on from there; another one is taken back and branches."""
    assert {row["compaction"] for row in made.where(kind="compaction")} == {"auto", "manual"}
    after = [row for row in made.rows if "x-claude-code-context-compacted" in made.said(row)]
    for row in after:
        told = json.dumps(made.request(row)["messages"][0])
        assert "This session is being continued from a previous conversation" in told
    assert len({row["session_id"] for row in after}) == 2
    branches = 0
    for session in {row["session_id"] for row in made.rows}:
        parents = Counter(branch.parent for branch in made.store.branches(session) if branch.role == "user")
        branches += sum(parent is not None and count > 1 for parent, count in parents.items())
    assert branches >= 2


def test_answers_go_wrong_in_every_way(made: Made) -> None:
    """Overload, a limit, a refusal, an error in a stream, a broken stream, no answer, a silence, somebody who leaves."""
    status = Counter(row["status"] for row in made.rows)
    assert status[529] >= 5
    assert status[429] == status[400] == status[502] == 1
    (limited,) = made.where(status=429)
    said = made.said(limited, "response")
    assert said["retry-after"] == "17"
    assert "anthropic-ratelimit-input-tokens-remaining" in said
    assert {row["retry_count"] for row in made.rows} >= {0, 1, 2, 3}
    assert [row for row in made.where(status=200, state="complete") if row["api_error"] == "overloaded_error"]
    assert {row["error_kind"] for row in made.where(state="failed")} == {"broken_stream", "no_answer"}
    assert max(row["gap_max_ms"] or 0 for row in made.rows) > 20_000
    (left,), (dark,) = made.where(state="client_left"), made.where(state="interrupted")
    assert left["response_bytes"]
    assert dark["ended_at"] is None
    again = made.where(session_id=dark["session_id"])
    assert again[-1]["started_at"] - dark["started_at"] > 30 * MINUTE
    assert len({row["writer"] for row in made.rows}) == 2


def test_a_request_is_sent_twice(made: Made) -> None:
    """Some requests go out twice within a second, byte for byte, and are answered twice."""
    bodies = Counter(
        (row["session_id"], digest(made.store.body(row["id"], "request")))
        for row in made.where(state="complete", status=200, kind="main")
        if row["api_error"] is None
    )
    assert sum(count == 2 for count in bodies.values()) == 2


def test_limits_are_told_with_every_answer(made: Made) -> None:
    """A subscription is told of its windows, which fill; a key is told of its minute."""
    used = []
    for row in made.rows:
        if row["status"] not in (200, 529):
            continue
        said = made.said(row, "response")
        if row["entrypoint"] == "sdk-cli" or "x-api-key" in made.said(row):
            assert "anthropic-ratelimit-requests-remaining" in said
        else:
            used.append(float(said["anthropic-ratelimit-unified-5h-utilization"]))
    assert 0.5 < max(used) < 1


def test_the_cache_is_read_where_nothing_changed(made: Made) -> None:
    """In a clean conversation each request reads what the one before had written, to the token."""
    thread = next(rows for rows in made.threads() if made.project(rows[0]) == "fieldnotes" and len(rows) > 6)
    for before, row in pairwise(thread):
        assert row["cache_read_tokens"] == before["cache_read_tokens"] + before["cache_write_tokens"]


def breaks(made: Made) -> list[tuple[Record, Record]]:
    """Return each request of a conversation that read less than the one before had put there, with that one."""
    return [
        (before, row)
        for rows in made.threads()
        for before, row in pairwise(rows)
        if row["cache_read_tokens"] < before["cache_read_tokens"] + before["cache_write_tokens"]
    ]


def cause(made: Made, before: Record, row: Record) -> str:
    """Tell why the cache was missed, as far as two requests in a row and the clock say it."""
    one, other = made.request(before), made.request(row)
    if row["requested_model"] != before["requested_model"]:
        return "model"
    if one["tools"] != other["tools"]:
        return "tools"
    if one["system"][1:] != other["system"][1:]:
        return "system"
    if row["effort"] != before["effort"]:
        return "effort"
    if other["messages"][0] != one["messages"][0] and before["kind"] == "compaction":
        return "compaction"
    if row["started_at"] - before["started_at"] > (60 if before["cache_write_1h_tokens"] else 5) * MINUTE:
        return "expired"
    return "message" if len(other["messages"]) > len(one["messages"]) else "rewind"


def test_the_cache_is_missed_for_every_cause(made: Made) -> None:
    """Model, tools, system prompt, effort, an earlier message, a compaction, a rewind and the clock: each breaks it somewhere."""
    causes = Counter(cause(made, *pair) for pair in breaks(made))
    assert set(causes) >= {"model", "tools", "system", "effort", "message", "compaction", "expired"}
    assert 5 <= causes["expired"] <= 25
    hours = [row for _, row in breaks(made) if row["cache_write_1h_tokens"]]
    assert len(hours) == 1
    rested = [
        row
        for rows in made.threads()
        for before, row in pairwise(rows)
        if row["cache_write_1h_tokens"] and row["started_at"] - before["started_at"] > 20 * MINUTE and row not in hours
    ]
    assert all(row["cache_read_tokens"] > 5000 for row in rested)
    assert len(rested) == 2


def test_tokens_agree_with_what_was_sent(made: Made) -> None:
    """Read, written and other input add up to the prompt, and the split of what was written to all of it."""
    for row in made.rows:
        if row["message_id"] is None:
            continue
        assert row["cache_write_tokens"] == row["cache_write_5m_tokens"] + row["cache_write_1h_tokens"]
        total = row["input_tokens"] + row["cache_read_tokens"] + row["cache_write_tokens"]
        assert total < row["request_bytes"] / 2
    largest = max((row["cache_read_tokens"] or 0) + (row["cache_write_tokens"] or 0) for row in made.rows)
    assert largest > 150_000


def test_times_hang_together(made: Made) -> None:
    """Answers begin after their requests, go on, and end; a conversation asks again only when it has heard."""
    for row in made.rows:
        if row["state"] != "interrupted":
            assert row["ended_at"] > row["started_at"]
        if row["first_token_ms"] is not None and row["duration_ms"] is not None:
            assert 0 < row["head_ms"] <= row["first_byte_ms"] <= row["first_token_ms"] <= row["duration_ms"]
    for rows in made.threads():
        for before, row in pairwise(rows):
            twice = made.store.body(row["id"], "request") == made.store.body(before["id"], "request")
            assert twice or row["started_at"] >= (before["ended_at"] or 0)


def test_tools_take_the_time_that_the_client_measured(made: Made) -> None:
    """Between an answer and the next request lies at least as long as the longest tool took."""
    checked = 0
    for rows in made.threads():
        for before, row in pairwise(rows):
            if row["tool_durations"] and before["ended_at"] and before["stop_reason"] == "tool_use":
                longest = max(int(entry.split("=")[1]) for entry in row["tool_durations"].split(";"))
                assert row["started_at"] - before["ended_at"] >= longest * 1000 - 1000
                checked += 1
    assert checked > 100


def test_a_person_takes_their_time(made: Made) -> None:
    """Without a word in the screenplay nobody waits for so long that the cache is cold; with one they do."""
    pauses = [
        (row["started_at"] - before["ended_at"]) / MINUTE
        for rows in made.threads()
        for before, row in pairwise(rows)
        if before["ended_at"] and before["stop_reason"] == "end_turn" and before["kind"] == "main"
    ]
    assert sum(pause > 5 for pause in pauses) >= 12
    assert sum(0.3 < pause < 4.5 for pause in pauses) >= 30


@pytest.mark.parametrize("words", ["advisory lock", "Retry-After", "kingfisher", "dark theme"])
def test_it_can_be_searched(made: Made, words: str) -> None:
    """What was said is found."""
    assert made.store.search(words, limit=5)


def test_sessions_have_titles(made: Made) -> None:
    """Every session of the person was named by the model."""
    page = made.store.sessions(Filter(), limit=100)
    named = [row for row in page.rows if row["title"]]
    assert len(named) == len(made.where(kind="title"))
    assert all(json.loads(row["title"])["title"] for row in named)


def test_every_request_comes_back_byte_for_byte(made: Made) -> None:
    """What the clients sent is what the store gives back, each body as often as it was sent; and nothing in it is amiss."""
    assert Counter(digest(made.store.body(row["id"], "request")) for row in made.rows) == made.asked
    assert list(checking.faults(made.store, lambda _: None)) == []


def test_streams_are_what_the_api_sends(made: Made) -> None:
    """A streamed answer begins with message_start, has a ping behind its first block, and ends with message_stop."""
    for row in made.where(kind="main", state="complete", status=200):
        body = made.store.body(row["id"], "response") or b""
        assert body.startswith(b"event: message_start\n")
        assert b'event: ping\ndata: {"type": "ping"}\n\n' in body
        assert row["api_error"] or b"event: message_stop\n" in body[-80:]
        timeline = made.store.timeline(row["id"])
        assert timeline is not None
        assert len(timeline.arrivals) == row["events"]
        assert len(set(timeline.arrivals)) > 3
