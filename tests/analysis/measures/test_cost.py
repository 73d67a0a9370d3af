"""Cost: prices by hand, and the same as the library that knows them for every model, size and date."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from polars.io.plugins import register_io_source

from analysis.dictionary import EXCHANGES
from analysis.measures.cost import cost, saved, unpriced
from tests.support.frames import at, frame

OPUS = {"provider": "anthropic", "model": "claude-opus-4-5", "started_at": at(0)}
PARTS = ["input_usd", "cache_read_usd", "cache_write_usd", "output_usd", "web_search_usd"]
USD = [*PARTS, "cost_usd"]


def costs(*rows: dict[str, Any], prices: Path | None = None) -> list[float | None]:
    """Return what each of the exchanges cost."""
    return cost(frame("exchanges", *rows), prices).collect()["cost_usd"].to_list()


def file(folder: Path, *entries: Any) -> Path:
    """Return a file of prices with these entries."""
    path = folder / "prices.json"
    path.write_text(json.dumps(entries))
    return path


def test_each_kind_of_token_has_its_price() -> None:
    """Each kind of token is charged at its own price per million, and the cost is their sum."""
    row = {
        **OPUS, "input_tokens": 1_000, "cache_read_tokens": 10_000, "cache_write_tokens": 3_000, "cache_write_5m_tokens": 2_000,
        "cache_write_1h_tokens": 1_000, "output_tokens": 500, "web_searches": 2,
    }  # fmt: skip

    found = cost(frame("exchanges", row)).collect()

    # 5, 0.50, 6.25 (5 minutes), 10 (1 hour) and 25 USD per million; 10 USD per thousand searches
    expected = [0.005, 0.005, 0.0125 + 0.01, 0.0125, 0.02]
    assert found.select(PARTS).row(0) == pytest.approx(expected)
    assert found["cost_usd"].item() == pytest.approx(0.065)


@pytest.mark.parametrize(
    ("split", "usd"),
    [
        ({}, 6.25),
        ({"cache_write_1h_tokens": 400_000}, 0.6 * 6.25 + 0.4 * 10),
        ({"cache_write_5m_tokens": 300_000}, 6.25),
    ],
)
def test_tokens_written_without_a_split_count_for_5_minutes(split: dict[str, int], usd: float) -> None:
    """Of what was written to the cache, all that is not said to stay an hour is charged for 5 minutes."""
    assert costs({**OPUS, "cache_write_tokens": 1_000_000, **split}) == pytest.approx([usd])


@pytest.mark.parametrize(("context", "usd"), [(200_000, 0.2 * 3 + 0.1 * 15), (200_001, 0.200001 * 6 + 0.1 * 22.5)])
def test_a_long_context_has_its_own_prices(context: int, usd: float) -> None:
    """One token above the threshold all tokens cost more, output included, and the cache counts towards it."""
    plain = {"provider": "anthropic", "model": "claude-sonnet-4-5", "started_at": at(0), "output_tokens": 100_000}
    read = cost(frame("exchanges", {**plain, "input_tokens": 1, "cache_read_tokens": context - 1})).collect()

    assert costs({**plain, "input_tokens": context}) == pytest.approx([usd])
    assert read["output_usd"].item() == pytest.approx(2.25 if context > 200_000 else 1.5)


def test_a_price_changes_with_its_day() -> None:
    """The price is the one of the day on which the request began, in UTC: opus 4.6 had no surcharge from 13 March 2026 on."""
    opus = {"provider": "anthropic", "model": "claude-opus-4-6", "input_tokens": 1_000_000}
    last, first = datetime(2026, 3, 12, 23, 59, 59, 999999, UTC), datetime(2026, 3, 13, tzinfo=UTC)

    assert costs({**opus, "started_at": last}, {**opus, "started_at": first}) == pytest.approx([10, 5])


@pytest.mark.parametrize(
    "model",
    [
        "claude-opus-5", "claude-opus-5-20261010", "claude-opus-5[1m]", "claude-opus-5-20261010[1m]", "claude-opus-5@20261010",
        "claude-opus-5-2026-10-10", "Claude-Opus-5",
    ],
)  # fmt: skip
def test_a_model_is_known_by_all_its_names(model: str) -> None:
    """A date or `[1m]` after a model's name does not hide it."""
    assert costs({**OPUS, "model": model, "input_tokens": 1_000_000}) == pytest.approx([5])


