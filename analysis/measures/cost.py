"""What exchanges cost in US dollars: by the price list inside `genai_prices`, and by a file of one's own.

The only door to `genai_prices`. A price may change with the day, the hour and the size of the context; so each model that
occurs is asked once for each such step what its tokens cost, by the library's own arithmetic, and the frame is joined with
the answers. Refuses to guess: tokens without a price cost null, never zero. Refuses to fetch newer prices.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any, NoReturn

import polars as pl
from genai_prices import Usage
from genai_prices.data_snapshot import find_provider_by_id, get_snapshot
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

Frame = pl.LazyFrame | pl.DataFrame
Prices = str | Path | None

MILLION = 1_000_000
# What a model asks for, as columns of the price table: USD per million tokens, USD per search, USD per request.
RATES = ("_input", "_cache_read", "_cache_write_5m", "_cache_write_1h", "_output", "_search", "_request")
# The keys of a file of prices, and what the library calls them. All are USD per million tokens but the last one.
KEYS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write_5m": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "web_search": "web_searches_kcount",
}
REQUIRED = ("model", "input", "output")


def cost(exchanges: Frame, prices: Prices = None) -> pl.LazyFrame:
    """Return the frame with what each exchange cost: input_usd, cache_read_usd, cache_write_usd, output_usd,
    web_search_usd and their sum cost_usd, all in USD.

    Takes from `exchanges`: provider, model, started_at, the token columns and web_searches. Tokens written to the cache
    without being told for how long count as written for 5 minutes. `web_search_usd` includes what a few models ask per
    request. A model without a price gives null in all six, and `unpriced` lists it; but an exchange that counted no
    tokens and no searches (an error, a count of tokens) costs 0.0 whatever its model, for nothing is billed.

    `prices` is a JSON file that wins over the library: a list of objects with "model" (a name, or a pattern with * and ?),
    "input", "output", and if they differ from the input price "cache_read", "cache_write_5m", "cache_write_1h", each in
    USD per million tokens; "web_search" in USD per thousand. The first entry that fits a model holds. Raises ValueError,
    with a sentence that says what is wrong and where, for a file that is not like that.
    """
    short, long = _written()
    parts = {
        "input_usd": _tokens("input_tokens") * pl.col("_input") / MILLION,
        "cache_read_usd": _tokens("cache_read_tokens") * pl.col("_cache_read") / MILLION,
        "cache_write_usd": (short * pl.col("_cache_write_5m") + long * pl.col("_cache_write_1h")) / MILLION,
        "output_usd": _tokens("output_tokens") * pl.col("_output") / MILLION,
        "web_search_usd": _tokens("web_searches") * pl.col("_search") + pl.col("_request"),
    }
    used = _context() + _tokens("output_tokens") + _tokens("web_searches") > 0
    return (
        _with_rates(exchanges, prices)
        .with_columns(pl.when(used).then(part).otherwise(0.0).alias(name) for name, part in parts.items())
        .with_columns(cost_usd=sum(map(pl.col, parts), pl.lit(0.0)))
        .drop(RATES)
    )


def saved(exchanges: Frame, prices: Prices = None) -> pl.LazyFrame:
    """Return the frame with saved_usd: what the cache saved in USD, against all its tokens at the price of input.

    It is what reading cost less, minus what writing cost more: negative where more was written than was read again. Null
    for tokens without a price, as in `cost`, which takes the same columns and the same `prices`.
    """
    short, long = _written()
    read = _tokens("cache_read_tokens")
    plain = pl.col("_input")
    premium = short * (pl.col("_cache_write_5m") - plain) + long * (pl.col("_cache_write_1h") - plain)
    gain = (read * (plain - pl.col("_cache_read")) - premium) / MILLION
    cached = read + short + long > 0
    return (
        _with_rates(exchanges, prices)
        .with_columns(pl.when(cached).then(gain).otherwise(0.0).alias("saved_usd"))
        .drop(RATES)
    )


def unpriced(exchanges: Frame, prices: Prices = None) -> pl.LazyFrame:
    """One row per model and provider whose tokens have no price: model, provider, exchanges (how many), tokens (all that
    they took and gave), the most tokens first. Takes what `cost` takes."""
    return (
        cost(exchanges, prices)
        .filter(pl.col("cost_usd").is_null())
        .group_by("model", "provider")
        .agg(exchanges=pl.len().cast(pl.Int64), tokens=(_context() + _tokens("output_tokens")).sum())
        .sort("tokens", "model", "provider", descending=[True, False, False])
    )


def _tokens(name: str) -> pl.Expr:
    return pl.col(name).fill_null(0)


def _written() -> tuple[pl.Expr, pl.Expr]:
    """Return the tokens written for 5 minutes and those for 1 hour; what was not split counts as the former."""
    long = _tokens("cache_write_1h_tokens")
    split = _tokens("cache_write_5m_tokens") + long
    return pl.max_horizontal(_tokens("cache_write_tokens"), split) - long, long


def _context() -> pl.Expr:
    return _tokens("input_tokens") + _tokens("cache_read_tokens") + sum(_written(), pl.lit(0))


def _with_rates(exchanges: Frame, prices: Prices) -> pl.LazyFrame:
    """Return the frame with the RATES that hold for each row, null where there are none."""
    frame = exchanges.lazy()
    own = list(_own_prices(Path(prices))) if prices is not None else []
    pairs = frame.select("provider", "model").unique().drop_nulls("model").collect().rows()
    found = {(by, model): info for by, model in pairs if (info := _find(by, model, own)) is not None}
    steps = _Steps.of(found.values())
    rows = [
        (*pair, step, *_rates(info.get_prices(moment), size))
        for pair, info in found.items()
        for step, (moment, size) in enumerate(steps)
    ]
    schema = {"provider": pl.String(), "model": pl.String(), "_step": pl.Int64(), **dict.fromkeys(RATES, pl.Float64())}
    table = pl.LazyFrame(rows, schema=schema, orient="row")
    return (
        frame.with_columns(_step=steps.number())
        .join(table, on=["provider", "model", "_step"], how="left", nulls_equal=True, maintain_order="left")
        .drop("_step")
    )


def _find(provider: str | None, model: str, own: list[ModelInfo]) -> ModelInfo | None:
    """Return who says the prices of a model: an entry of one's own, else the library, else nobody."""
    names = _spellings(model)
    for entry in own:
        pattern = entry.id.lower()
        if any(name == pattern or fnmatchcase(name, pattern) for name in names):
            return entry
    snapshot = get_snapshot()
    # A provider by a name of the user's own says nothing to the library: then the model's name alone has to do.
    known = provider if provider and find_provider_by_id(snapshot.providers, provider) else None
    for name in names:
        try:
            return snapshot.find_provider_model(name, None, known, None)[1]
        except LookupError:
            continue
    return None


