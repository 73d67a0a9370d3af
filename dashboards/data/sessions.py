"""Sessions: the list with its figures, searched, sorted and paged; and one session's exchanges with what they cost.

A session is in the list where one of its exchanges is let through by the filters; its figures are of the whole session.
Refuses to know how any of it looks, and what was said in a session.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from analysis import measures
from dashboards.data.store import WENT_WRONG, Data, where
from dashboards.state import Filters

A_PAGE = 50
FIRST = "-started"
_TOKENS = ("input_tokens", "cache_write_tokens", "cache_read_tokens", "output_tokens")
# What the list can be sorted by: its name in the address, and the column.
SORTS = {
    "title": "title", "project": "project", "started": "started_at", "duration": "duration_ms", "turns": "turns",
    "agents": "agents", "models": "model_names", "in": "input_tokens", "written": "cache_write_tokens",
    "read": "cache_read_tokens", "out": "output_tokens", "cost": "cost_usd", "hit": "hit", "errors": "errors",
}  # fmt: skip
# What measures and the thread need of an exchange.
EXCHANGE = (
    "exchange_id", "session_id", "thread_id", "agent_id", "kind", "state", "started_at", "ended_at", "status", "error",
    "api_error", "provider", "model", "requested_model", "routed_model", "routed", "endpoint", "stream", "effort",
    "thinking", "compaction", "retry_count",
    "tool_durations", "stop_reason", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "cache_write_5m_tokens", "cache_write_1h_tokens", "context_tokens", "web_searches", "first_token_ms", "duration_ms",
    "tokens_per_second", "tip", "reply", "preamble",
)  # fmt: skip
CONVERSATION = ("main", "subagent", "compaction")  # the kinds that threads are made of


def sessions(data: Data, filters: Filters, now: datetime) -> pl.DataFrame:
    """Return all sessions that the filters let through: what the view `sessions` has, duration_ms, model_names, cost_usd,
    unpriced (exchanges without a known price) and `hit`, the share of the input that was read from the cache."""

    def make() -> pl.DataFrame:
        price = pl.col("cost_usd")
        priced = data.capture.exchanges().filter(pl.col("session_id").is_not_null())
        money = measures.cost(priced, data.capture.prices).group_by("session_id")
        found = data.capture.sessions().join(
            money.agg(price.sum(), unpriced=price.is_null().sum()), on="session_id", how="left"
        )
        if filters != Filters():
            condition, parameters = where(filters, now)
            ids = data.ask(f"SELECT DISTINCT session_id FROM exchanges WHERE {condition}", parameters)
            found = found.join(ids.lazy(), on="session_id", how="semi")
        return data.collect(found.with_columns(*_derived()))

    return data.kept(("sessions", filters), make)


def _derived() -> tuple[pl.Expr, ...]:
    fed = pl.sum_horizontal("input_tokens", "cache_write_tokens", "cache_read_tokens")
    short = pl.element().str.strip_prefix("claude-").str.replace(r"[-@]20\d{6}$", "")
    return (
        ((pl.col("ended_at") - pl.col("started_at")).dt.total_microseconds() / 1000).alias("duration_ms"),
        pl.col("models").list.eval(short).list.unique(maintain_order=True).list.join(", ").alias("model_names"),
        pl.when(fed > 0).then(pl.col("cache_read_tokens") / fed).alias("hit"),
    )


def listed(found: pl.DataFrame, *, find: str = "", sort: str = FIRST) -> pl.DataFrame:
    """Return the sessions in which `find` stands (title, project, folder, id, models), sorted; a minus before `sort` turns it round.

    What is not known comes last either way; of equal ones the newest comes first.
    """
    if find:
        places = pl.concat_str(
            "title", "project", "cwd", "session_id", "model_names", separator="\n", ignore_nulls=True
        )
        found = found.filter(places.str.to_lowercase().str.contains(find.lower(), literal=True))
    name, down = sort.removeprefix("-"), sort.startswith("-")
    column = pl.col(SORTS.get(name, SORTS[FIRST[1:]]))
    if name in ("title", "project", "models"):
        column = column.str.to_lowercase()
    if name == "hit" or name == "cost":
        column = column.fill_nan(None)
    return found.sort(column, "started_at", descending=[down if name in SORTS else True, True], nulls_last=True)


def table(found: pl.DataFrame) -> pl.DataFrame:
    """Return the list as it is downloaded: plain columns only."""
    names = ("session_id", "title", "project", "cwd", "started_at", "ended_at", "duration_ms", "turns", "agents")
    rest = ("exchanges", *_TOKENS, "cost_usd", "unpriced", "hit", "errors", "client_version")
    return found.select(*names, pl.col("model_names").alias("models"), *rest)


@dataclass(frozen=True, slots=True)
class Session:
    """One session: its row, its exchanges in the order of their start, priced, and its threads, as rows."""

    row: dict[str, Any]
    frame: pl.DataFrame
    exchanges: list[dict[str, Any]]
    threads: list[dict[str, Any]]

    def of(self, thread_id: str) -> list[dict[str, Any]]:
        """Return the exchanges of a thread."""
        return [row for row in self.exchanges if row["thread_id"] == thread_id and row["kind"] in CONVERSATION]


def session(data: Data, session_id: str) -> Session | None:
    """Return a session; None where nothing of it was captured."""

    def make() -> Session | None:
        asked = {"session": session_id}
        frame = data.ask(
            f"SELECT {', '.join(EXCHANGE)}, coalesce({WENT_WRONG}, false) AS went_wrong FROM exchanges"
            " WHERE session_id = $session ORDER BY started_at, exchange_id",
            asked,
        )
        if frame.is_empty():
            return None
        priced = data.collect(measures.cost(frame, data.capture.prices))
        head = data.ask("SELECT title, project, cwd, client_version FROM sessions WHERE session_id = $session", asked)
        return Session(
            {"session_id": session_id, **head.row(0, named=True)},
            priced,
            priced.rows(named=True),
            _threads(data, priced),
        )

    return data.kept(("session", session_id), make)


def _threads(data: Data, exchanges: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the session's threads, in the order of their start. Who started whom is asked only where there is more than one."""
    spoken = exchanges.filter(pl.col("thread_id").is_not_null() & pl.col("kind").is_in(CONVERSATION))
    price = pl.col("cost_usd")
    figures = spoken.group_by("thread_id", maintain_order=True).agg(
        pl.col("started_at").min(),
        pl.max_horizontal("ended_at", "started_at").max().alias("ended_at"),
        turns=(pl.col("kind") != "compaction").sum(),
        cost_usd=price.sum(),
        unpriced=price.is_null().sum(),
        errors=pl.col("went_wrong").sum(),
        routed_models=pl.col("routed_model").filter("routed").drop_nulls().unique(maintain_order=True),
    )
    places = _places(data, exchanges["session_id"][0]) if figures.height > 1 else {}
    alone = {"agent": "main", "agent_id": None, "parent_thread_id": None, "spawn_tool_use_id": None, "depth": 0}
    return [{**row, **places.get(row["thread_id"], alone)} for row in figures.rows(named=True)]


