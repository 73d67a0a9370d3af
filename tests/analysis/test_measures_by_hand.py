"""Each measure of the handmade capture, from the wire through a store to the figure, worked out by hand.

Figures of time: an answer of n blocks ends 170, 200 or 260 ms after it was asked for (n is 1, 2 or 4), its first piece of content
comes after 130 ms, and the next exchange a minute after the one before. Figures of content: the system prompt weighs 85 bytes, the
three tools 78, 78 and 80, and each text as many as it has characters.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from analysis import Capture, measures
from ccproxy.records import Captured
from tests.support import handmade, routed
from tests.support.captures import filled, opened
from tests.support.handmade import (
    MCP,
    NEXT,
    OTHER,
    PROMPT,
    SESSION,
    SUMMARY,
    answer,
    asked,
    assistant,
    call,
    result,
    text,
    user,
)

# What claude-opus-5-5 costs, in USD per million tokens and per thousand searches: the list's own figures.
INPUT, READ, WRITE_5M, WRITE_1H, OUTPUT, SEARCHES = 4.0, 0.2, 5.0, 8.0, 20.0, 10.0
SYSTEM, TOOLS = 85, 78 + 78 + 80
FIRST = SYSTEM + TOOLS + 46 + 27  # the first request: a reminder and a question
SECOND = FIRST + 7 + 23 + 8  # "I look.", the call of Bash and its result
EIGHTH = SECOND + 59 + 59 + 21 + 5  # two calls of agents, and their results
TWELFTH = EIGHTH + 7 + len(SUMMARY)
MAIN, A1, A2, A3 = (f"{SESSION}/{name}" for name in ("main", "a1", "a2", "a3"))


def usd(*, fresh: int = 10, read: int = 0, short: int = 0, long: int = 0, output: int = 20, searches: int = 0) -> float:
    """Return what an answer with this usage costs."""
    tokens = fresh * INPUT + read * READ + short * WRITE_5M + long * WRITE_1H + output * OUTPUT
    return tokens / 1e6 + searches * SEARCHES / 1e3


COSTS = {
    1: usd(short=1000), 2: usd(read=1000, short=200), 3: usd(short=500), 4: usd(read=500, short=50), 5: usd(short=400), 6: usd(long=300),
    7: usd(), 8: usd(read=1200, short=300), 9: 0.0, 10: 0.0, 11: usd(fresh=50), 12: usd(read=1500), 13: usd(fresh=60, searches=2),
    14: 0.0, 15: usd(), 16: 0.0, 2000: usd(),
}  # fmt: skip


def number(exchange_id: str) -> int:
    """Return the number of an exchange of the handmade capture."""
    return uuid.UUID(exchange_id).int >> 80


def by_number(found: pl.LazyFrame, *columns: str) -> dict[int, Any]:
    """Return rows by the number of their exchange: a value, or several."""
    rows = found.select("exchange_id", *columns).collect().iter_rows()
    return {number(exchange): values[0] if len(columns) == 1 else tuple(values) for exchange, *values in rows}


def rows(found: pl.LazyFrame, *columns: str) -> list[tuple[Any, ...]]:
    """Return rows with these columns."""
    return found.select(columns).collect().rows()


def test_cost(attached: Capture) -> None:
    """Each exchange costs what its usage comes to: input, reads, writes of both lives, output and searches."""
    found = measures.cost(attached.exchanges())
    assert by_number(found, "cost_usd") == pytest.approx(COSTS)
    parts = ("input_usd", "cache_read_usd", "cache_write_usd", "output_usd", "web_search_usd")
    assert by_number(found, *parts)[6] == pytest.approx(
        (10 * INPUT / 1e6, 0, 300 * WRITE_1H / 1e6, 20 * OUTPUT / 1e6, 0)
    )
    assert by_number(found, *parts)[13] == pytest.approx(
        (60 * INPUT / 1e6, 0, 0, 20 * OUTPUT / 1e6, 2 * SEARCHES / 1e3)
    )


def test_saved(attached: Capture) -> None:
    """A read saves what input costs more, and a write costs what it takes beyond input."""
    found = by_number(measures.saved(attached.exchanges()), "saved_usd")
    expected = {
        1: -1000 * (WRITE_5M - INPUT), 2: 1000 * (INPUT - READ) - 200 * (WRITE_5M - INPUT), 3: -500 * (WRITE_5M - INPUT),
        4: 500 * (INPUT - READ) - 50 * (WRITE_5M - INPUT), 5: -400 * (WRITE_5M - INPUT), 6: -300 * (WRITE_1H - INPUT),
        8: 1200 * (INPUT - READ) - 300 * (WRITE_5M - INPUT), 12: 1500 * (INPUT - READ),
    }  # fmt: skip
    assert found == {exchange: pytest.approx(expected.get(exchange, 0) / 1e6) for exchange in COSTS}


def test_cache(attached: Capture) -> None:
    """All that was answered is counted, also where the client had left: 4200 of 7170 tokens of input were read."""
    [found] = measures.cache(attached.exchanges()).collect().to_dicts()
    assert found == {
        "model": handmade.MODEL, "exchanges": 13, "input_tokens": 11 * 10 + 50 + 60, "cache_read_tokens": 1000 + 500 + 1200 + 1500,
        "cache_write_tokens": 2750, "cache_write_5m_tokens": 2450, "cache_write_1h_tokens": 300, "output_tokens": 13 * 20,
        "hit_ratio": pytest.approx(4200 / 7170),
    }  # fmt: skip
    assert rows(measures.cache(attached.exchanges(), by="kind"), "kind", "exchanges", "cache_read_tokens") == [
        ("compaction", 1, 1500), ("main", 6, 2200), ("subagent", 5, 500), ("title", 1, 0),
    ]  # fmt: skip


def test_unread(attached: Capture) -> None:
    """What 2 wrote was due in 5 minutes and 8 came after 6; what the last of a thread wrote nobody read."""
    found = by_number(measures.unread(attached.exchanges()), "written_tokens", "unread_tokens")
    assert found == {
        1: (1000, 0), 2: (200, 200), 3: (500, 0), 4: (50, 50), 5: (400, 400), 6: (300, 300), 8: (300, 0),
    }  # fmt: skip


def test_breaks(attached: Capture) -> None:
    """Nothing was lost: threads begin, and a prompt of 50 tokens left nothing for the one after it."""
    found = measures.breaks(attached.exchanges(), attached.messages(), attached.prompt_parts())
    assert by_number(found, "cause") == {
        **dict.fromkeys((1, 3, 5, 6, 11, 15, 2000), "first_request"), 13: "below_minimum",
    }  # fmt: skip
    assert by_number(found, "previous_exchange_id", "gap_s", "lost_tokens", "lost_usd")[13] == (
        *handmade.ids(11), 120.0, 0, 0.0,
    )  # fmt: skip


def test_context(attached: Capture) -> None:
    """Each request's tokens are split by the characters of all that it carried."""
    found = measures.context(
        attached.exchanges(), attached.messages(), attached.blocks(bodies=True), attached.prompt_parts()
    )
    held: dict[int, dict[tuple[str, str | None], tuple[int, float]]] = {}
    for exchange, category, name, characters, tokens in rows(
        found, "exchange_id", "category", "name", "characters", "tokens"
    ):
        held.setdefault(number(exchange), {})[category, name] = (characters, tokens)
    assert held[8] == {
        kind: (characters, pytest.approx(characters / EIGHTH * 1510))
        for kind, characters in {
            ("system", None): SYSTEM, ("tools", None): TOOLS, ("reminder", None): 46, ("user", None): 27, ("assistant", None): 7,
            ("tool_call", "Bash"): 23, ("tool_call", "Agent"): 118, ("tool_result", "Bash"): 8, ("tool_result", "Agent"): 26,
        }.items()
    }  # fmt: skip
    # An image has no characters, and weighs 6400 of them.
    assert held[13]["image", None] == (
        0,
        pytest.approx(60 * 6400 / (6400 + SYSTEM + TOOLS + 11 + 3 + len(handmade.SHOWN))),
    )
    assert sorted(held) == [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 15, 2000]
    totals = {exchange: sum(tokens for _, tokens in kinds.values()) for exchange, kinds in held.items()}
    asked_for = by_number(attached.exchanges().drop_nulls("context_tokens"), "context_tokens")
    assert totals == pytest.approx(asked_for)


