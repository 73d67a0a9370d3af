"""What exchanges cost in US dollars: by the price list inside `genai_prices`, and by a file of one's own.

Whose prices hold is told by the provider that answered: by its name, else by the address of its API. One that the library does
not know may be anybody's gateway, so there the model's name says the price; but what answers on this machine or in a private
network sends no bill that is known here.

The only door to `genai_prices`. A price may change with the day, the hour and the size of the context; so each model that
occurs is asked once for each such step what its tokens cost, by the library's own arithmetic, and the frame is joined with
the answers. Refuses to guess: tokens without a price cost null, never zero. Refuses to fetch newer prices.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urlsplit

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
TARIFF = (
    "provider",
    "endpoint",
    "model",
    "routed_model",
)  # the columns that tell whose prices hold, and for which model
_PRIVATE_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


def cost(exchanges: Frame, prices: Prices = None) -> pl.LazyFrame:
    """Return the frame with what each exchange cost: input_usd, cache_read_usd, cache_write_usd, output_usd,
    web_search_usd and their sum cost_usd, all in USD.

    Takes from `exchanges`: provider, endpoint, model, routed_model, started_at, the token columns and web_searches. Tokens
    written to the cache without being told for how long count as written for 5 minutes. `web_search_usd` includes what a few
    models ask per request. A model without a price gives null in all six, and `unpriced` lists it; but an exchange that
    counted no tokens and no searches (an error, a count of tokens) costs 0.0 whatever its model, for nothing is billed. Where
    another provider's answer names a model in a way that no list knows, the name that it was asked for by holds.

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
    tariffs = map(Tariff._make, frame.select(TARIFF).unique().drop_nulls("model").collect().rows())
    found = {tariff: info for tariff in tariffs if (info := _find(tariff, own)) is not None}
    steps = _Steps.of(found.values())
    rows = [
        (*tariff, step, *_rates(info.get_prices(moment), size))
        for tariff, info in found.items()
        for step, (moment, size) in enumerate(steps)
    ]
    schema = {**dict.fromkeys(TARIFF, pl.String()), "_step": pl.Int64(), **dict.fromkeys(RATES, pl.Float64())}
    table = pl.LazyFrame(rows, schema=schema, orient="row")
    return (
        frame.with_columns(_step=steps.number())
        .join(table, on=[*TARIFF, "_step"], how="left", nulls_equal=True, maintain_order="left")
        .drop("_step")
    )


class Tariff(NamedTuple):
    """Whose prices hold, and for which model, as the columns of TARIFF tell it."""

    provider: str | None
    endpoint: str | None
    model: str
    routed_model: str | None

    def names(self) -> list[str]:
        """Return the names by which the model may be listed, the best one first."""
        asked = [self.routed_model] if self.endpoint and self.routed_model else []
        return list(dict.fromkeys(name for model in (self.model, *asked) for name in _spellings(model)))

    def providers(self) -> list[str]:
        """Return the ids under which the library knows the provider for certain: by its name, and by the address of its API."""
        snapshot, named = get_snapshot(), (self.provider or "").lower().strip()
        found = [known.id for known in snapshot.providers if known.id == named]
        if self.endpoint:
            with contextlib.suppress(LookupError):
                found.append(snapshot.find_provider(None, None, self.endpoint).id)
        return found

    def likely(self) -> str | None:
        """Return the id of the provider that a name such as `anthropic-eu` speaks of."""
        found = find_provider_by_id(get_snapshot().providers, self.provider) if self.provider else None
        return found.id if found else None


def _find(tariff: Tariff, own: list[ModelInfo]) -> ModelInfo | None:
    """Return who says the prices of a model: an entry of one's own, else the library, else nobody."""
    names = tariff.names()
    for entry in own:
        pattern = entry.id.lower()
        if any(name == pattern or fnmatchcase(name, pattern) for name in names):
            return entry
    if providers := tariff.providers():
        return _listed(names, providers)
    if tariff.endpoint and _is_private(tariff.endpoint):
        return None
    if likely := tariff.likely():
        return _listed(names, [likely])
    return _listed([*names, *(name.rpartition("/")[2] for name in names)], [None])


def _listed(names: Iterable[str], providers: Iterable[str | None]) -> ModelInfo | None:
    """Return the first model that one of the providers lists under one of the names; None stands for any provider."""
    for provider, name in product(providers, names):
        try:
            return get_snapshot().find_provider_model(name, None, provider, None)[1]
        except LookupError:
            continue
    return None


def _is_private(endpoint: str) -> bool:
    """Tell whether an address is on this machine, or in a network that is not the internet."""
    try:
        host = urlsplit(endpoint).hostname or ""
    except ValueError:
        return False
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_NAMES)


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
