"""What is a break of the cache and what is none, and what it cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.measures.breaks import breaks
from tests.support.frames import at, frame
from tests.support.turns import COLUMNS, HAIKU, SONNET, found, said, second, turn


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


def test_what_was_not_answered_is_passed_over() -> None:
    """The previous exchange is the last one of the same thread that was answered."""
    failed = {"exchange_id": "f", "session_id": "s", "thread_id": "s/main", "started_at": at(5), "model": HAIKU}
    beside = turn("t", 6, 0, 700, thread_id=None, model=HAIKU)
    agent = turn("g", 7, 0, 8000, thread_id="s/agent", model=HAIKU)
    told = found(turn("a", 0, 0, 5000), failed, beside, agent, turn("b", 400, 0, 5300, "m2"))
    assert [(row["exchange_id"], row["previous_exchange_id"], row["cause"]) for row in told] == [
        ("g", None, "first_request"), ("a", None, "first_request"), ("b", "a", "ttl_expired_5m"),
    ]  # fmt: skip


def test_no_exchanges_have_no_breaks() -> None:
    """An empty frame gives an empty frame with the same columns."""
    empty = breaks(frame("exchanges"), frame("messages"), frame("prompt_parts")).collect()
    assert (empty.columns, empty.height) == (COLUMNS, 0)