def test_tool_results(attached: Capture) -> None:
    """A result costs its share of each request that carried it: that of Bash of three, the agents' of two."""
    found = measures.tool_results(attached.exchanges(), attached.messages(), attached.blocks(), attached.prompt_parts())
    second = (10 * INPUT + 1000 * READ + 200 * WRITE_5M) / 1e6  # what the input of an exchange cost
    fourth = (10 * INPUT + 500 * READ + 50 * WRITE_5M) / 1e6
    eighth = (10 * INPUT + 1200 * READ + 300 * WRITE_5M) / 1e6
    twelfth = (10 * INPUT + 1500 * READ) / 1e6
    of_fourth = SYSTEM + TOOLS + len(PROMPT) + 27 + 5
    late, late_usd = 1510 / EIGHTH + 1510 / TWELFTH, eighth / EIGHTH + twelfth / TWELFTH  # of a character, in 8 and 12
    assert rows(found, "tool_use_id", "tool_name", "characters", "requests") == [
        ("toolu_1", "Bash", 8, 3), ("toolu_4", "Read", 5, 1), ("toolu_2", "Agent", 21, 2), ("toolu_3", "Agent", 5, 2),
    ]  # fmt: skip
    assert rows(found, "tokens", "token_turns", "cost_usd") == [
        pytest.approx((8 / SECOND * 1210, 8 * (1210 / SECOND + late), 8 * (second / SECOND + late_usd))),
        pytest.approx((5 / of_fourth * 560, 5 / of_fourth * 560, 5 / of_fourth * fourth)),
        pytest.approx((21 / EIGHTH * 1510, 21 * late, 21 * late_usd)),
        pytest.approx((5 / EIGHTH * 1510, 5 * late, 5 * late_usd)),
    ]


