"""What routing cost and saved: figures by hand, by agent, provider and model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from analysis.dictionary import EXCHANGES, TEXT, WHOLE
from analysis.measures.cost import cost
from analysis.measures.routing import GROUP, routing, unrouted
from tests.support.frames import at, frame

COLUMNS = [
    "agent", "provider", "model", "requested_model", "exchanges", "errors", "input_tokens", "cache_read_tokens", "cache_write_tokens",
    "output_tokens", "cost_usd", "unrouted_cost_usd", "saved_usd", "unpriced",
]  # fmt: skip
MILLION = 1_000_000
OPUS = "claude-opus-4-5"  # 5 USD for a million tokens of input, 0.50 for those read from the cache, 25 for output
REVIEWER = {
    "kind": "subagent", "agent_name": "code-reviewer", "started_at": at(0), "state": "complete", "status": 200, "routed": True,
    "requested_model": OPUS, "provider": "openai", "endpoint": "https://api.openai.com/v1/chat/completions",
    "routed_model": "gpt-4o", "response_model": "gpt-4o-2024-08-06", "model": "gpt-4o-2024-08-06",
}  # fmt: skip  # 2.50, 1.25 and 10
TIDIER = {
    **REVIEWER, "agent_name": "tidier", "provider": "anthropic", "endpoint": None, "routed_model": "claude-haiku-4-5",
    "model": "claude-haiku-4-5-20251001",
}  # fmt: skip  # 1, 0.10 and 5
LOCAL = {
    **REVIEWER, "agent_name": "helper", "provider": "ollama", "endpoint": "http://localhost:11434/v1/chat/completions",
    "routed_model": "llama3.2", "model": "llama3.2:latest",
}  # fmt: skip
MAIN = {
    "kind": "main", "started_at": at(0), "state": "complete", "routed": False, "provider": "anthropic", "requested_model": OPUS,
    "routed_model": OPUS, "model": OPUS,
}  # fmt: skip


def told(*rows: dict[str, Any], prices: Path | None = None) -> list[dict[str, Any]]:
    """Return what the measure says of exchanges."""
    return routing(frame("exchanges", *rows), prices).collect().rows(named=True)


def test_the_figures_of_a_group() -> None:
    """Tokens are summed, priced by who answered, and priced once more by who would have answered."""
    [row] = told(
        {**REVIEWER, "input_tokens": MILLION, "output_tokens": MILLION},
        {**REVIEWER, "input_tokens": MILLION, "cache_read_tokens": 2 * MILLION},
        {**MAIN, "input_tokens": 7 * MILLION},
    )

    assert list(row) == COLUMNS
    assert [row[name] for name in GROUP] == ["code-reviewer", "openai", "gpt-4o", OPUS]
    assert [row[name] for name in COLUMNS[4:10]] == [2, 0, 2 * MILLION, 2 * MILLION, 0, MILLION]
    assert row["cost_usd"] == pytest.approx(2 * 2.5 + 2 * 1.25 + 10)
    assert row["unrouted_cost_usd"] == pytest.approx(2 * 5 + 2 * 0.5 + 25)
    assert row["saved_usd"] == pytest.approx(36 - 17.5)
    assert row["unpriced"] == 0


def test_a_route_may_cost_more() -> None:
    """What routing made dearer is saved below zero."""
    [row] = told({**REVIEWER, "requested_model": "claude-haiku-4-5", "input_tokens": MILLION})

    assert (row["cost_usd"], row["unrouted_cost_usd"], row["saved_usd"]) == pytest.approx((2.5, 1, -1.5))


def test_a_row_for_each_agent_provider_and_model() -> None:
    """Each agent has a row for each provider and model that it was routed to, the one that saved most first; null comes last."""
    rows = told(
        {**LOCAL, "input_tokens": MILLION},
        {**TIDIER, "input_tokens": MILLION},
        {**REVIEWER, "input_tokens": MILLION},
        {**REVIEWER, "routed_model": "gpt-4o-mini", "model": "gpt-4o-mini", "input_tokens": MILLION},
    )

    assert [(row["agent"], row["model"], row["saved_usd"]) for row in rows] == [
        ("code-reviewer", "gpt-4o-mini", pytest.approx(5 - 0.15)),
        ("tidier", "claude-haiku-4-5", pytest.approx(4)),
        ("code-reviewer", "gpt-4o", pytest.approx(2.5)),
        ("helper", "llama3.2", None),
    ]


def test_what_has_no_price_is_null_and_counted() -> None:
    """A model that no list knows leaves its cost and what it saved unknown, never zero, also beside errors that cost nothing."""
    failed = {**LOCAL, "state": "failed", "status": 500}
    [row] = told({**LOCAL, "input_tokens": 2 * MILLION}, failed)

    assert (row["exchanges"], row["errors"], row["unpriced"]) == (2, 1, 1)
    assert (row["cost_usd"], row["unrouted_cost_usd"], row["saved_usd"]) == (None, 10.0, None)


def test_savings_are_of_what_is_known_on_both_sides() -> None:
    """Where one of a group's exchanges has no price, only the others count as saved."""
    rows = told(
        {**REVIEWER, "input_tokens": MILLION},
        {**REVIEWER, "model": "gpt-of-tomorrow", "routed_model": "gpt-4o", "endpoint": None, "input_tokens": MILLION},
    )

    assert [(row["exchanges"], row["unpriced"], row["cost_usd"], row["unrouted_cost_usd"], row["saved_usd"]) for row in rows] == [
        (2, 1, 2.5, 10.0, 2.5)
    ]  # fmt: skip