def _places(data: Data, session_id: str) -> dict[str, dict[str, Any]]:
    names = "thread_id, agent, agent_id, parent_thread_id, spawn_tool_use_id, depth"
    rows = data.ask(f"SELECT {names} FROM threads WHERE session_id = $session", {"session": session_id})
    return {row["thread_id"]: row for row in rows.rows(named=True)}


def below(threads: list[dict[str, Any]], thread_id: str) -> list[dict[str, Any]]:
    """Return a thread's row and those of all that it started, however deep."""
    found, wanted = dict[str, dict[str, Any]](), {thread_id}
    while wanted:
        rows = [row for row in threads if row["thread_id"] in wanted and row["thread_id"] not in found]
        found |= {row["thread_id"]: row for row in rows}
        above = {row["thread_id"] for row in rows}
        wanted = {row["thread_id"] for row in threads if row["parent_thread_id"] in above} - found.keys()
    return list(found.values())


def figures(found: Session) -> dict[str, Any]:
    """Return what a session comes to: its span, turns, agents, tokens, cost_usd, unpriced, hit, errors, models, the ledger's
    milliseconds (model_ms, tools_ms, person_ms, retrying_ms), and `beside`: exchanges and cost by kind beside the conversation."""
    frame, price = found.frame, pl.col("cost_usd")
    sums = frame.select(
        pl.col("started_at").min(), pl.max_horizontal("ended_at", "started_at").max().alias("ended_at"),
        *(pl.col(name).sum() for name in _TOKENS), price.sum(), unpriced=price.is_null().sum(), errors=pl.col("went_wrong").sum(),
        models=pl.col("model").drop_nulls().unique().sort().implode(), exchanges=pl.len(), turns=(pl.col("kind") == "main").sum(),
    ).row(0, named=True)  # fmt: skip
    fed = sum(sums[name] for name in _TOKENS[:3])
    spent = measures.ledger(frame).collect()
    time = spent.row(0, named=True) if spent.height else {}
    model = [time.get(name) for name in ("waiting_ms", "thinking_ms", "answering_ms")]
    beside = frame.filter(~pl.col("kind").is_in(CONVERSATION)).group_by("kind", maintain_order=True)
    return {
        **sums,
        "agents": sum(row["agent"] != "main" for row in found.threads),
        "hit": sums["cache_read_tokens"] / fed if fed else None,
        "model_ms": sum(part or 0 for part in model) if time else None,
        **{name: time.get(name) for name in ("tools_ms", "person_ms", "retrying_ms", "wall_ms")},
        "beside": beside.agg(exchanges=pl.len(), cost_usd=price.sum(), unpriced=price.is_null().sum()).rows(named=True),
        "running": frame.select((pl.col("state") == "open").any()).item(),
    }