def test_compactions(attached: Capture) -> None:
    """12 summarises what 8 had grown to, and nothing came after it; 10, which was refused, is passed over."""
    found = measures.compactions(attached.exchanges(), attached.messages())
    assert by_number(found, "thread_id", "trigger", "before_tokens", "after_tokens", "dropped_tokens", "dropped_messages") == {
        12: (MAIN, "auto", 1510, None, None, None)
    }  # fmt: skip


def test_latency(attached: Capture) -> None:
    """Of twelve answers that were whole eight had one block, two had two, one had four and one had none."""
    [found] = measures.latency(attached.exchanges()).collect().to_dicts()
    assert found == {
        "model": handmade.MODEL, "exchanges": 12,
        "first_byte_p50_ms": 110.0, "first_byte_p90_ms": 110.0, "first_byte_p99_ms": 110.0,
        "first_token_p50_ms": 130.0, "first_token_p90_ms": 130.0, "first_token_p99_ms": 130.0,
        "duration_p50_ms": 170.0, "duration_p90_ms": 200.0, "duration_p99_ms": 260.0,  # the 6th, 11th and 12th of twelve
        # 20 tokens in the 30 ms between two pieces, and in the 90 ms from the first of four blocks to the last
        "tokens_per_second_p50": pytest.approx(20 / 0.03), "tokens_per_second_p10": pytest.approx(20 / 0.09),
        "gap_max_p99_ms": 60.0, "stalls": 0,
    }  # fmt: skip


def test_banded(attached: Capture) -> None:
    """The day and hour of a start, the size of the context, and how much of it was read: 12 all but 10 tokens."""
    found = measures.banded(attached.exchanges())
    state = by_number(
        found.with_columns(pl.col("cache_state", "context_band").cast(pl.String)), "cache_state", "context_band"
    )
    misses = dict.fromkeys((1, 3, 5, 6, 7, 11, 13, 15, 2000), ("miss", "<10k"))
    assert state == {
        **misses, **dict.fromkeys((2, 4, 8), ("partial", "<10k")), 12: ("hit", "<10k"), **dict.fromkeys((9, 10, 14, 16), (None, None)),
    }  # fmt: skip
    assert rows(found.group_by("day").len().sort("day"), "len") == [(16,), (1,)]