def test_an_undated_name_never_replaces_a_dated_one() -> None:
    """A dated model with prices of its own keeps them."""
    asked = {"provider": "openai", "started_at": at(0), "input_tokens": 1_000_000}

    assert costs({**asked, "model": "gpt-4o-2024-05-13"}, {**asked, "model": "gpt-4o"}) == [5.0, 2.5]


def test_an_unknown_model_costs_null() -> None:
    """What has no price costs null in every column, also the kinds that were not used, and never zero."""
    unknown = {**OPUS, "model": "somebody-elses-9b", "input_tokens": 10}

    found = cost(frame("exchanges", unknown, {**OPUS, "input_tokens": 1_000_000})).collect()

    assert found.select(USD).row(0) == (None,) * 6
    assert found["cost_usd"].to_list() == [None, 5.0]


def test_a_known_provider_has_its_own_models_only() -> None:
    """A model that a known provider does not list is unknown; of a provider nobody knows, the model's name says the price."""
    tokens = {"started_at": at(0), "input_tokens": 1_000_000}
    found = costs(
        {**tokens, "provider": "anthropic", "model": "gpt-4o"},
        {**tokens, "provider": "our-gateway", "model": "gpt-4o"},
        {**tokens, "provider": None, "model": "claude-opus-4-5"},
        {**tokens, "provider": "our-gateway", "model": "llama-at-home"},
    )

    assert found == [None, 2.5, 5.0, None]


CHAT = {
    "openai": "https://api.openai.com/v1/chat/completions",
    "openrouter": "https://openrouter.ai/api/v1/chat/completions",
    "groq": "https://api.groq.com/openai/v1/chat/completions",
    "azure": "https://us.openai.azure.com/openai/deployments/mine/chat/completions",
    "deepseek": "https://api.deepseek.com/chat/completions",
    "gateway": "https://llm.example.com/v1/chat/completions",
    "nonsense": "https://[/v1",
}


@pytest.mark.parametrize(
    ("provider", "place", "model", "usd"),
    [
        ("openai", "openai", "gpt-4o-2024-08-06", 2.5),
        ("OpenAI", "openai", "gpt-4o", 2.5),
        ("mine", "openai", "gpt-4o", 2.5),  # by the address
        ("mine", "openrouter", "openai/gpt-4o", 2.5),
        ("openrouter", "openrouter", "anthropic/claude-haiku-4.5", 1.0),
        ("mine", "groq", "llama-3.3-70b-versatile", 0.59),
        ("mine", "azure", "gpt-4o", 2.5),
        ("mine", "openai", "llama-3.3-70b-versatile", None),  # that provider has no such model
        ("openai", "groq", "llama-3.3-70b-versatile", 0.59),  # `openai` may stand for whatever speaks its protocol
        ("openai", "gateway", "gpt-4o", 2.5),
        ("mine", "gateway", "gpt-4o", 2.5),  # by the model's name alone
        ("mine", "gateway", "openai/gpt-4o", 2.5),
        ("mine", "gateway", "somebody/gpt-of-tomorrow", None),
        ("mine", "nonsense", "gpt-4o", 2.5),
        ("azure-eu", "gateway", "somebody/gpt-of-tomorrow", None),
        ("anthropic-eu", "gateway", "claude-opus-4-5", 5.0),
    ],
)
def test_whoever_answered_says_the_price(provider: str, place: str, model: str, usd: float | None) -> None:
    """A routed exchange is priced by its provider's name, else by the address of its API, else by the model's name alone."""
    row = {"provider": provider, "endpoint": CHAT[place], "model": model, "started_at": at(0)}

    assert costs({**row, "input_tokens": 1_000_000}) == pytest.approx([usd])


def test_tokens_of_another_provider_are_counted_as_those_of_anthropic() -> None:
    """Input does not include what was read from the cache, and each is charged at its own price."""
    row = {"provider": "openai", "endpoint": CHAT["openai"], "model": "gpt-4o", "started_at": at(0)}
    used = {"input_tokens": 200_000, "cache_read_tokens": 800_000, "output_tokens": 100_000}

    found = cost(frame("exchanges", {**row, **used})).collect()

    # 2.50, 1.25 and 10 USD per million
    assert found.select(PARTS).row(0) == pytest.approx([0.5, 1.0, 0, 1.0, 0])


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://localhost:11434/v1/chat/completions", "http://127.0.0.1:8000/v1/chat/completions", "http://[::1]:8000/v1",
        "http://192.168.1.7:1234/v1", "http://vllm:8000/v1/chat/completions", "http://host.docker.internal:11434/v1", "/v1",
    ],
)  # fmt: skip
def test_what_answers_at_home_has_no_price(endpoint: str) -> None:
    """A provider on this machine or in a private network sends no bill that is known here: null, also for a model that others sell."""
    row = {"provider": "mine", "endpoint": endpoint, "started_at": at(0), "input_tokens": 10}

    assert (
        costs({**row, "model": "gpt-4o"}, {**row, "model": "openai/gpt-oss-120b"}, {**row, "model": "llama3.2"})
        == [None] * 3
    )


