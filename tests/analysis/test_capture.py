"""What was captured, as frames: every row of the handmade capture as worked out by hand, the same by every way, and lazy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from analysis import AnalysisError, Capture
from analysis.dictionary import GRAINS
from analysis.engine import Engine
from tests.support import handmade
from tests.support.captures import Places, comparable, copied, filled, frame, opened
from tests.support.entries import T0, captured, exchange_id
from tests.support.handmade import MCP, MODEL, NEXT, OTHER, PROMPT, SESSION, SHOWN, SUMMARY

Row = dict[str, Any]
MAIN, THERE, LATER = f"{SESSION}/main", f"{OTHER}/main", f"{NEXT}/main"
A1, A2, A3 = (f"{SESSION}/a{number}" for number in (1, 2, 3))
DIGESTS = ("tip", "reply", "preamble")


def start(number: int, ms: float = 0) -> datetime:
    """Return the moment so many ms after the start of an exchange: exchange n starts n minutes after T0."""
    return datetime.fromtimestamp(T0 / 1e6, UTC) + timedelta(minutes=number, milliseconds=ms)


def request(number: int, session: str, thread: str | None, kind: str, sign: str, **more: Any) -> Row:
    """Return the row of an exchange of Claude Code that has no answer: what all have in common, and what is its own."""
    common = {
        "exchange_id": exchange_id(number), "session_id": session, "thread_id": thread, "kind": kind, "kind_sign": sign,
        "state": "complete", "started_at": start(number), "method": "POST", "path": "/v1/messages", "query": "beta=true",
        "provider": "anthropic", "requested_model": MODEL, "routed_model": MODEL, "model": MODEL, "stream": True, "demoted": False,
        "routed": False,
        "max_tokens": 32000, "client": "claude-cli", "client_version": "2.1.330", "entrypoint": "cli",
        "cwd": "/home/me/importer", "project": "importer", "response_bytes": 0,
    }  # fmt: skip
    return common | more


def answered(row: Row, ms: float, events: int, *tokens: int, hour: int = 0, **more: Any) -> Row:
    """Return a row with its streamed answer: when it ended, its events, and tokens: input, cache read, cache write."""
    number = int((row["started_at"] - start(0)) / timedelta(minutes=1))
    fresh, read, written = tokens
    return row | {
        "ended_at": start(number, ms), "status": 200, "response_model": MODEL, "request_id": "req_011",
        "response_id": f"msg_{number}", "stop_reason": "end_turn", "input_tokens": fresh, "output_tokens": 20,
        "cache_read_tokens": read, "cache_write_tokens": written, "cache_write_5m_tokens": written - hour,
        "cache_write_1h_tokens": hour, "context_tokens": fresh + read + written, "head_ms": 100.0, "first_byte_ms": 110.0,
        "first_token_ms": 130.0, "duration_ms": float(ms), "events": events,
    } | more  # fmt: skip


# Two pieces of content, the third event and the sixth, and 20 tokens in these 30 ms.
TWO_PIECES = {"gap_p50_ms": 30.0, "gap_p99_ms": 30.0, "gap_max_ms": 30.0, "tokens_per_second": pytest.approx(20 / 0.03)}
CALLS = {"stop_reason": "tool_use"}
EXPLORE = {"agent_id": "a1", "agent_type": "Explore"}
EXCHANGES = [
    answered(request(1, SESSION, MAIN, "main", "hint_header"), 200, 9, 10, 0, 1000, **CALLS, **TWO_PIECES),
    answered(
        request(2, SESSION, MAIN, "main", "hint_header", tool_durations="Bash=742"), 200, 9, 10, 1000, 200, **CALLS, **TWO_PIECES
    ),
    answered(request(3, SESSION, A1, "subagent", "hint_header", **EXPLORE), 170, 6, 10, 0, 500, **CALLS),
    answered(request(4, SESSION, A1, "subagent", "hint_header", **EXPLORE), 170, 6, 10, 500, 50),
    answered(
        request(5, SESSION, A2, "subagent", "hint_header", agent_id="a2", agent_type="custom"), 170, 6, 10, 0, 400, **CALLS
    ),
    answered(
        request(6, SESSION, A3, "subagent", "hint_header", agent_id="a3", agent_type="Explore", parent_agent_id="a2"),
        170, 6, 10, 0, 300, hour=300,
    ),
    answered(request(7, SESSION, None, "title", "schema", cwd=None, project=None), 170, 6, 10, 0, 0),
    answered(
        request(8, SESSION, MAIN, "main", "hint_header", tool_durations="Agent=120000"), 170, 6, 10, 1200, 300
    ),
    request(
        9, SESSION, None, "count_tokens", "path", path="/v1/messages/count_tokens", query="", stream=False, max_tokens=None,
        client=None, client_version=None, entrypoint=None, cwd=None, project=None, ended_at=start(9, 120), status=200,
        head_ms=100.0, first_byte_ms=110.0, duration_ms=120.0,
    ),
    request(
        10, SESSION, MAIN, "main", "hint_header", ended_at=start(10, 120), status=529, error="Overloaded",
        api_error="overloaded_error", head_ms=100.0, first_byte_ms=110.0, duration_ms=120.0,
    ),
    answered(request(11, OTHER, THERE, "main", "tools", state="client_left"), 170, 6, 50, 0, 0),
    answered(request(12, SESSION, MAIN, "compaction", "hint_header", compaction="auto"), 170, 6, 10, 1500, 0),
    answered(
        request(
            13, OTHER, THERE, "main", "tools", effort="high", thinking="adaptive", prompt_id="prompt-1", retry_count=1,
            account_id="account-1", device_id="device-1", web_searches=2,
            attempts='[{"kind":"connect","error":"Connection refused","status":null,"wait_ms":500.0}]',
            capture_note="a piece of the journal could not be read, so there is a hole in this record",
        ),
        260, 15, 60, 0, 0, stop_reason="stop_sequence", stop_sequence="###",
        # Pieces of content at 130, 190 and 220 ms: of two gaps the nearest rank of a half is the shorter one.
        gap_p50_ms=30.0, gap_p99_ms=60.0, gap_max_ms=60.0, tokens_per_second=pytest.approx(20 / 0.09),
    ),
    request(
        14, OTHER, THERE, "main", "tools", state="failed", error="the provider cannot be reached", error_kind="connect",
        ended_at=start(14, 5000), duration_ms=5000.0,
    ),
    answered(request(15, OTHER, "the thread of 15", "subagent", "hint_header"), 170, 6, 10, 0, 0),
    request(16, OTHER, THERE, "main", "tools", state="open", tool_durations=f"{MCP}=12.5;Agent=7"),
    answered(request(2000, NEXT, LATER, "main", "tools"), 140, 3, 10, 0, 0, first_token_ms=None),
]  # fmt: skip


def rows(found: pl.DataFrame, *without: str) -> list[Row]:
    """Return rows without their nulls."""
    return [
        {name: value for name, value in row.items() if value is not None}
        for row in found.drop(without).rows(named=True)
    ]


def said(*expected: Mapping[str, Any]) -> list[Row]:
    """Return expected rows without their nulls."""
    return [{name: value for name, value in row.items() if value is not None} for row in expected]


def nodes(capture: Capture) -> dict[str, str]:
    """Return the digests of messages by a name that says where they stand: t8 is the last message of request 8, r8 its answer."""
    found: dict[str, str] = {}
    for identity, tip, reply in capture.exchanges().select("exchange_id", "tip", "reply").collect().iter_rows():
        number = next(n for n in [*range(1, 17), 2000] if exchange_id(n) == identity)
        found |= {name: digest for name, digest in ((f"t{number}", tip), (f"r{number}", reply)) if digest}
    return found


def test_exchanges_are_as_captured(capture: Capture) -> None:
    """Each exchange is a row with all that was seen of it, in order of time."""
    found = frame(capture, "exchanges")
    nameless = f"{OTHER}/{nodes(capture)['t15'][:16]}"
    sizes = {
        one.id: {
            "request_bytes": len(one.request),
            "response_bytes": sum(len(piece) for _, piece in one.chunks),
        }
        for one in handmade.exchanges()
    }
    expected = [row | sizes[row["exchange_id"]] for row in EXCHANGES]
    expected[14]["thread_id"] = nameless
    assert rows(found, *DIGESTS) == said(*expected)


def test_exchanges_point_into_the_tree(capture: Capture) -> None:
    """Requests that end with the same message have the same tip, and every exchange with the same prompt the same preamble."""
    found = {row["exchange_id"]: row for row in frame(capture, "exchanges").rows(named=True)}
    named = nodes(capture)
    assert named["t1"] == named["t9"]
    assert named["t8"] == named["t10"]
    assert named["t11"] == named["t14"]
    assert len(set(named.values())) == len(named) - 3
    unanswered = [identity for identity, row in found.items() if row["reply"] is None]
    assert unanswered == handmade.ids(9, 10, 14, 16, 2000)
    preambles = {identity: row["preamble"] for identity, row in found.items()}
    assert preambles[exchange_id(9)] is None
    assert len({preambles[identity] for identity in found if identity not in handmade.ids(7, 9)}) == 1
    assert preambles[exchange_id(7)] not in (None, preambles[exchange_id(1)])


def run(start_of: int, end: datetime, exchanges: int, turns: int, errors: int, *tokens: int, hour: int = 0) -> Row:
    """Return the sums of a session or thread: tokens are input, output, cache read and cache write."""
    fresh, output, read, written = tokens
    return {
        "started_at": start(start_of), "ended_at": end, "exchanges": exchanges, "turns": turns, "errors": errors,
        "input_tokens": fresh, "output_tokens": output, "cache_read_tokens": read, "cache_write_tokens": written,
        "cache_write_5m_tokens": written - hour, "cache_write_1h_tokens": hour, "models": [MODEL],
    }  # fmt: skip


def test_sessions_are_summed_up(capture: Capture) -> None:
    """Each session is a row: its title, its place, and the sums over all that belongs to it."""
    common = {"project": "importer", "cwd": "/home/me/importer", "client_version": "2.1.330"}
    assert rows(frame(capture, "sessions")) == [
        {"session_id": SESSION, "title": "Flaky importer test", "agents": 3}
        | common
        | run(1, start(12, 170), 11, 4, 1, 90, 180, 4200, 2750, hour=300),
        {"session_id": OTHER, "title": "Hello there", "agents": 1}
        | common
        | run(11, start(16), 5, 4, 1, 120, 60, 0, 0),
        {"session_id": NEXT, "title": "Good morning", "agents": 0}
        | common
        | run(2000, start(2000, 140), 1, 1, 0, 10, 20, 0, 0),
    ]


def test_threads_are_a_tree(capture: Capture) -> None:
    """Each agent's run is a row that says who started it, by which call, how deep it stands, and what it took."""
    nameless = f"{OTHER}/{nodes(capture)['t15'][:16]}"
    main = {"agent": "main", "depth": 0}
    assert rows(frame(capture, "threads")) == [
        main
        | {"thread_id": MAIN, "session_id": SESSION, "model_ms": 860.0}
        | run(1, start(12, 170), 5, 4, 1, 40, 80, 3700, 1500),
        {
            "thread_id": A1, "session_id": SESSION, "agent_id": "a1", "agent": "Explore", "parent_thread_id": MAIN,
            "spawn_tool_use_id": "toolu_2", "depth": 1, "model_ms": 340.0,
        }
        | run(3, start(4, 170), 2, 2, 0, 20, 40, 500, 550),
        {
            "thread_id": A2, "session_id": SESSION, "agent_id": "a2", "agent": "reviewer", "parent_thread_id": MAIN,
            "spawn_tool_use_id": "toolu_3", "depth": 1, "model_ms": 170.0,
        }
        | run(5, start(5, 170), 1, 1, 0, 10, 20, 0, 400),
        {
            "thread_id": A3, "session_id": SESSION, "agent_id": "a3", "agent": "Explore", "parent_thread_id": A2,
            "spawn_tool_use_id": "toolu_5", "depth": 2, "model_ms": 170.0,
        }
        | run(6, start(6, 170), 1, 1, 0, 10, 20, 0, 300, hour=300),
        main
        | {"thread_id": THERE, "session_id": OTHER, "model_ms": 5430.0}
        | run(11, start(16), 4, 4, 1, 110, 40, 0, 0),
        {
            "thread_id": nameless, "session_id": OTHER, "agent": "subagent", "parent_thread_id": THERE,
            "spawn_tool_use_id": "toolu_7", "depth": 1, "model_ms": 170.0,
        }
        | run(15, start(15, 170), 1, 1, 0, 10, 20, 0, 0),
        main
        | {"thread_id": LATER, "session_id": NEXT, "model_ms": 140.0}
        | run(2000, start(2000, 140), 1, 1, 0, 10, 20, 0, 0),
    ]  # fmt: skip