def test_ledger(attached: Capture) -> None:
    """Every moment of a session's main conversation is one thing's: together they are its wall clock."""
    columns = (
        "session_id",
        "wall_ms",
        "waiting_ms",
        "thinking_ms",
        "answering_ms",
        "tools_ms",
        "person_ms",
        "retrying_ms",
        "turns",
    )
    minute = 60_000.0
    assert rows(measures.ledger(attached.exchanges(), attached.events()), *columns) == [
        # 1, 2, 8, 10 (refused after 120 ms) and 12; tools from 1 to 2 and from 2 to 8; the person from 8 to 10 and from 10 to 12
        (SESSION, 11 * minute + 170, 4 * 130 + 120.0, 0.0, 70 + 70 + 40 + 40.0, 7 * minute - 400, 4 * minute - 170 - 120, 0.0, 4),
        # 11 was left and 13 is the second try; 14 failed after 5 s; 16 has no end yet
        (OTHER, 5 * minute, 130 + 130 + 5000.0, 0.0, 40 + 130.0, 0.0, minute - 260 + 2 * minute - 5000, 2 * minute - 170, 4),
        (NEXT, 140.0, 140.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1),
    ]  # fmt: skip


def test_stretches(attached: Capture) -> None:
    """The time line of a thread has its exchanges and what lay between them, each with the exchange that led to it."""
    found = measures.stretches(attached.exchanges()).filter(pl.col("thread_id").is_in([A1, A2]))
    took = ((pl.col("ends_at") - pl.col("begins_at")).dt.total_microseconds() / 1000).alias("took")
    stretches = found.select("exchange_id", pl.col("what").cast(pl.String), took).collect().rows()
    assert [(number(exchange), what, ms) for exchange, what, ms in stretches] == [
        (3, "waiting", 130), (3, "answering", 40), (3, "tools", 59_830), (4, "waiting", 130), (4, "answering", 40),
        (5, "waiting", 130), (5, "answering", 40),
    ]  # fmt: skip


def test_tools(attached: Capture) -> None:
    """Calls, those without a result too; a duration of the client only where it speaks of one call alone."""
    columns = (
        "tool_name",
        "calls",
        "answered",
        "errors",
        "error_rate",
        "wire_p50_ms",
        "wire_ms",
        "client_ms",
        "result_characters",
    )
    minute = 60_000.0
    assert rows(measures.tools(attached.tool_calls()), *columns) == [
        ("Agent", 4, 2, 0, 0.0, 6 * minute - 200, 2 * (6 * minute - 200), None, 26),
        ("Bash", 1, 1, 1, 1.0, minute - 200, minute - 200, 742.0, 8),
        ("Read", 1, 1, 0, 0.0, minute - 170, minute - 170, None, 5),
        (MCP, 1, 1, 0, 0.0, 3 * minute - 260, 3 * minute - 260, 12.5, 5),
        ("web_search", 1, 1, 0, 0.0, None, None, None, 7),
    ]  # fmt: skip


def test_by_server(attached: Capture) -> None:
    """The client's own tools stand beside the one of an MCP server."""
    found = measures.by_server(attached.tool_calls())
    assert rows(found, "mcp_server", "calls", "answered", "errors", "client_ms") == [
        ("built in", 7, 5, 1, 742.0),
        ("git_hub", 1, 1, 0, 12.5),
    ]


def test_agents(attached: Capture) -> None:
    """a3 was started by a2, and what it cost is a2's and the main conversation's as well."""
    found = measures.agents(attached.threads(), attached.exchanges()).filter(pl.col("session_id") == SESSION)
    main, a1, a2, a3 = (sum(COSTS[exchange] for exchange in own) for own in ((1, 2, 8, 12), (3, 4), (5,), (6,)))
    own, below = map(pytest.approx, (main, a1, a2, a3)), map(pytest.approx, (main + a1 + a2 + a3, a1, a2 + a3, a3))
    assert rows(found, "cost_usd", "total_cost_usd") == list(zip(own, below, strict=True))
    columns = ("thread_id", "path", "depth", "children", "exchanges", "total_exchanges", "model_ms", "total_model_ms")
    assert rows(found, *columns) == [
        (MAIN, ["main"], 0, 2, 5, 9, 200 + 200 + 170 + 120 + 170, 860 + 340 + 170 + 170),
        (A1, ["main", "Explore"], 1, 0, 2, 2, 340, 340),
        (A2, ["main", "reviewer"], 1, 1, 1, 2, 170, 170 + 170),
        (A3, ["main", "reviewer", "Explore"], 2, 0, 1, 1, 170, 170),
    ]