def test_the_name_that_was_asked_for_holds_where_the_answer_names_none_that_is_listed() -> None:
    """Of a routed exchange whose answer calls its model as no list does, the routed model's price holds; of others none does."""
    row = {
        "provider": "openai",
        "model": "internal-7f3a",
        "routed_model": "gpt-4o",
        "started_at": at(0),
        "input_tokens": 1_000_000,
    }

    assert costs(
        {**row, "endpoint": CHAT["openai"]}, row, {**row, "endpoint": CHAT["openai"], "model": "gpt-4o-mini"}
    ) == [2.5, None, 0.15]


def test_own_prices_make_a_local_model_known(tmp_path: Path) -> None:
    """A file of prices holds for whatever answers, on this machine too."""
    own = file(tmp_path, {"model": "llama3.2*", "input": 0.1, "output": 0.2})
    row = {
        "provider": "ollama",
        "endpoint": "http://localhost:11434/v1",
        "started_at": at(0),
        "output_tokens": 1_000_000,
    }

    assert costs({**row, "model": "llama3.2:latest"}, {**row, "model": "qwen3"}, prices=own) == [0.2, None]


def test_an_exchange_without_usage_costs_nothing() -> None:
    """An exchange for which nothing was counted costs 0, whatever its model: no bill has it."""
    found = cost(frame("exchanges", OPUS, {**OPUS, "model": "nobody"}, {"started_at": at(0)})).collect()

    assert found.select(USD).rows() == [(0.0,) * 6] * 3


def test_unpriced_lists_what_has_no_price() -> None:
    """Models whose tokens have no price are listed with how often and how much they were used, the most used first."""
    rows = [
        {**OPUS, "model": "a", "input_tokens": 1, "cache_read_tokens": 2, "cache_write_tokens": 3, "output_tokens": 4},
        {**OPUS, "model": "b", "output_tokens": 50},
        {**OPUS, "model": "b", "provider": "elsewhere", "output_tokens": 5},
        {**OPUS, "model": "b", "input_tokens": 50},
        {**OPUS, "model": "c"},
        {**OPUS, "output_tokens": 7},
    ]

    found = unpriced(frame("exchanges", *rows)).collect()

    assert found.columns == ["model", "provider", "exchanges", "tokens"]
    assert found.rows() == [("b", "anthropic", 2, 100), ("a", "anthropic", 1, 10), ("b", "elsewhere", 1, 5)]


def usages(provider: str, seed: int) -> Iterator[tuple[dict[str, Any], Usage]]:
    """Yield exchanges of each model of a provider, at all sizes and dates, each with the usage as the library wants it."""
    chance = random.Random(seed)
    models = next(known for known in get_snapshot().providers if known.id == provider).models
    for model in (model for model in models if model.is_match(model.id)):
        for context in (1, 30_000, 100_000, 100_001, 200_000, 200_001, 272_001, 600_000):
            cuts = sorted(chance.randint(0, context) for _ in range(3))
            read, short, long = cuts[0], cuts[1] - cuts[0], cuts[2] - cuts[1]
            output, searches = chance.randint(1, 9_999), chance.randint(0, 3)
            row = {
                "provider": provider, "model": model.id, "input_tokens": context - cuts[2], "cache_read_tokens": read,
                "cache_write_tokens": short + long, "cache_write_5m_tokens": short, "cache_write_1h_tokens": long,
                "output_tokens": output, "web_searches": searches,
                "started_at": datetime(2024, 6, 1, tzinfo=UTC) + timedelta(minutes=chance.randint(0, 1_400_000)),
            }  # fmt: skip
            told = {name: row[name] for name in row if name.startswith("cache_")}
            yield row, Usage(input_tokens=context, output_tokens=output, web_searches=searches, **told)