def _spellings(model: str) -> list[str]:
    """Return the names under which a model may be listed: as it is, without `[1m]`, without its date."""
    plain = re.sub(r"\[[^\]]*\]$", "", model.lower().strip())
    undated = re.sub(r"[-@]20\d\d-?[01]\d-?[0-3]\d$", "", plain)
    return list(dict.fromkeys([model.lower(), plain, undated]))


def _rates(price: ModelPrice, size: int) -> tuple[float, ...]:
    """Return the RATES of a price for a context of so many tokens, each by letting the library price that one kind."""
    plain = price.calc_price(Usage(input_tokens=size))
    read = price.calc_price(Usage(input_tokens=size, cache_read_tokens=size))
    short = price.calc_price(Usage(input_tokens=size, cache_write_tokens=size, cache_write_5m_tokens=size))
    long = price.calc_price(Usage(input_tokens=size, cache_write_tokens=size, cache_write_1h_tokens=size))
    answer = price.calc_price(Usage(input_tokens=size, output_tokens=size))
    search = price.calc_price(Usage(input_tokens=size, web_searches=1))
    tokens = (
        plain["input_price"],
        read["input_price"],
        short["input_price"],
        long["input_price"],
        answer["output_price"],
    )
    return (
        *(float(usd * MILLION / size) for usd in tokens),
        float(search["total_price"] - plain["total_price"]),
        float(plain["total_price"] - plain["input_price"]),
    )


