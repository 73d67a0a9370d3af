"""What routing leaves on record, as frames: the same by every way, and in what was exported."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from analysis import Capture, measures
from analysis.dictionary import EXCHANGES
from tests.support import routed
from tests.support.captures import STORES, WAYS, Places, frame, opened
from tests.support.routed import ASKED_FOR, OLLAMA, OPENAI, OPENROUTER, id_of

COLUMNS = (
    "agent_name",
    "agent_sign",
    "provider",
    "requested_model",
    "routed_model",
    "response_model",
    "routed",
    "endpoint",
)
REVIEWER = ("code-reviewer", "spawn", "openai", ASKED_FOR, "gpt-4o", "gpt-4o-2024-08-06", True, OPENAI)
HELPER = ("private-helper", "system_prompt", "ollama", ASKED_FOR, "llama3.2")
MAIN = (None, None, "anthropic", ASKED_FOR, ASKED_FOR, ASKED_FOR, False, None)
EXPECTED = [
    MAIN,
    REVIEWER,
    REVIEWER,
    (
        "data-analyst", "definition", "openrouter", ASKED_FOR, "openai/gpt-4o", "openai/gpt-4o-2024-08-06", True, OPENROUTER,
    ),
    ("tidier", "hint_header", "anthropic", ASKED_FOR, "claude-haiku-4-5", "claude-haiku-4-5-20251001", True, None),
    (*HELPER, "llama3.2:latest", True, OLLAMA),
    (*HELPER, None, True, OLLAMA),
    ("Explore", "spawn", *MAIN[2:]),
    MAIN,
]  # fmt: skip


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """Give the places of the routed session."""
    with contextlib.closing(Places(tmp_path_factory.mktemp("routed"), routed.exchanges(), routed.fill)) as found:
        yield found


@pytest.fixture(scope="module", params=WAYS)
def capture(request: pytest.FixtureRequest, places: Places) -> Iterator[Capture]:
    """Give the routed session by each way, one after the other."""
    with places.open(request.param) as found:
        yield found


def test_an_exchange_says_where_it_went_and_whose_it_was(capture: Capture) -> None:
    """Agent, sign, provider, models and endpoint stand in the row, and `routed` is what went elsewhere than the client asked."""
    assert frame(capture, "exchanges").select(COLUMNS).rows() == EXPECTED


def test_what_was_lost_is_a_list_of_sentences(capture: Capture) -> None:
    """Losses are JSON, and null where nothing was lost."""
    losses = dict(frame(capture, "exchanges").select("exchange_id", "losses").drop_nulls().rows())
    assert set(losses) == {id_of(102), id_of(103)}
    assert json.loads(losses[id_of(102)]) == list(routed.LOSSES)


def test_a_thread_goes_by_the_agents_name(capture: Capture) -> None:
    """The name that routing found stands before all others, whatever the client calls the agent's type."""
    found = dict(frame(capture, "threads").select("agent_id", "agent").rows())
    assert found == {None: "main", **{f"a{number}": name for number, name in enumerate(routed.AGENTS, 1)}}


def test_routing_is_measured_by_every_way(capture: Capture) -> None:
    """Cost by the provider that answered, against Opus 4.5 at 5, 0.50 (read) and 25 USD per million, worked out by hand."""
    found = measures.routing(capture.exchanges()).collect()
    figures = {row["agent"]: row for row in found.rows(named=True)}
    assert list(figures) == ["tidier", "data-analyst", "code-reviewer", "private-helper"]
    # gpt-4o: 2.50, 1.25 and 10 for 1500 of input, 1000 read and 500 of output, of two requests
    reviewer = figures["code-reviewer"]
    assert reviewer["cost_usd"] == pytest.approx((1500 * 2.5 + 1000 * 1.25 + 500 * 10) / 1e6)
    assert reviewer["unrouted_cost_usd"] == pytest.approx((1500 * 5 + 1000 * 0.5 + 500 * 25) / 1e6)
    assert reviewer["saved_usd"] == pytest.approx(0.0205 - 0.01)
    assert figures["data-analyst"]["saved_usd"] == pytest.approx((4000 * 2.5 + 100 * 15) / 1e6)
    assert figures["tidier"]["saved_usd"] == pytest.approx((2000 * 4 + 400 * 20) / 1e6)
    helper = figures["private-helper"]
    assert (helper["exchanges"], helper["errors"], helper["unpriced"], helper["cost_usd"]) == (2, 1, 1, None)
    assert helper["unrouted_cost_usd"] == pytest.approx((600 * 5 + 50 * 25) / 1e6)


def test_what_has_no_price_is_listed(capture: Capture) -> None:
    """A local model stands among those without a price, by what it calls itself."""
    found = measures.unpriced(capture.exchanges()).collect()
    assert found.rows() == [("llama3.2:latest", "ollama", 1, 650)]


@pytest.mark.parametrize("way", STORES)
def test_all_three_bodies_are_given_back(places: Places, way: str) -> None:
    """The client's request, what went up in its place and the provider's bytes, each exactly; no third where none was translated."""
    with places.open(way) as capture:
        for number, exchange in routed.by_number().items():
            raw = b"".join(data for _, data in exchange.captured.chunks)
            assert capture.body(id_of(number), "request") == exchange.captured.request
            assert capture.body(id_of(number), "sent") == (exchange.sent or None)
            assert capture.body(id_of(number), "response") == (exchange.raw or raw)
            assert capture.headers(id_of(number), "sent") == []


def test_they_are_exported_in_every_format(places: Places, tmp_path: Path) -> None:
    """The columns stand in what is exported as JSONL and as CSV, as in Parquet."""
    with places.open("sqlite") as capture:
        for format_ in ("jsonl", "csv"):
            capture.export(tmp_path / format_, format=format_)
    [lines] = (tmp_path / "jsonl" / "exchanges").glob("*/*.jsonl")
    [table] = (tmp_path / "csv" / "exchanges").glob("*/*.csv")
    for found in (pl.read_ndjson(lines, infer_schema_length=None), pl.read_csv(table, infer_schema_length=None)):
        assert set(found.columns) == set(EXCHANGES.schema())
        assert found.select(COLUMNS).rows() == EXPECTED


def test_an_export_of_an_older_version_is_read(places: Places, tmp_path: Path) -> None:
    """Columns that were not there yet are null in it; days that are added later have them."""
    with places.open("sqlite") as capture:
        capture.export(tmp_path)
    [file] = (tmp_path / "exchanges").glob("*/*.parquet")
    new = pl.read_parquet(file)
    new.drop("agent_name", "agent_sign", "routed", "endpoint", "losses").write_parquet(file)
    with opened(tmp_path) as capture:
        old = frame(capture, "exchanges")
        assert dict(old.schema) == EXCHANGES.schema()
        assert old["endpoint"].null_count() == old.height == 9
        assert old["routed_model"].to_list() == new["routed_model"].to_list()
    later = tmp_path / "exchanges" / "day=2030-01-01" / "exchanges.parquet"
    later.parent.mkdir()
    new.with_columns(exchange_id=pl.col("exchange_id").str.replace("0000", "1111")).write_parquet(later)
    with opened(tmp_path) as capture:
        assert frame(capture, "exchanges")["endpoint"].to_list() == [None] * 9 + new["endpoint"].to_list()