@pytest.mark.parametrize(
    "provider", ["anthropic", "openai", "deepseek", "x-ai", "google", "perplexity", "zai", "groq", "azure"]
)
def test_the_cost_is_what_the_library_says(provider: str) -> None:
    """For every model, size, date and hour the cost is that of `genai_prices.calc_price`, tiers and fees per request included."""
    rows, used = zip(*usages(provider, seed=7), strict=True)

    found = cost(frame("exchanges", *rows)).collect()

    for row, usage, ours in zip(rows, used, found.iter_rows(named=True), strict=True):
        said = calc_price(usage, row["model"], provider_id=provider, genai_request_timestamp=row["started_at"])
        inputs = ours["input_usd"] + ours["cache_read_usd"] + ours["cache_write_usd"]
        theirs = [float(said.input_price), float(said.output_price), float(said.total_price)]
        assert [inputs, ours["output_usd"], ours["cost_usd"]] == pytest.approx(theirs, rel=1e-9), row


def test_the_frame_stays_as_it_was() -> None:
    """Rows keep their order and all their columns, and the costs come behind them; an empty frame has the same columns."""
    rows = [
        {**OPUS, "exchange_id": str(n), "model": ("x", "claude-opus-4-6", "y")[n % 3], "input_tokens": n}
        for n in range(50)
    ]
    before = frame("exchanges", *rows).collect()

    after = cost(before).collect()

    assert after.drop(USD).equals(before)
    assert after.schema == pl.Schema({**EXCHANGES.schema(), **dict.fromkeys(USD, pl.Float64())})
    assert cost(frame("exchanges")).collect().schema == after.schema


def test_a_frame_without_models_has_no_prices() -> None:
    """Exchanges that name no model have tokens without a price, and are listed as such."""
    found = unpriced(frame("exchanges", {"started_at": at(0), "input_tokens": 3})).collect()

    assert found.rows() == [(None, None, 1, 3)]


def test_only_what_is_needed_is_read() -> None:
    """Asked for the cost alone, a lazy frame is read in the columns that make it up, and for the models in those of a tariff."""
    asked: list[set[str]] = []

    def read(names: list[str] | None, *_: Any) -> Iterator[pl.DataFrame]:
        asked.append(set(names or EXCHANGES.schema()))
        row = {**OPUS, "model": "claude-opus-4-6", "output_tokens": 1_000_000}
        yield frame("exchanges", row).collect().select(names or pl.all())

    lazy = register_io_source(read, schema=EXCHANGES.schema())
    total = cost(lazy).select(pl.col("cost_usd").sum()).collect().item()

    assert total == 25.0
    assert asked == [
        {"provider", "endpoint", "model", "routed_model"},
        {
            "provider", "endpoint", "model", "routed_model", "started_at", "input_tokens", "output_tokens", "cache_read_tokens",
            "cache_write_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "web_searches",
        },
    ]  # fmt: skip


def test_own_prices_win(tmp_path: Path) -> None:
    """A file of prices wins over the library, its first entry that fits holds, and it makes unknown models known."""
    own = file(
        tmp_path,
        {
            "model": "claude-opus-4-5", "input": 1, "output": 2, "cache_read": 0.1, "cache_write_5m": 1.5, "cache_write_1h": 3,
            "web_search": 7,
        },
        {"model": "claude-*", "input": 100, "output": 100},
        {"model": "home/*", "input": 0, "output": 0.25},
    )  # fmt: skip
    split = {"cache_write_tokens": 2_000_000, "cache_write_1h_tokens": 1_000_000, "cache_read_tokens": 1_000_000}
    found = costs(
        {**OPUS, **split, "input_tokens": 1_000_000, "output_tokens": 1_000_000, "web_searches": 1_000},
        {**OPUS, "model": "claude-haiku-4-5", "input_tokens": 1_000_000},
        {**OPUS, "model": "home/llama", "input_tokens": 9, "output_tokens": 1_000_000},
        {**OPUS, "provider": "openai", "model": "gpt-4o", "input_tokens": 1_000_000},
        prices=own,
    )

    assert found == pytest.approx([1 + 2 + 0.1 + 1.5 + 3 + 7, 100, 0.25, 2.5])


def test_a_kind_that_the_file_leaves_out_costs_as_input(tmp_path: Path) -> None:
    """In a file of prices, what is read from and written to the cache costs as input unless it says otherwise."""
    own = file(tmp_path, {"model": "claude-opus-4-5", "input": 2, "output": 4})
    row = {**OPUS, "cache_read_tokens": 1_000_000, "cache_write_tokens": 2_000_000, "cache_write_1h_tokens": 1_000_000}

    found = cost(frame("exchanges", row), str(own)).collect()

    assert found.select(PARTS).row(0) == pytest.approx([0, 2, 4, 0, 0])