# name, parent, depth, blocks, characters; the name also says by which exchange it came
MESSAGES = [
    ("t1", None, 0, 2, 73), ("r1", "t1", 1, 2, 30), ("t2", "r1", 2, 1, 8), ("r2", "t2", 3, 2, 118),
    ("t3", None, 0, 1, 29), ("r3", "t3", 1, 1, 27), ("t4", "r3", 2, 1, 5), ("r4", "t4", 3, 1, 9),
    ("t5", None, 0, 1, 10), ("r5", "t5", 1, 1, 54), ("t6", None, 0, 1, 15), ("r6", "t6", 1, 1, 5),
    ("t7", None, 0, 1, 27), ("r7", "t7", 1, 1, 32), ("t8", "r2", 4, 2, 26), ("r8", "t8", 5, 1, 7),
    ("t11", None, 0, 1, 11), ("r11", "t11", 1, 1, 3), ("t12", "r8", 6, 1, len(SUMMARY)), ("r12", "t12", 7, 1, 13),
    ("t13", "r11", 2, 2, len(SHOWN)), ("r13", "t13", 3, 4, 65), ("t15", None, 0, 1, 11), ("r15", "t15", 1, 1, 5),
    ("t16", "r13", 4, 1, 5), ("t2000", None, 0, 1, 12),
]  # fmt: skip