@dataclass(frozen=True, slots=True)
class _Steps:
    """Where prices change: the first days of new ones, hours of the day (UTC), and context sizes above which more is asked."""

    days: list[date]
    hours: list[time]
    sizes: list[int]

    @classmethod
    def of(cls, models: Iterable[ModelInfo]) -> _Steps:
        """Return all steps of these models."""
        days: set[date] = set()
        hours: set[time] = set()
        sizes: set[int] = set()
        for conditional in (each for model in models for each in _conditional(model)):
            match conditional.constraint:
                case StartDateConstraint(start_date=day):
                    days.add(day)
                case TimeOfDateConstraint(start_time=start, end_time=end):
                    hours |= {_utc(start), _utc(end)}
            tiered = (value for value in vars(conditional.prices).values() if isinstance(value, TieredPrices))
            sizes |= {tier.start for price in tiered for tier in price.tiers}
        return cls(sorted(days), sorted(hours), sorted(sizes))

    def __iter__(self) -> Iterator[tuple[datetime, int]]:
        """Yield a moment and a context size inside each step, in the order of `number`."""
        days = [(self.days[0] if self.days else date(2000, 1, 2)) - timedelta(days=1), *self.days]
        sizes = [1, *(size + 1 for size in self.sizes)]
        for day, hour, size in product(days, [time(), *self.hours], sizes):
            yield datetime.combine(day, hour, UTC), size

    def number(self) -> pl.Expr:
        """Return the step that an exchange is in."""
        started = pl.col("started_at")
        day = _passed(started >= datetime.combine(day, time(), UTC) for day in self.days)
        hour = _passed(started.dt.time() >= hour for hour in self.hours)
        size = _passed(_context() > size for size in self.sizes)
        return (day * (len(self.hours) + 1) + hour) * (len(self.sizes) + 1) + size


def _conditional(model: ModelInfo) -> list[ConditionalPrice]:
    return model.prices if isinstance(model.prices, list) else [ConditionalPrice(prices=model.prices)]


def _passed(thresholds: Iterable[pl.Expr]) -> pl.Expr:
    return sum((threshold.cast(pl.Int64) for threshold in thresholds), pl.lit(0, pl.Int64))


def _utc(hour: time) -> time:
    moment = datetime.combine(date(2000, 1, 1), hour)
    return (moment if moment.tzinfo is None else moment.astimezone(UTC)).time()


def _own_prices(path: Path) -> Iterator[ModelInfo]:
    """Yield the entries of a file of prices as the library would have them."""
    try:
        entries = json.loads(path.read_text("utf-8"), parse_float=Decimal, parse_int=Decimal)
    except OSError as problem:
        raise ValueError(f"the prices in {path} cannot be read: {problem.strerror}") from problem
    except ValueError as problem:
        raise ValueError(f"the prices in {path} are not JSON: {problem}") from problem
    if not isinstance(entries, list):
        raise ValueError(f"the prices in {path} must be a list of objects, one per model")
    for number, entry in enumerate(entries, start=1):
        yield _own_price(entry, f"{path}, entry {number}")


def _own_price(entry: Any, where: str) -> ModelInfo:
    def refuse(why: str) -> NoReturn:
        raise ValueError(f"{where}: {why}")

    if not isinstance(entry, dict):
        refuse('must be an object such as {"model": "claude-*", "input": 3, "output": 15}')
    for key in REQUIRED:
        if key not in entry:
            refuse(f'"{key}" is missing')
    pattern = entry["model"]
    if not isinstance(pattern, str) or not pattern:
        refuse('"model" must be the name of a model, or a pattern')
    for key, value in entry.items():
        if key not in ("model", *KEYS):
            refuse(f'there is no price "{key}"; there are {", ".join(KEYS)}')
        if key != "model" and not (isinstance(value, Decimal) and value >= 0):
            refuse(f'"{key}" must be a number of USD, 0 or more')
    return ModelInfo(
        id=pattern,
        match=ClauseEquals(equals=pattern),
        prices=ModelPrice(**{KEYS[key]: value for key, value in entry.items() if key != "model"}),
    )