def test_errors_alone_cost_nothing() -> None:
    """A group of errors without tokens cost zero on both sides."""
    [row] = told({**LOCAL, "state": "interrupted", "status": None}, {**LOCAL, "api_error": "overloaded_error"})

    assert (row["errors"], row["cost_usd"], row["unrouted_cost_usd"], row["saved_usd"], row["unpriced"]) == (
        2,
        0,
        0,
        0,
        0,
    )


@pytest.mark.parametrize(
    ("columns", "agent"),
    [
        ({"agent_name": "a", "agent_type": "b", "agent_id": "c"}, "a"),
        ({"agent_name": None, "agent_type": "b", "agent_id": "c"}, "b"),
        ({"agent_name": None, "agent_id": "c"}, "c"),
        ({"agent_name": None}, None),
    ],
)
def test_an_agent_goes_by_the_best_name_that_it_has(columns: dict[str, Any], agent: str | None) -> None:
    """Its name, else what the client calls its type, else its id."""
    assert told({**REVIEWER, **columns})[0]["agent"] == agent


def test_own_prices_hold_on_both_sides(tmp_path: Path) -> None:
    """A file of prices makes a local model known, and wins for the model that was asked for."""
    path = tmp_path / "prices.json"
    entries = [{"model": "llama*", "input": 0.5, "output": 1}, {"model": "claude-opus-*", "input": 100, "output": 100}]
    path.write_text(json.dumps(entries))
    [row] = told({**LOCAL, "input_tokens": MILLION, "output_tokens": MILLION}, prices=path)

    assert (row["cost_usd"], row["unrouted_cost_usd"], row["saved_usd"]) == (1.5, 200.0, 198.5)


def test_a_frame_keeps_all_that_it_had() -> None:
    """Only unrouted_cost_usd is added; what was not routed would have cost what it did, and costs that are there stay."""
    rows = [
        {**MAIN, "exchange_id": "1", "input_tokens": MILLION},
        {**REVIEWER, "exchange_id": "2", "input_tokens": MILLION},
        {**MAIN, "exchange_id": "3", "provider": "elsewhere", "model": "nobody's", "input_tokens": 1},
        {**REVIEWER, "exchange_id": "4", "requested_model": None, "input_tokens": 1},
    ]
    before = cost(frame("exchanges", *rows)).collect()

    after = unrouted(before).collect()

    assert after.drop("unrouted_cost_usd").equals(before)
    assert after["unrouted_cost_usd"].to_list() == [5.0, 5.0, None, None]
    assert before["cost_usd"].to_list() == [5.0, 2.5, None, pytest.approx(2.5e-6)]


def test_nothing_that_was_routed_gives_no_row() -> None:
    """Without a routed exchange there is a frame of the same columns, and nothing in it."""
    found = routing(frame("exchanges", MAIN)).collect()

    assert found.is_empty()
    assert found.schema == routing(frame("exchanges", REVIEWER)).collect().schema
    assert (found.schema["agent"], found.schema["unpriced"], found.columns) == (TEXT, WHOLE, COLUMNS)
    assert unrouted(frame("exchanges")).collect().schema == pl.Schema(
        {**EXCHANGES.schema(), "unrouted_cost_usd": pl.Float64()}
    )