def test_messages_stand_in_their_place(capture: Capture) -> None:
    """Each message is a row once, however many requests repeat it, with the exchange that brought it."""
    named = nodes(capture)
    of_exchange = {row["exchange_id"]: row for row in frame(capture, "exchanges").rows(named=True)}
    expected = []
    for name, parent, depth, blocks, characters in MESSAGES:
        exchange = of_exchange[exchange_id(int(name[1:]))]
        expected.append(
            {
                "node": named[name], "parent": named[parent] if parent else None, "depth": depth,
                "role": "user" if name[0] == "t" else "assistant", "blocks": blocks, "characters": characters,
                **{key: exchange[key] for key in ("exchange_id", "session_id", "thread_id")},
            }
        )  # fmt: skip
    assert rows(frame(capture, "messages", bodies=False)) == said(*expected)


def test_the_json_of_messages_is_what_was_sent(capture: Capture) -> None:
    """With bodies each message has its JSON: of a request as it stood there, of an answer as the client would send it back."""
    texts = dict(frame(capture, "messages").select("node", "json").iter_rows())
    found = {name: texts[digest] for name, digest in nodes(capture).items()}
    for one in handmade.exchanges():
        last = json.dumps(json.loads(one.request)["messages"][-1])
        assert found[f"t{int(one.id[9:13], 16)}"] == last.replace("half\\ud83d", "half\\ufffd")
    assert json.loads(found["r8"]) == {"role": "assistant", "content": [{"type": "text", "text": "Mended."}]}
    assert json.loads(found["r1"]) == json.loads(handmade.exchanges()[1].request)["messages"][1]


