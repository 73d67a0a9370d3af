"""The main measures by PySpark over an exported folder, held against what `analysis` says of the same folder.

Run it from the repository; it needs PySpark, which nothing else here does, and a Java runtime (17 or newer):

    .venv/bin/pip install pyspark
    .venv/bin/ccproxy export --format parquet captures/
    .venv/bin/python -m benchmarks.spark captures/

Shows that a folder of Parquet is the way past one machine: the SQL below asks in Spark's own words, in local mode, and knows
the folder's columns only. Prints both answers, their times and the largest difference; exits with 1 where they differ.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from pyspark.sql import SparkSession

import analysis
from analysis.measures.cache import cache
from analysis.measures.latency import banded, latency
from analysis.measures.tools import tools

TOLERANCE = 1e-9  # relative; sums of floating-point numbers depend on their order
SHOWN: dict[str, Any] = {"tbl_rows": 6, "tbl_cols": -1, "tbl_width_chars": 220, "tbl_hide_column_data_types": True}
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure, asked twice: of `analysis` and in Spark's SQL. `keys` name its groups; the rest are figures."""

    name: str
    keys: tuple[str, ...]
    ours: Callable[[analysis.Capture], pl.LazyFrame]
    query: str


def _tokens(captures: analysis.Capture) -> pl.LazyFrame:
    groups = banded(captures.exchanges()).group_by("day", "model")
    return groups.agg(pl.len().alias("exchanges"), pl.col(TOKENS).sum())


def _ranks(*columns: tuple[str, int, str]) -> str:
    ranks = (f"percentile_disc({p / 100}) WITHIN GROUP (ORDER BY {column}) AS {name}" for column, p, name in columns)
    return ",\n".join(ranks)


def _sums(*columns: str) -> str:
    return ",\n".join(f"coalesce(sum({column}), 0) AS {column}" for column in columns)


TIMES = [
    (f"{name}_ms", p, f"{name}_p{p}_ms") for name in ("first_byte", "first_token", "duration") for p in (50, 90, 99)
]
SPEEDS = [("tokens_per_second", p, f"tokens_per_second_p{p}") for p in (50, 10)]
WIRE = [("wire_ms", p, f"wire_p{p}_ms") for p in (50, 95)]

MEASURES = (
    Measure(
        "tokens by day and model",
        ("day", "model"),
        _tokens,
        f"SELECT to_date(started_at) AS day, model, count(*) AS exchanges, {_sums(*TOKENS)} FROM exchanges GROUP BY 1, 2",
    ),
    Measure(
        "latency by day",
        ("day",),
        lambda captures: latency(captures.exchanges(), by="day"),
        f"""SELECT to_date(started_at) AS day, count(*) AS exchanges, {_ranks(*TIMES, *SPEEDS)},
                   {_ranks(("gap_max_ms", 99, "gap_max_p99_ms"))},
                   count_if(coalesce(first_token_ms, if(stream, duration_ms, NULL)) > 30000 OR gap_max_ms > 5000) AS stalls
            FROM exchanges WHERE state = 'complete' AND api_error IS NULL AND output_tokens IS NOT NULL GROUP BY 1""",
    ),
    Measure(
        "tools",
        ("tool_name",),
        lambda captures: tools(captures.tool_calls()),
        f"""SELECT tool_name, count(*) AS calls, count_if(answered) AS answered, count_if(is_error) AS errors,
                   count_if(is_error) / nullif(count_if(answered), 0) AS error_rate, {_ranks(*WIRE)},
                   max(wire_ms) AS wire_max_ms, sum(wire_ms) AS wire_ms, sum(client_ms) AS client_ms,
                   {_sums("input_characters", "result_characters")} FROM tool_calls GROUP BY 1""",
    ),
    Measure(
        "cache hits by model",
        ("model",),
        lambda captures: cache(captures.exchanges(), by="model"),
        f"""SELECT *, cache_read_tokens / nullif(input_tokens + cache_read_tokens + cache_write_tokens, 0) AS hit_ratio
            FROM (SELECT model, count(*) AS exchanges, {_sums(*TOKENS)} FROM exchanges
                  WHERE coalesce(input_tokens, cache_read_tokens, cache_write_tokens) IS NOT NULL GROUP BY 1)""",
    ),
)


