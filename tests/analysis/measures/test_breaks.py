"""Each cause for which a cache is not read, induced by hand; and none in a thread that goes well."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from analysis.measures.breaks import SHOWN_BEFORE, SHOWN_CHARACTERS, breaks
from tests.support.frames import at, frame

SONNET, HAIKU = "claude-sonnet-4-5", "claude-haiku-4-5"
COLUMNS = [
    "exchange_id", "previous_exchange_id", "session_id", "thread_id", "started_at", "model", "gap_s", "expected_tokens",
    "cache_read_tokens", "lost_tokens", "lost_usd", "cause", "where", "position", "was", "now",
]  # fmt: skip
# A conversation of main: m0 asks, m1 answers, m2 has a result. Beside it branches: a rewind to m2, and one where m0 differs.
PATHS = {
    "m0": None,
    "m1": "m0",
    "m2": "m1",
    "m3": "m2",
    "m4": "m3",
    "r2": "m1",
    "x0": None,
    "x1": "x0",
    "x2": "x1",
    "x3": "x2",
}
TOOLS = {
    "bash": ("tool", "Bash"),
    "bash2": ("tool", "Bash"),
    "read": ("tool", "Read"),
    "system": ("system", None),
    "system2": ("system", None),
}
PREAMBLES = {
    "p": ("bash", "system"), "more": ("bash", "read", "system"), "other": ("bash2", "system"), "told": ("bash", "system2"),
    "both": ("read", "system2"),
}  # fmt: skip


def turn(name: str, seconds: float, read: int, short: int, tip: str | None = "m0", **columns: Any) -> dict[str, Any]:
    """Return an exchange of a thread: what it read of the cache, what it wrote for 5 minutes, its last message."""
    row = {
        "exchange_id": name, "session_id": "s", "thread_id": "s/main", "kind": "main", "started_at": at(seconds),
        "provider": "anthropic", "model": SONNET, "effort": "high", "thinking": "adaptive", "tip": tip, "preamble": "p",
        "input_tokens": 10, "cache_read_tokens": read, "cache_write_5m_tokens": short, "cache_write_1h_tokens": 0, **columns,
    }  # fmt: skip
    written = row["cache_write_5m_tokens"] + row["cache_write_1h_tokens"]
    return {
        "cache_write_tokens": written,
        "context_tokens": row["input_tokens"] + row["cache_read_tokens"] + written,
        **row,
    }


def messages(session: str | None = "s") -> pl.LazyFrame:
    """Return the tree of PATHS."""
    depth: dict[str | None, int] = {None: -1}
    for node, parent in PATHS.items():
        depth[node] = depth[parent] + 1
    rows = [
        {"node": node, "parent": parent, "depth": depth[node], "session_id": session} for node, parent in PATHS.items()
    ]
    return frame("messages", *random.sample(rows, len(rows)))


def parts(**texts: str) -> pl.LazyFrame:
    """Return PREAMBLES; with `texts`, the bodies of these parts."""
    rows = [
        {"preamble": preamble, "position": position, "kind": TOOLS[part][0], "name": TOOLS[part][1], "part": part}
        | ({"json": texts.get(part, "{}")} if texts else {})
        for preamble, members in PREAMBLES.items()
        for position, part in enumerate(members)
    ]
    return frame("prompt_parts", *random.sample(rows, len(rows)), bodies=bool(texts))


def found(*rows: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """Return the breaks of some exchanges, which come in any order."""
    exchanges = frame("exchanges", *random.sample(rows, len(rows)))
    return breaks(exchanges, more.pop("messages", messages()), more.pop("parts", parts()), **more).collect().to_dicts()


def second(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the one break after the first request."""
    first, only = found(*rows, **more)
    assert first["cause"] == "first_request"
    return only