# message, position, type, tool_name, tool_use_id, is_error, text
BLOCKS = [
    ("t1", 0, "text", None, None, None, "<system-reminder>\nBe brief.\n</system-reminder>"),
    ("t1", 1, "text", None, None, None, "Fix the flaky importer test"),
    ("r1", 0, "text", None, None, None, "I look."),
    ("r1", 1, "tool_use", "Bash", "toolu_1", None, '{"command":"pytest -x"}'),
    ("t2", 0, "tool_result", None, "toolu_1", True, "1 failed"),
    ("r2", 0, "tool_use", "Agent", "toolu_2", None, f'{{"subagent_type":"Explore","prompt":"{PROMPT}"}}'),
    ("r2", 1, "tool_use", "Agent", "toolu_3", None, '{"subagent_type":"reviewer","prompt":"Review it."}'),
    ("t3", 0, "text", None, None, None, PROMPT),
    ("r3", 0, "tool_use", "Read", "toolu_4", None, '{"file_path":"importer.py"}'),
    ("t4", 0, "tool_result", None, "toolu_4", None, "x = 1"),
    ("r4", 0, "text", None, None, None, "All read."),
    ("t5", 0, "text", None, None, None, "Review it."),
    ("r5", 0, "tool_use", "Agent", "toolu_5", None, '{"subagent_type":"Explore","prompt":"Look once more."}'),
    ("t6", 0, "text", None, None, None, "Look once more."),
    ("r6", 0, "text", None, None, None, "Seen."),
    ("t7", 0, "text", None, None, None, "Fix the flaky importer test"),
    ("r7", 0, "text", None, None, None, '{"title": "Flaky importer test"}'),
    ("t8", 0, "tool_result", None, "toolu_2", None, "All read.\nagentId: a1"),
    ("t8", 1, "tool_result", None, "toolu_3", None, "Fine."),
    ("r8", 0, "text", None, None, None, "Mended."),
    ("t11", 0, "text", None, None, None, "Hello there"),
    ("r11", 0, "text", None, None, None, "Hi."),
    ("t12", 0, "text", None, None, None, SUMMARY),
    ("r12", 0, "text", None, None, None, "It was flaky."),
    ("t13", 0, "text", None, None, None, SHOWN.replace("\0", "\ufffd")),
    ("t13", 1, "image", None, None, None, None),
    ("r13", 0, "server_tool_use", "web_search", "srvtoolu_1", None, '{"query":"flaky"}'),
    ("r13", 1, "web_search_tool_result", None, "srvtoolu_1", None, "nothing"),
    ("r13", 2, "tool_use", MCP, "toolu_6", None, '{"words":"flaky"}'),
    ("r13", 3, "tool_use", "Agent", "toolu_7", None, '{"prompt":"Work alone."}'),
    ("t15", 0, "text", None, None, None, "Work alone."),
    ("r15", 0, "text", None, None, None, "Done."),
    ("t16", 0, "tool_result", None, "toolu_6", None, "found"),
    ("t2000", 0, "text", None, None, None, "Good morning"),
]