def test_overhead(attached: Capture) -> None:
    """The title, the summary, the count, the second try, and 10, which asked what 8 had been answered."""
    share = {exchange: pytest.approx(usd / sum(COSTS.values())) for exchange, usd in COSTS.items()}
    found = measures.overhead(attached.exchanges()).filter(pl.col("exchanges") > 0)
    assert rows(found, "reason", "exchanges", "input_tokens", "cost_usd", "share") == [
        ("title", 1, 10, pytest.approx(COSTS[7]), share[7]), ("compaction", 1, 10, pytest.approx(COSTS[12]), share[12]),
        ("count_tokens", 1, 0, 0.0, 0.0), ("retry", 1, 60, pytest.approx(COSTS[13]), share[13]), ("duplicate", 1, 0, 0.0, 0.0),
    ]  # fmt: skip


def test_prompts(attached: Capture) -> None:
    """There are two sets: that of the conversations, without the line that changes each time, and that of the title."""
    found = measures.prompts(attached.exchanges(), attached.prompt_parts())
    columns = (
        "exchanges",
        "sessions",
        "client_versions",
        "kinds",
        "system_blocks",
        "tool_names",
        "system_bytes",
        "tools_bytes",
        "previous",
    )
    assert rows(found, *columns) == [
        (15, 3, ["2.1.330"], ["compaction", "main", "subagent"], 1, ["Bash", "Read", "Agent"], SYSTEM, TOOLS, None),
        (1, 1, ["2.1.330"], ["title"], 1, [], 60, 0, None),
    ]  # fmt: skip


def test_difference(attached: Capture) -> None:
    """The set of the title says another thing, and has no tools."""
    was, now = measures.prompts(attached.exchanges(), attached.prompt_parts()).collect()["preamble"]
    lines = measures.difference(attached.prompt_parts(bodies=True), was, now).splitlines()
    assert "-You are Claude Code. Working directory: /home/me/importer" in lines
    assert "+You are naming a coding session." in lines
    assert [line for line in lines if line.startswith("-## tool")] == [
        "-## tool Bash",
        "-## tool Read",
        "-## tool Agent",
    ]


def _session() -> list[Captured]:
    """Return a session that asks the same twice, of a model that nobody knows, and whose second answer stalls for 9 s."""
    twice = [assistant(call("Bash", n, command="make")) for n in (1, 2)]
    first = [user(text("Build it."))]
    second = [*first, twice[0], user(result(1, "1 error"))]
    found = [
        asked(1, first, answer(1, *twice[0]["content"])),
        asked(2, second, answer(2, *twice[1]["content"], text("Again."))),
        asked(3, [*second, twice[1], user(result(2, "1 error."))], answer(3, text("Broken."))),
    ]
    for exchange in found:
        exchange.chunks = [(at, piece.replace(b"claude-opus-5-5", b"nobody-1")) for at, piece in exchange.chunks]
    stalled = found[1]
    stalled.chunks = [(at + 9_000_000 * (place > 3), piece) for place, (at, piece) in enumerate(stalled.chunks)]
    assert stalled.ended_at
    stalled.ended_at += 9_000_000
    return found


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Capture]:
    """Give the session of `_session`."""
    with opened(filled(Path(tmp_path_factory.mktemp("strange")) / "strange.db", _session())) as capture:
        yield capture


def test_repeats(strange: Capture, attached: Capture) -> None:
    """The second call was for nothing, with the 8 characters that it brought; in the handmade capture none is repeated."""
    [(session, tool, calls, wasted, said)] = rows(
        measures.repeats(strange.tool_calls(bodies=True)),
        "session_id",
        "tool_name",
        "calls",
        "wasted_characters",
        "input",
    )
    assert (session, tool, calls, wasted, said) == (SESSION, "Bash", 2, 8, '{"command":"make"}')
    assert measures.repeats(attached.tool_calls(bodies=True)).collect().is_empty()