def _session(folder: Path) -> SparkSession:
    """Start Spark in this process, with the folder's frames as views."""
    settings: dict[str, Any] = {
        "spark.sql.session.timeZone": "UTC",  # a day is one of UTC, as in `analysis`
        "spark.sql.shuffle.partitions": "8",  # some cores, not a cluster of them
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    spark: SparkSession = SparkSession.builder.master("local[*]").appName("ccproxy").config(map=settings).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    for grain in ("exchanges", "tool_calls"):
        # The partition's own `day` is left aside: what counts is when an exchange started.
        rows = spark.read.option("mergeSchema", "true").parquet(str(folder / grain)).drop("day")
        rows.createOrReplaceTempView(grain)
    return spark


def _spark(spark: SparkSession, measure: Measure) -> pl.DataFrame:
    query = spark.sql(measure.query)
    rows = [row.asDict() for row in query.collect()]
    return pl.DataFrame(rows, schema=None if rows else query.columns, infer_schema_length=None).sort(measure.keys)


def _analysis(captures: analysis.Capture, measure: Measure) -> pl.DataFrame:
    return measure.ours(captures).collect().sort(measure.keys)


def _timed(ask: Callable[[], pl.DataFrame]) -> tuple[pl.DataFrame, float]:
    begin = time.perf_counter()
    return ask(), time.perf_counter() - begin


def difference(ours: Row | None, theirs: Row | None, figure: str) -> float:
    """Return how far a figure of the same group is apart, relative to the larger; infinite where only one side has it."""
    a, b = (row.get(figure) if row else None for row in (ours, theirs))
    if a is None or b is None or ours is None or theirs is None:
        return 0.0 if ours and theirs and a is b else math.inf
    return abs(a - b) / max(abs(a), abs(b)) if a != b else 0.0


def largest(measure: Measure, ours: pl.DataFrame, theirs: pl.DataFrame) -> tuple[float, str]:
    """Return the largest difference of all groups and figures that Spark was asked for, and where it is."""
    sides = [{tuple(row[key] for key in measure.keys): row for row in side.to_dicts()} for side in (ours, theirs)]
    found = [
        (difference(sides[0].get(group), sides[1].get(group), figure), f"{measure.name}: {figure} of {group}")
        for group in sides[0].keys() | sides[1].keys()
        for figure in theirs.columns
        if figure not in measure.keys
    ]
    return max(found, default=(0.0, f"{measure.name}: no groups"))


def main(folder: Path) -> bool:
    """Ask both for all measures, print what they say, and return whether they say the same."""
    spark = _session(folder)
    worst = (0.0, "nowhere")
    with analysis.open(folder) as captures, pl.Config(**SHOWN):
        print(captures)
        for measure in MEASURES:
            theirs, their_time = _timed(partial(_spark, spark, measure))
            ours, our_time = _timed(partial(_analysis, captures, measure))
            found = largest(measure, ours, theirs)
            print(f"\n{measure.name}\nanalysis, {our_time:.2f} s: {ours.select(theirs.columns)}")
            print(f"PySpark, {their_time:.2f} s: {theirs}\nlargest relative difference: {found[0]:.3g} ({found[1]})")
            worst = max(worst, found)
    spark.stop()
    same = worst[0] <= TOLERANCE
    print(f"\nlargest of all: {worst[0]:.3g} ({worst[1]}): {'the same' if same else 'NOT THE SAME'}")
    return same


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmarks.spark DIR")
    sys.exit(0 if main(Path(sys.argv[1])) else 1)