def test_blocks_are_what_was_said(capture: Capture) -> None:
    """Each content block is a row with its text, length, tool and call; half a character is one that says so."""
    named = nodes(capture)
    expected = [
        {
            "node": named[name], "position": position, "role": "user" if name[0] == "t" else "assistant", "type": kind,
            "tool_name": tool, "tool_use_id": call, "is_error": is_error, "characters": len(text or ""), "text": text,
        }
        for name, position, kind, tool, call, is_error, text in BLOCKS
    ]  # fmt: skip
    expected.sort(key=lambda row: (row["node"], row["position"]))
    assert rows(comparable(frame(capture, "blocks"))) == said(*expected)


def call(tool: str, name: str, exchange: int, node: str, given: str, **more: Any) -> Row:
    """Return the row of a call that has no result yet; `node` is the answer in which it stands."""
    ended = next(row["ended_at"] for row in EXCHANGES if row["exchange_id"] == exchange_id(exchange))
    common = {
        "tool_use_id": tool, "exchange_id": exchange_id(exchange), "called_at": ended, "model": MODEL, "tool_name": name,
        "input_characters": len(given), "input": given, "answered": False, "node": node,
    }  # fmt: skip
    return common | more


def result(exchange: int, node: str, text: str, wire_ms: float | None, *, is_error: bool = False, **more: Any) -> Row:
    """Return what a result adds to the row of its call."""
    return {
        "answered": True, "result_exchange_id": exchange_id(exchange), "result_node": node, "result": text,
        "result_characters": len(text), "wire_ms": wire_ms, "is_error": is_error,
    } | more  # fmt: skip