@pytest.mark.parametrize("pattern", ["claude-opus-5[1m]", "claude-opus-5", "CLAUDE-OPUS-5*", "claude-opus-5-2026????"])
def test_a_name_in_the_file_is_met_by_all_spellings(tmp_path: Path, pattern: str) -> None:
    """A name or pattern in a file of prices is held against the model's name as it is, without `[1m]`, and without date."""
    own = file(tmp_path, {"model": pattern, "input": 42, "output": 0})
    model = "claude-opus-5[1m]" if pattern.endswith("]") else "claude-opus-5-20261010[1m]"

    assert costs({**OPUS, "model": model, "input_tokens": 1_000_000}, prices=own) == [42]


GOOD = {"model": "m", "input": 1, "output": 1}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "[{",
            "the prices in {} are not JSON: Expecting property name enclosed in double quotes: line 1 column 3 (char 2)",
        ),
        (json.dumps(GOOD), "the prices in {} must be a list of objects, one per model"),
        (
            json.dumps([GOOD, 3]),
            '{}, entry 2: must be an object such as {"model": "claude-*", "input": 3, "output": 15}',
        ),
        (json.dumps([{"model": "m", "input": 1}]), '{}, entry 1: "output" is missing'),
        (json.dumps([{"input": 1, "output": 1}]), '{}, entry 1: "model" is missing'),
        (json.dumps([{**GOOD, "model": ""}]), '{}, entry 1: "model" must be the name of a model, or a pattern'),
        (
            json.dumps([{**GOOD, "cache_raed": 1}]),
            '{}, entry 1: there is no price "cache_raed"; there are input, output, cache_read, cache_write_5m,'
            " cache_write_1h, web_search",
        ),
        (json.dumps([{**GOOD, "input": "3"}]), '{}, entry 1: "input" must be a number of USD, 0 or more'),
        (json.dumps([{**GOOD, "input": -1}]), '{}, entry 1: "input" must be a number of USD, 0 or more'),
        (json.dumps([{**GOOD, "input": True}]), '{}, entry 1: "input" must be a number of USD, 0 or more'),
        ('[{"model": "m", "input": NaN, "output": 1}]', '{}, entry 1: "input" must be a number of USD, 0 or more'),
    ],
)
def test_a_malformed_file_of_prices_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    """A file of prices that is not as it should be is refused with a sentence that says what is wrong and where."""
    path = tmp_path / "prices.json"
    path.write_text(text)

    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the sentence is compared whole
        cost(frame("exchanges"), path)

    assert str(refusal.value) == sentence.replace("{}", str(path), 1)


def test_a_missing_file_of_prices_is_refused(tmp_path: Path) -> None:
    """A file of prices that is not there is refused by its name, and never passed over."""
    with pytest.raises(ValueError, match=r"the prices in .*/none\.json cannot be read: No such file or directory"):
        cost(frame("exchanges"), tmp_path / "none.json")


def test_what_the_cache_saved() -> None:
    """The cache saves what reading costs less than input, minus what writing costs more, and may so cost money."""
    rows = [
        {**OPUS, "cache_read_tokens": 1_000_000, "output_tokens": 5},
        {
            **OPUS,
            "cache_write_tokens": 2_000_000,
            "cache_write_5m_tokens": 1_000_000,
            "cache_write_1h_tokens": 1_000_000,
        },
        {**OPUS, "cache_read_tokens": 1_000_000, "cache_write_tokens": 1_000_000, "input_tokens": 77},
        {**OPUS, "input_tokens": 10, "output_tokens": 10},
        {**OPUS, "model": "nobody", "cache_read_tokens": 10},
    ]

    found = saved(frame("exchanges", *rows)).collect()

    # input 5, read 0.50, written 6.25 for 5 minutes and 10 for an hour, per million
    assert found["saved_usd"].to_list() == pytest.approx([4.5, -1.25 - 5, 4.5 - 1.25, 0, None])
    assert found.columns == [*EXCHANGES.schema(), "saved_usd"]


def test_what_the_cache_saved_by_own_prices(tmp_path: Path) -> None:
    """A file of prices holds for what the cache saved, too."""
    own = file(tmp_path, {"model": "*", "input": 10, "output": 0, "cache_read": 2})

    assert saved(frame("exchanges", {**OPUS, "cache_read_tokens": 500_000}), own).collect()["saved_usd"].to_list() == [
        4.0
    ]