def test_unpriced(strange: Capture, attached: Capture) -> None:
    """Three exchanges took 110 tokens each and gave 20, at a price that is not known; the others' prices are."""
    assert rows(measures.unpriced(strange.exchanges()), "model", "provider", "exchanges", "tokens") == [
        ("nobody-1", "anthropic", 3, 390)
    ]
    assert set(by_number(measures.cost(strange.exchanges()), "cost_usd").values()) == {None}
    assert measures.unpriced(attached.exchanges()).collect().is_empty()


def test_stalls(strange: Capture, attached: Capture) -> None:
    """The 9 s between two blocks are a stall, and so are the 60 ms of 13 to one who has no patience at all."""
    assert by_number(measures.stalls(strange.exchanges()), "place", "stalled_ms") == {2: ("stream", 9030.0)}
    assert measures.stalls(attached.exchanges()).collect().is_empty()
    assert by_number(measures.stalls(attached.exchanges(), longer_than_ms=50), "stalled_ms") == {13: 60.0}
    assert measures.latency(strange.exchanges()).collect()["stalls"].to_list() == [1]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Capture]:
    """Give the session in which agents are answered by others."""
    place = Path(tmp_path_factory.mktemp("elsewhere")) / "routed.db"
    with opened(filled(place, routed.exchanges(), routed.fill)) as capture:
        yield capture


def opus(fresh: int, output: int, *, read: int = 0, short: int = 0) -> float:
    """Return what claude-opus-4-5 asks for an answer, in USD."""
    return (fresh * 5 + read * 0.5 + short * 6.25 + output * 25) / 1e6


def test_unrouted(elsewhere: Capture, attached: Capture) -> None:
    """What went elsewhere is priced as what was asked for, an error at nothing, and all else at what it cost."""
    assert by_number(measures.unrouted(elsewhere.exchanges()), "unrouted_cost_usd") == pytest.approx({
        101: opus(10, 20, short=1000), 102: opus(1000, 200), 103: opus(500, 300, read=1000), 104: opus(4000, 100), 105: opus(2000, 400),
        106: opus(600, 50), 107: 0.0, 108: opus(100, 10), 109: opus(10, 20, read=1000, short=300),
    })  # fmt: skip
    assert by_number(measures.unrouted(attached.exchanges()), "unrouted_cost_usd") == pytest.approx(COSTS)


def test_routing(elsewhere: Capture, attached: Capture) -> None:
    """gpt-4o asks 2.50 (1.25 for what it has read before) and 10, at OpenRouter too, and haiku 4.5 asks 1 and 5; llama asks nobody."""
    found = rows(
        measures.routing(elsewhere.exchanges()), "agent", "model", "exchanges", "errors", "cost_usd", "unrouted_cost_usd", "saved_usd",
        "unpriced",
    )  # fmt: skip
    tidied, counted = opus(2000, 400), opus(4000, 100)
    reviewed, helped = opus(1500, 500, read=1000), opus(600, 50)
    assert found == [
        (
            "tidier",
            "claude-haiku-4-5",
            1,
            0,
            pytest.approx(0.004),
            pytest.approx(tidied),
            pytest.approx(tidied - 0.004),
            0,
        ),
        (
            "data-analyst",
            "openai/gpt-4o",
            1,
            0,
            pytest.approx(0.011),
            pytest.approx(counted),
            pytest.approx(counted - 0.011),
            0,
        ),
        (
            "code-reviewer",
            "gpt-4o",
            2,
            0,
            pytest.approx(0.01),
            pytest.approx(reviewed),
            pytest.approx(reviewed - 0.01),
            0,
        ),
        ("private-helper", "llama3.2", 2, 1, None, pytest.approx(helped), None, 1),
    ]
    assert measures.routing(attached.exchanges()).collect().is_empty()


def test_all_are_shown() -> None:
    """There is no measure without a test of its figures here."""
    assert set(measures.__all__) == {name.removeprefix("test_") for name in globals() if name.startswith("test_")} - {
        "all_are_shown"
    }