def test_tool_calls_have_their_results(capture: Capture) -> None:
    """Each call is a row with its result: what came back, how long the wire shows it took, and what the client measured.

    The client measures by name: of two calls of Agent in one answer it says nothing. What runs on the server has its result
    in the same answer, so the wire shows no time.
    """
    named = nodes(capture)
    n1, n2, n3, n5, n13 = (named[f"r{number}"] for number in (1, 2, 3, 5, 13))
    main, there = {"session_id": SESSION, "thread_id": MAIN}, {"session_id": OTHER, "thread_id": THERE}
    a1, a2 = {"session_id": SESSION, "thread_id": A1}, {"session_id": SESSION, "thread_id": A2}
    text = {(name, position): words for name, position, *_, words in BLOCKS}
    assert rows(frame(capture, "tool_calls")) == said(
        call("toolu_1", "Bash", 1, n1, text["r1", 1])
        | main
        | result(2, named["t2"], "1 failed", 59_800.0, is_error=True, client_ms=742.0),
        call("toolu_2", "Agent", 2, n2, text["r2", 0])
        | main
        | result(8, named["t8"], "All read.\nagentId: a1", 359_800.0),
        call("toolu_3", "Agent", 2, n2, text["r2", 1]) | main | result(8, named["t8"], "Fine.", 359_800.0),
        call("toolu_4", "Read", 3, n3, text["r3", 0]) | a1 | result(4, named["t4"], "x = 1", 59_830.0),
        call("toolu_5", "Agent", 5, n5, text["r5", 0]) | a2,
        call("srvtoolu_1", "web_search", 13, n13, text["r13", 0]) | there | result(13, n13, "nothing", None),
        call("toolu_6", MCP, 13, n13, text["r13", 2], mcp_server="git_hub")
        | there
        | result(16, named["t16"], "found", 179_740.0, client_ms=12.5),
        call("toolu_7", "Agent", 13, n13, text["r13", 3]) | there,
    )


