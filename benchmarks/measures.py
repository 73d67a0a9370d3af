"""What questions cost at a million exchanges: each in a process of its own, so that its memory is its own.

    python -m benchmarks.growth sqlite FILE        # makes the store
    python -m benchmarks.measures FILE             # or a postgresql:// URL, or a folder of Parquet

Prints seconds (the first time, then the best of two more) and the peak of memory.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import polars as pl

import analysis
from analysis import measures

Question = Callable[[analysis.Capture], pl.DataFrame]
BY_HOUR = (
    "SELECT model, date_trunc('hour', started_at) AS hour, count(*) AS exchanges, sum(output_tokens) AS output_tokens,"
    " quantile_disc(first_token_ms, 0.95) AS first_token_p95_ms FROM exchanges GROUP BY ALL"
)


def _by_model_and_hour(cap: analysis.Capture) -> pl.DataFrame:
    hour = pl.col("started_at").dt.truncate("1h")
    sums = (pl.len(), pl.col("output_tokens").sum(), pl.col("first_token_ms").quantile(0.95))
    return cap.exchanges().group_by("model", hour).agg(sums).collect()


def _cost_by_day(cap: analysis.Capture) -> pl.DataFrame:
    day = pl.col("started_at").dt.date()
    return cap.exchanges().pipe(measures.cost).group_by(day).agg(pl.col("cost_usd").sum()).collect()


QUESTIONS: dict[str, Question] = {
    "exchanges by model and hour": _by_model_and_hour,
    "the same in SQL": lambda cap: cap.sql(BY_HOUR),
    "cost by day": _cost_by_day,
    "latency by day": lambda cap: cap.exchanges().pipe(measures.latency, by="day").collect(),
    "cache by model": lambda cap: cap.exchanges().pipe(measures.cache).collect(),
    "tool calls by tool": lambda cap: cap.tool_calls().pipe(measures.tools).collect(),
    "sessions": lambda cap: cap.sessions().collect(),
}


def main() -> None:
    """Ask every question of a place, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place")
    parser.add_argument("--question", choices=QUESTIONS)
    wanted = parser.parse_args()
    if wanted.question:
        _ask(wanted.place, wanted.question)
        return
    for question in QUESTIONS:
        subprocess.run([sys.executable, "-m", "benchmarks.measures", wanted.place, "--question", question], check=True)


def _ask(place: str, question: str) -> None:
    with analysis.open(place) as cap:
        took = []
        for _ in range(3):
            began = time.perf_counter()
            found = QUESTIONS[question](cap)
            took.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # kB on Linux
    print(
        f"{question:30} {took[0]:6.2f} s, then {min(took[1:]):6.2f} s  {found.height:8,} rows  {peak:5.2f} GB",
        flush=True,
    )


if __name__ == "__main__":
    main()
