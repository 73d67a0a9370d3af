"""Overhead: every exchange for one reason at most, against sums by hand."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from analysis.measures.overhead import FIGURES, REASONS, overhead
from tests.support.frames import at, frame

COLUMNS = ["reason", *FIGURES, "share"]


def turn(number: int, kind: str = "main", **columns: Any) -> dict[str, Any]:
    """Return an answered turn of a conversation that costs 1 USD: 200,000 tokens of input at 5 USD per million."""
    return {
        "exchange_id": f"e{number}", "session_id": "s", "thread_id": "s/main", "kind": kind, "state": "complete",
        "started_at": at(number), "provider": "anthropic", "model": "claude-opus-4-5", "requested_model": "opus",
        "input_tokens": 200_000, "retry_count": 0, "tip": f"tip{number}", "reply": f"reply{number}", "preamble": "p", **columns,
    }  # fmt: skip


def reasons(*rows: dict[str, Any]) -> dict[str, int]:
    """Return how many exchanges count for each reason that has any."""
    found = overhead(frame("exchanges", *rows)).collect()
    return {reason: count for reason, count in found.select("reason", "exchanges").iter_rows() if count}


def test_each_kind_beside_the_work_is_a_reason() -> None:
    """Each kind of exchange beside the work is a reason; main, subagent and other are the work itself."""
    kinds = ["title", "rename", "classifier", "compaction", "count_tokens", "probe", "auxiliary"]

    found = reasons(*(turn(n, kind) for n, kind in enumerate(["main", "subagent", "other", None, *kinds])))

    assert found == dict.fromkeys(kinds, 1)


def test_the_figures_of_a_reason_are_sums() -> None:
    """Tokens and cost of a reason are sums over its exchanges, and its share is of the cost of all, the work included."""
    title = {
        "input_tokens": None,
        "cache_read_tokens": 1_000_000,
        "cache_write_tokens": 80_000,
        "output_tokens": 20_000,
    }
    found = overhead(
        frame("exchanges", turn(1), turn(2, "title"), turn(3, "title", **title), turn(4, "probe"))
    ).collect()

    assert found.columns == COLUMNS
    # cache read 0.50, written 0.50, output 0.50 USD: 1.50
    assert found.row(0) == (
        "title",
        2,
        200_000,
        1_000_000,
        80_000,
        20_000,
        pytest.approx(2.5),
        pytest.approx(2.5 / 4.5),
    )
    assert found.filter(reason="probe").row(0) == ("probe", 1, 200_000, 0, 0, 0, 1.0, pytest.approx(1 / 4.5))


def test_all_reasons_are_listed() -> None:
    """There is a row for each reason in a fixed order, also for those that have nothing, and for an empty frame."""
    for rows in ([], [turn(1)]):
        found = overhead(frame("exchanges", *rows)).collect()
        assert found["reason"].to_list() == list(REASONS)
        assert found.select(pl.col(FIGURES).sum()).row(0) == (0,) * 6
        assert found["share"].to_list() == [0.0 if rows else None] * 9


@pytest.mark.parametrize("sign", [{"retry_count": 1}, {"retry_count": None, "attempts": '[{"status":529}]'}])
def test_a_repetition_is_a_retry(sign: dict[str, Any]) -> None:
    """What the client repeated, or the proxy had tried in vain before, counts as retry."""
    assert reasons(turn(1), turn(2, **sign)) == {"retry": 1}


def test_the_same_request_again_is_a_duplicate() -> None:
    """The same conversation and prompt, put to the same model in the same thread after it was answered, counts as duplicate."""
    assert reasons(turn(1), turn(2, tip="tip1"), turn(3, tip="tip1", state="failed", reply=None)) == {"duplicate": 2}


@pytest.mark.parametrize(
    "other",
    [{"session_id": "t"}, {"thread_id": "s/a"}, {"preamble": "q"}, {"requested_model": "haiku"}, {"tip": "other"}],
)
def test_another_request_is_no_duplicate(other: dict[str, str]) -> None:
    """A request that differs in session, thread, conversation, prompt or model is no duplicate."""
    assert reasons(turn(1), turn(2, **{"tip": "tip1", **other})) == {}


@pytest.mark.parametrize("unanswered", [{"state": "failed", "reply": None}, {"state": "client_left"}, {"reply": None}])
def test_what_was_not_answered_may_be_asked_again(unanswered: dict[str, Any]) -> None:
    """A request that is asked again because it was not answered in full is no duplicate, and neither is the first one."""
    assert reasons(turn(1, **unanswered), turn(2, tip="tip1")) == {}


def test_a_model_is_the_one_that_was_asked_for() -> None:
    """The model that counts for a duplicate is the one asked for, else the one that answered."""
    dated = {"tip": "tip1", "model": "claude-opus-4-5-20251101"}

    assert reasons(turn(1), turn(2, **dated)) == {"duplicate": 1}
    assert reasons(turn(1, requested_model=None), turn(2, requested_model=None, **dated)) == {}


def test_requests_without_a_conversation_are_no_duplicates() -> None:
    """Exchanges that have no conversation are never each other's duplicates."""
    assert reasons(turn(1, tip=None), turn(2, tip=None)) == {}


def test_an_exchange_has_one_reason_only() -> None:
    """The kind goes before a retry, and a retry before a duplicate."""
    twice = {"tip": "tip1", "thread_id": None}

    found = reasons(turn(1, **twice), turn(2, "title", **twice, retry_count=2), turn(3, **twice, retry_count=2))

    assert found == {"title": 1, "retry": 1}


def test_the_order_of_rows_does_not_matter() -> None:
    """Rows in any order give the same figures: what came first is told by the time."""
    rows = [turn(n, tip=f"tip{n % 4}") for n in range(20)]
    random.Random(3).shuffle(rows)

    assert reasons(*rows) == {"duplicate": 16}


def test_what_has_no_price_is_left_out_of_the_cost() -> None:
    """An unknown model counts with its tokens and without a cost."""
    found = overhead(frame("exchanges", turn(1), turn(2, "title", model="nobody"))).collect()

    assert found.row(0) == ("title", 1, 200_000, 0, 0, 0, 0.0, 0.0)


def test_own_prices_hold(tmp_path: Path) -> None:
    """A file of prices holds for overhead, too."""
    own = tmp_path / "prices.json"
    own.write_text(json.dumps([{"model": "*", "input": 10, "output": 0}]))

    assert overhead(frame("exchanges", turn(1, "title")), own).collect()["cost_usd"][0] == 2.0