def test_events_have_the_times_at_which_they_came(capture: Capture) -> None:
    """Each event of an answer is a row: the first 110 ms after the start, then one every 10 ms, with its kind and size."""
    found = frame(capture, "events")
    per_exchange = dict(found.group_by("exchange_id").len().iter_rows())
    expected = {1: 9, 2: 9, 13: 15, 2000: 3} | dict.fromkeys((3, 4, 5, 6, 7, 8, 11, 12, 15), 6)
    assert per_exchange == {exchange_id(number): events for number, events in expected.items()}
    kinds = [
        "message_start", "content_block_start", "text_delta", "content_block_stop", "content_block_start", "input_json_delta",
        "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip
    pieces = [piece for _, piece in handmade.exchanges()[0].chunks]
    assert rows(found.filter(pl.col("exchange_id") == exchange_id(1))) == [
        {
            "exchange_id": exchange_id(1), "position": position, "arrived_at": start(1, 110 + 10 * position),
            "at_ms": 110.0 + 10 * position, "gap_ms": 10.0 if position else 110.0, "kind": kind,
            "bytes": len(piece.partition(b"data: ")[2].rstrip()),
        }
        for position, (kind, piece) in enumerate(zip(kinds, pieces, strict=True))
    ]  # fmt: skip


def test_prompt_parts_are_tools_and_system_blocks(capture: Capture) -> None:
    """Each tool and system block of a distinct prompt is a row, tools first; the billing line is none of them."""
    found = frame(capture, "prompt_parts")
    prompts = frame(capture, "exchanges").select("exchange_id", "preamble")
    by_exchange = dict(prompts.iter_rows())
    usual, naming = by_exchange[exchange_id(1)], by_exchange[exchange_id(7)]
    parts = [("tool", tool["name"], tool) for tool in handmade.TOOLS] + [("system", None, handmade.SYSTEM[1])]
    expected = [
        {
            "preamble": usual, "position": position, "kind": kind, "name": name, "bytes": len(json.dumps(part)),
            "json": json.dumps(part),
        }
        for position, (kind, name, part) in enumerate(parts)
    ]  # fmt: skip
    alone = json.dumps(handmade.text("You are naming a coding session."))
    expected.append({"preamble": naming, "position": 0, "kind": "system", "bytes": len(alone), "json": alone})
    expected.sort(key=lambda row: (row["preamble"], row["position"]))
    assert rows(found, "part") == said(*expected)
    assert found["part"].n_unique() == 5


@pytest.mark.parametrize("grain", GRAINS)
def test_every_way_gives_the_same(capture: Capture, attached: Capture, grain: str) -> None:
    """Attached or copied, from a file, a database or Parquet: the frames are equal, their types and order included."""
    assert_frame_equal(comparable(frame(capture, grain)), comparable(frame(attached, grain)))


@pytest.mark.parametrize("grain", GRAINS)
def test_without_bodies_the_rows_are_the_same(capture: Capture, grain: str) -> None:
    """Columns of any length come on request only, and change nothing in the others."""
    long = [column.name for column in GRAINS[grain].columns if column.body]
    assert_frame_equal(frame(capture, grain, bodies=False), frame(capture, grain).drop(long))


def test_a_copy_takes_every_column_as_it_was_declared(tmp_path: Path) -> None:
    """What is null in the first thousands of rows is understood as well as what is not."""
    content = [handmade.text("x")] * 3000 + [handmade.call("Bash", 1, command="ls")]
    body = {"model": "m", "messages": [{"role": "assistant", "content": content}]}
    path = filled(tmp_path / "captures.db", [captured(1, body)])
    with copied(path) as capture, opened(path) as attached:
        for grain in GRAINS:
            assert_frame_equal(frame(capture, grain), frame(attached, grain))
        assert frame(capture, "tool_calls")["tool_name"].to_list() == ["Bash"]


def test_an_empty_store_has_frames_without_rows(empty: Capture) -> None:
    """Where nothing was captured yet everything works, and there is nothing in it."""
    for grain in GRAINS:
        assert frame(empty, grain).height == 0
    assert repr(empty).endswith("0 exchanges, nothing captured yet>")
    assert empty.sql("SELECT count(*) AS n FROM exchanges").item() == 0
    assert empty.exchanges().filter(pl.col("input_tokens") > 1).select("model").head(3).collect().is_empty()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], int | None]]:
    """Give the list of what frames ask for from now on: which columns, and how many rows at most."""
    queries: list[tuple[list[str], int | None]] = []
    scan = Engine.scan

    def noted(engine: Engine, query: str, wanted: Any, most: int | None) -> Any:
        """Note the query, and run it."""
        queries.append((query.removeprefix("SELECT ").partition(" FROM ")[0].split(", "), most))
        return scan(engine, query, wanted, most)

    monkeypatch.setattr(Engine, "scan", noted)
    return queries


def test_nothing_is_read_before_it_is_collected(attached: Capture, asked: list[Any]) -> None:
    """A frame is a plan: making one, and working on it, asks the store for nothing; collecting asks once."""
    frames = [getattr(attached, grain)() for grain in GRAINS]
    plan = attached.exchanges().filter(pl.col("kind") == "main").group_by("model").agg(pl.col("output_tokens").sum())
    assert [one.collect_schema().names() for one in frames] == [list(grain.schema()) for grain in GRAINS.values()]
    assert asked == []
    assert plan.collect().rows() == [(MODEL, 120)]  # 1, 2, 8, 11, 13 and 2000 have 20 each; 10, 14 and 16 have none
    assert len(asked) == 1


def test_only_the_columns_that_are_used_are_asked_for(attached: Capture, asked: list[Any]) -> None:
    """A selection, a filter and an aggregation read their own columns and no others."""
    attached.exchanges().select("model").collect()
    attached.exchanges().filter(pl.col("status") == 529).select("exchange_id").collect()
    attached.blocks(bodies=True).group_by("type").len().collect()
    attached.messages(bodies=True).select("json").head(3).collect()
    assert asked == [(["model"], None), (["exchange_id", "status"], None), (["type"], None), (["json"], 3)]