def said(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a break says of its cause."""
    return tuple(row[name] for name in ("cause", "where", "position", "was", "now"))


def test_a_clean_thread_has_its_first_request_alone() -> None:
    """A thread that reads all that was there has no break; its first request is told, and lost nothing."""
    rows = [turn("a", 0, 0, 5000), turn("b", 60, 5000, 300, "m2"), turn("c", 120, 5300, 100, "m4")]
    [first] = found(*rows)
    assert list(first) == COLUMNS
    assert (first["exchange_id"], first["previous_exchange_id"], first["gap_s"]) == ("a", None, None)
    assert (first["expected_tokens"], first["cache_read_tokens"], first["lost_tokens"], first["lost_usd"]) == (
        0,
        0,
        0,
        0.0,
    )
    assert said(first) == ("first_request", None, None, None, None)


def test_a_first_request_that_read_is_no_break() -> None:
    """A first request that read what another thread had left is not told."""
    assert found(turn("a", 0, 4000, 1000), turn("b", 9, 5000, 10, "m2")) == []


def test_a_read_that_is_nearly_whole_is_no_break() -> None:
    """A read short by half a percent, or by 20 tokens, is none; by more it is."""
    assert len(found(turn("a", 0, 0, 10_000), turn("b", 9, 9_950, 60, "m2"))) == 1
    assert len(found(turn("a", 0, 0, 2_000), turn("b", 9, 1_980, 60, "m2"))) == 1
    assert second(turn("a", 0, 0, 10_000), turn("b", 9, 9_949, 61, "m2"))["lost_tokens"] == 51
    assert second(turn("a", 0, 0, 2_000), turn("b", 9, 1_979, 61, "m2"))["lost_tokens"] == 21


def test_tokens_and_usd_are_counted(tmp_path: Path) -> None:
    """Lost tokens cost what they were paid with, first as writes for an hour, then for 5 minutes, then as input, less a read."""
    path = tmp_path / "prices.json"
    price = {"model": SONNET, "input": 3, "output": 15, "cache_read": 0.3, "cache_write_5m": 4, "cache_write_1h": 6}
    path.write_text(json.dumps([price]))
    rows = [
        turn("a", 0, 1000, 9000),
        turn("b", 400, 1000, 2000, "m2", cache_write_1h_tokens=3000, input_tokens=8000),
        turn("c", 500, 5000, 0, "m4", model="nobody's", input_tokens=5000),
    ]
    lost, foreign = found(*rows, prices=path)
    assert [lost[name] for name in COLUMNS[:6]] == ["b", "a", "s", "s/main", at(400), SONNET]
    assert (lost["gap_s"], lost["expected_tokens"], lost["cache_read_tokens"], lost["lost_tokens"]) == (
        400.0,
        10_000,
        1000,
        9000,
    )
    # 3000 for an hour at 6, 2000 for 5 minutes at 4, 4000 as input at 3, less 9000 at 0.3 USD per million
    assert lost["lost_usd"] == pytest.approx((3000 * 6 + 2000 * 4 + 4000 * 3 - 9000 * 0.3) / 1e6)
    assert (foreign["lost_tokens"], foreign["lost_usd"]) == (1000, None)


def test_no_more_is_lost_than_was_sent() -> None:
    """A request that is shorter than what was cached lost only what of its own input it did not read."""
    only = second(turn("a", 0, 0, 90_000, "m4"), turn("b", 9, 4000, 2000, "r2"))
    assert (only["expected_tokens"], only["lost_tokens"], only["cause"]) == (90_000, 2010, "rewind")
    assert second(turn("a", 0, 0, 90_000, "m4"), turn("b", 9, 4000, 0, "r2", input_tokens=0))["lost_tokens"] == 0


@pytest.mark.parametrize(
    ("gap", "short", "long", "cause"),
    [
        (301, 5000, 0, "ttl_expired_5m"),
        (3601, 5000, 0, "ttl_expired_5m"),
        (3601, 0, 5000, "ttl_expired_1h"),
        (3601, 1000, 4000, "ttl_expired_1h"),
        (301, 1000, 4000, "ttl_expired_5m"),
        (3600, 0, 5000, "unknown"),
        (300, 5000, 0, "unknown"),
    ],
)
def test_time_passes(gap: float, short: int, long: int, cause: str) -> None:
    """An intact prefix that was not read has expired if its time to live has passed, else nobody knows why."""
    only = second(turn("a", 0, 0, short, cache_write_1h_tokens=long), turn("b", gap, 0, 5300, "m2"))
    assert (*said(only), only["gap_s"]) == (cause, None, None, None, None, gap)


def test_the_time_to_live_is_what_the_thread_wrote() -> None:
    """Where the previous exchange wrote nothing, those before it say how long the prefix lives; a cold start forgets them."""
    rows = [turn("a", 0, 0, 0, cache_write_1h_tokens=5000), turn("b", 9, 5000, 0, "m2"), turn("c", 4000, 0, 5000, "m4")]
    assert [row["cause"] for row in found(*rows)] == ["first_request", "ttl_expired_1h"]
    again = [*rows, turn("d", 4301, 0, 5000, "m4")]
    assert [row["cause"] for row in found(*again)] == ["first_request", "ttl_expired_1h", "ttl_expired_5m"]


def test_an_unknown_time_to_live_is_5_minutes() -> None:
    """A prefix whose writing was not seen is taken to live for 5 minutes, the API's default."""
    [only] = found(turn("a", 0, 5000, 0), turn("b", 301, 0, 5000, "m2"))
    assert only["cause"] == "ttl_expired_5m"


def test_another_model_reads_nothing() -> None:
    """A switch of model is told with both."""
    only = second(turn("a", 0, 0, 5000), turn("b", 9, 0, 5300, "m2", model=HAIKU))
    assert said(only) == ("model_changed", None, None, SONNET, HAIKU)


def test_tools_change() -> None:
    """A tool that was added, removed or told in other words is told with its position, by its name."""
    was = turn("a", 0, 0, 5000)
    changed = [
        second({**was, "preamble": old}, turn("b", 9, 0, 5300, "m2", preamble=new))
        for old, new in (("p", "more"), ("more", "p"), ("p", "other"), ("p", "both"))
    ]
    assert [said(row) for row in changed] == [
        ("tools_changed", "tools", 1, None, "Read"),
        ("tools_changed", "tools", 1, "Read", None),
        ("tools_changed", "tools", 0, "Bash", "Bash"),
        ("tools_changed", "tools", 0, "Bash", "Read"),
    ]


def test_tools_show_what_changed_in_them() -> None:
    """With bodies, a tool of the same name shows what differs in its JSON."""
    bodies = parts(bash='{"name":"Bash","description":"Run"}', bash2='{"name":"Bash","description":"Do"}')
    only = second(turn("a", 0, 0, 5000), turn("b", 9, 0, 5300, "m2", preamble="other"), parts=bodies)
    assert (only["was"], only["now"]) == ('{"name":"Bash","description":"Run"}', '{"name":"Bash","description":"Do"}')


def test_the_system_prompt_changes() -> None:
    """A system block that differs is told with its position after the tools, by its digest or its text."""
    rows = [turn("a", 0, 0, 5000), turn("b", 9, 2000, 3300, "m2", preamble="told")]
    assert said(second(*rows)) == ("system_changed", "system", 1, "system", "system2")
    long = "x" * 500
    bodies = parts(
        system=json.dumps({"type": "text", "text": f"{long} on Monday"}),
        system2=json.dumps(f"{long} on Tuesday {long}"),
    )
    only = second(*rows, parts=bodies)
    assert only["was"] == "…" + "x" * (SHOWN_BEFORE - 4) + " on Monday"
    assert only["now"].startswith("…" + "x" * (SHOWN_BEFORE - 4) + " on Tuesday xx")
    assert len(only["now"]) == 1 + SHOWN_CHARACTERS
    assert second(*rows, parts=parts(system='{"text":', system2='{"text":"b"}'))["was"] == '{"text":'


@pytest.mark.parametrize(("name", "value"), [("effort", "low"), ("effort", None), ("thinking", "disabled")])
def test_effort_changes(name: str, value: str | None) -> None:
    """Another effort, and another kind of thinking, spoil what is cached of messages."""
    only = second(turn("a", 0, 0, 5000), turn("b", 9, 2000, 3300, "m2", **{name: value}))
    assert said(only) == ("effort_changed", None, None, {"effort": "high", "thinking": "adaptive"}[name], value)


def test_an_earlier_message_changes() -> None:
    """Where the conversation goes on but a message in it is another one, its depth and both messages are told."""
    rows = [turn("a", 0, 0, 5000, "m2"), turn("b", 9, 2000, 3300, "x3")]
    assert said(second(*rows)) == ("message_changed", "message", 0, "m0", "x0")


def test_the_conversation_is_rewound() -> None:
    """Where it goes on otherwise from an earlier message, or ends there, it was rewound."""
    before = turn("a", 0, 0, 5000, "m4")
    assert said(second(before, turn("b", 9, 2000, 300, "r2"))) == ("rewind", "message", 2, "m2", "r2")
    assert said(second(before, turn("b", 9, 2000, 300, "m1"))) == ("rewind", "message", 2, "m2", None)


def test_messages_show_what_changed_in_them() -> None:
    """With bodies of blocks, the first block that differs is shown; of images the kind; what cannot be seen, by its digest."""

    def shown(*rows: tuple[str, int, str, str | None]) -> tuple[Any, Any]:
        bodies = [dict(zip(("node", "position", "type", "text"), row, strict=True)) for row in rows]
        blocks = frame("blocks", *random.sample(bodies, len(bodies)), bodies=True)
        only = second(turn("a", 0, 0, 5000, "m4"), turn("b", 9, 2000, 300, "r2"), blocks=blocks)
        return only["was"], only["now"]

    same = [("m2", 0, "text", "same"), ("r2", 0, "text", "same")]
    assert shown(*same, ("m2", 1, "text", "the old end"), ("r2", 1, "text", "the new end")) == (
        "the old end",
        "the new end",
    )
    assert shown(*same, ("r2", 1, "image", None)) == (None, "[image]")
    assert shown(*same) == ("m2", "r2")


def test_bodies_are_not_needed() -> None:
    """Blocks without bodies are as good as none."""
    blocks = frame("blocks", {"node": "m2", "position": 0, "type": "text"})
    only = second(turn("a", 0, 0, 5000, "m4"), turn("b", 9, 2000, 300, "r2"), blocks=blocks)
    assert (only["was"], only["now"]) == ("m2", "r2")


def test_the_conversation_is_compacted() -> None:
    """After a summary the conversation begins anew, whatever else differs from the request for the summary."""
    rows = [
        turn("a", 0, 0, 5000, "m2"), turn("b", 9, 5000, 100, "m3", kind="compaction", compaction="auto"),
        turn("c", 20, 2000, 300, "x1"),
    ]  # fmt: skip
    assert said(second(*rows)) == ("compaction", "message", 0, "m0", "x0")
    old = [rows[0], rows[1] | {"preamble": "told", "cache_read_tokens": 5000}, rows[2]]
    assert [row["cause"] for row in found(*old)] == ["first_request", "compaction"]


def test_a_compaction_is_known_by_its_words() -> None:
    """Where the request for the summary was not seen, the first words of the new conversation tell."""
    begun = {
        "node": "x0",
        "position": 0,
        "type": "text",
        "text": "This session is being continued from a previous conversation that",
    }
    rows = [turn("a", 0, 0, 5000, "m2"), turn("b", 9, 2000, 300, "x1")]
    assert second(*rows, blocks=frame("blocks", begun, bodies=True))["cause"] == "compaction"
    assert second(*rows)["cause"] == "rewind"


@pytest.mark.parametrize(
    ("model", "size", "small"),
    [
        (SONNET, 1023, True), (SONNET, 1024, False), (HAIKU, 4095, True), (HAIKU, 4096, False), ("claude-opus-4-6", 4095, True),
        ("claude-opus-4-7", 2047, True), ("claude-opus-4-1", 1024, False), ("claude-3-5-haiku-latest", 2047, True),
        ("claude-opus-5-5", 511, True), ("claude-opus-5", 512, False), ("claude-sonnet-5", 1023, True), (None, 1023, True),
    ],
)  # fmt: skip
def test_short_prompts_are_not_cached(model: str | None, size: int, small: bool) -> None:
    """After a prompt below its model's minimum there is nothing to read; after a longer one that was not cached no break."""
    told = found(
        turn("a", 0, 0, 0, input_tokens=size, model=model), turn("b", 9, 0, 0, "m2", input_tokens=9000, model=model)
    )
    assert [row["cause"] for row in told] == ["first_request", *(["below_minimum"] if small else [])]
    assert {row["lost_tokens"] for row in told} == {0}


def test_a_request_may_be_too_short_itself() -> None:
    """An intact prefix of which a prompt below the minimum reads nothing is too short to be cached."""
    only = second(turn("a", 0, 0, 900), turn("b", 9, 0, 0, "m2", input_tokens=950))
    assert (only["cause"], only["lost_tokens"]) == ("below_minimum", 900)


def test_causes_are_judged_in_their_order() -> None:
    """Of several changes the first is told: model, tools, system, effort, messages, then time."""
    changes: dict[str, dict[str, Any]] = {
        "model_changed": {"model": HAIKU}, "tools_changed": {"preamble": "both"}, "system_changed": {"preamble": "told"},
        "effort_changed": {"effort": "low"}, "rewind": {"tip": "x2"}, "ttl_expired_5m": {"started_at": at(400)},
    }  # fmt: skip
    names = list(changes)
    for number, name in enumerate(names):
        second_row = turn("b", 9, 0, 900, "m2", input_tokens=900)
        for later in reversed(names[number:]):
            second_row |= changes[later]
        assert second(turn("a", 0, 0, 5000, "m2"), second_row)["cause"] == name


def test_what_was_not_answered_is_passed_over() -> None:
    """The previous exchange is the last one of the same thread that was answered."""
    failed = {"exchange_id": "f", "session_id": "s", "thread_id": "s/main", "started_at": at(5), "model": HAIKU}
    beside = turn("t", 6, 0, 700, thread_id=None, model=HAIKU)
    agent = turn("g", 7, 0, 8000, thread_id="s/agent", model=HAIKU)
    told = found(turn("a", 0, 0, 5000), failed, beside, agent, turn("b", 400, 0, 5300, "m2"))
    assert [(row["exchange_id"], row["previous_exchange_id"], row["cause"]) for row in told] == [
        ("g", None, "first_request"), ("a", None, "first_request"), ("b", "a", "ttl_expired_5m"),
    ]  # fmt: skip


def test_messages_may_stand_in_another_session() -> None:
    """A session that was continued from another one has its first messages there; they are found."""
    elsewhere = frame(
        "messages",
        {"node": "m0", "parent": None, "depth": 0, "session_id": None}, {"node": "m1", "parent": "m0", "depth": 1, "session_id": "older"},
        {"node": "m2", "parent": "m1", "depth": 2, "session_id": "old"}, {"node": "r2", "parent": "m1", "depth": 2, "session_id": "s"},
    )  # fmt: skip
    rows = [turn("a", 0, 0, 5000, "m2"), turn("b", 9, 2000, 300, "r2")]
    assert said(second(*rows, messages=elsewhere)) == ("rewind", "message", 2, "m2", "r2")


def test_what_is_not_known_is_taken_as_intact() -> None:
    """What is no longer in the store is not said to have changed."""
    lost = turn("a", 0, 0, 5000, "gone")
    assert second(lost, turn("b", 9, 2000, 300, "m2", preamble="gone"))["cause"] == "unknown"
    assert second(lost, turn("b", 9, 2000, 300, None))["cause"] == "unknown"


def test_a_request_may_have_no_preamble() -> None:
    """Where one of the two has neither system blocks nor tools, these have changed."""
    only = second(turn("a", 0, 0, 5000), turn("b", 9, 2000, 300, "m2", preamble=None))
    assert said(only) == ("tools_changed", "tools", 0, "Bash", None)


def test_no_exchanges_have_no_breaks() -> None:
    """An empty frame gives an empty frame with the same columns."""
    empty = breaks(frame("exchanges"), frame("messages"), frame("prompt_parts")).collect()
    assert (empty.columns, empty.height) == (COLUMNS, 0)