@pytest.mark.parametrize("rest", ["filter", "select", "nothing"])
def test_the_first_rows_are_taken_before_what_follows(capture: Capture, rest: str) -> None:
    """`head` means the first rows of the frame, not the first ones that a later filter lets through."""
    first = capture.exchanges().head(4)
    narrowed = {
        "filter": first.filter(pl.col("kind") == "subagent"),
        "select": first.select("exchange_id", "kind").filter(pl.col("kind") == "subagent"),
        "nothing": first.filter(pl.col("kind") == "subagent").head(9),
    }[rest].collect()
    assert narrowed["exchange_id"].to_list() == handmade.ids(3, 4)


FILTERS = {
    "kind": pl.col("kind") == "main",
    "input_tokens": pl.col("input_tokens") >= 10,
    "status": pl.col("status").is_null(),
    "started_at": pl.col("started_at") > start(4),
    "model": pl.col("model").str.contains("opus"),
    "session_id": pl.col("session_id").is_in([OTHER, NEXT]),
    "duration_ms": pl.col("duration_ms") < 200,
}
STEPS = st.one_of(
    st.tuples(st.just("filter"), st.sampled_from(sorted(FILTERS))),
    st.tuples(st.just("select"), st.sets(st.sampled_from(sorted(FILTERS)), min_size=1)),
    st.tuples(st.just("head"), st.integers(0, 20)),
    st.tuples(st.just("tail"), st.integers(0, 20)),
    st.tuples(st.just("slice"), st.tuples(st.integers(-20, 20), st.integers(0, 20))),
    st.tuples(st.just("reverse"), st.none()),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=6))
def test_steps_in_any_order_are_right(capture: Capture, steps: list[tuple[str, Any]]) -> None:
    """Filters, selections and pieces in any order give what they give on the frame that was read whole."""
    lazy, eager = capture.exchanges(), frame(capture, "exchanges")
    for step, argument in steps:
        if step == "filter" and argument in eager.columns:
            lazy, eager = lazy.filter(FILTERS[argument]), eager.filter(FILTERS[argument])
        elif step == "select":
            left = [name for name in eager.columns if name in argument] or eager.columns[:1]
            lazy, eager = lazy.select(left), eager.select(left)
        elif step in ("head", "tail"):
            lazy, eager = getattr(lazy, step)(argument), getattr(eager, step)(argument)
        elif step == "slice":
            lazy, eager = lazy.slice(*argument), eager.slice(*argument)
        elif step == "reverse":
            lazy, eager = lazy.reverse(), eager.reverse()
    assert_frame_equal(lazy.collect(), eager)


def test_it_says_what_it_is(capture: Capture, places: Places) -> None:
    """Place, way, number and span stand in its repr, and never a user or a password."""
    span = "17 exchanges, 2025-10-09 08:54 to 2025-10-10 18:13 UTC"
    assert repr(capture) == f"<captures at {capture.place}, {capture.way}, {span}>"
    assert capture.way in ("attached", "copied by Arrow", "Parquet")
    if capture.place.startswith("postgresql"):
        assert capture.place.startswith("postgresql://127.0.0.1:")
        assert "@" not in capture.place
    else:
        assert capture.place in (str(places.sqlite), str(places.parquet))


def test_a_notebook_shows_it_as_a_table_that_escapes(tmp_path: Path) -> None:
    """What stands in the place is text for HTML, too; one exchange is not called exchanges."""
    folder = tmp_path / "<b>&'x"
    folder.mkdir()
    with opened(filled(folder / "captures.db", handmade.exchanges()[:1])) as capture:
        shown = capture._repr_html_()
        assert "1 exchange," in repr(capture)
    assert "<b>" not in shown
    assert "&lt;b&gt;&amp;&#x27;x/captures.db" in shown
    for fact in ("attached", "1 exchange<", "2025-10-09 08:54 to 2025-10-09 08:54 UTC"):
        assert fact in shown


def test_what_is_closed_says_so(places: Places) -> None:
    """After the end of its block nothing is read any more, also by frames that were made before."""
    with opened(places.sqlite) as capture:
        plan = capture.exchanges()
        assert plan.head(1).collect().height == 1
    for use in (plan.collect, lambda: capture.sql("SELECT 1"), lambda: capture.body(exchange_id(1), "request")):
        with pytest.raises(Exception, match="were closed; open them again"):
            use()
    with pytest.raises(AnalysisError, match="were closed"):
        repr(capture)
