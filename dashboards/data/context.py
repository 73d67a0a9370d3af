"""What fills the window of one thread over its turns, what tool results went on costing in it, and what compactions dropped.

One session is taken apart at a time. Refuses to know how any of it looks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from analysis import measures
from dashboards.data.inputs import line
from dashboards.data.names import agents, titles
from dashboards.data.rows import COLUMNS, belonging
from dashboards.data.store import Data, where
from dashboards.data.texts import blocks, with_inputs
from dashboards.state import Filters

MOST_OFFERED = 60  # sessions to choose from
# The categories of the measure, and what charts call them.
WORDS = {
    "system": "system", "tools": "tools", "mcp_tools": "MCP tools", "memory": "memory", "reminder": "reminders", "user": "you said",
    "assistant": "it said", "thinking": "thinking", "tool_call": "tool calls", "tool_result": "tool results", "image": "images",
    "other": "other",
}  # fmt: skip
_NODES = "node, parent, depth, role, exchange_id, session_id"
_BLOCKS = "node, position, role, type, tool_name, tool_use_id, is_error, characters"
MOST_READ = 600  # messages in which reminders are looked for


@dataclass(frozen=True, slots=True)
class Taken:
    """A session taken apart: frames as measures want them; `blocks` have the texts in which reminders may be, and no others."""

    exchanges: pl.DataFrame
    messages: pl.DataFrame
    blocks: pl.DataFrame
    parts: pl.DataFrame


def sessions(data: Data, filters: Filters, now: datetime) -> pl.DataFrame:
    """Return the sessions under the filters, that of the filter `session` aside: session_id, title, largest (tokens of the largest
    context), turns, started_at; the one with the largest context first."""
    condition, parameters = where(replace(filters, session=""), now)
    query = (
        "SELECT session_id, max(context_tokens) AS largest, count(*) AS turns, min(started_at) AS started_at FROM exchanges"
        f" WHERE thread_id IS NOT NULL AND session_id IS NOT NULL AND context_tokens IS NOT NULL AND {condition} GROUP BY 1"
    )
    found = data.ask(query, parameters).join(titles(data), on="session_id", how="left")
    return found.sort("largest", "started_at", descending=True)


def taken(data: Data, session: str) -> Taken:
    """Return a session taken apart; without any exchange where there is no such session."""

    def make() -> Taken:
        found = belonging(data, "exchanges", "session_id", [session], ", ".join(COLUMNS)).sort("exchange_id")
        messages = _messages(data, session, found)
        nodes = messages["node"].to_list()
        taken_apart = _with_reminders(data, belonging(data, "blocks", "node", nodes, _BLOCKS))
        preambles = found["preamble"].drop_nulls().unique().to_list()
        lean = "preamble, position, kind, name, part, bytes"
        return Taken(found, messages, taken_apart, belonging(data, "prompt_parts", "preamble", preambles, lean))

    return data.kept(("taken", session), make)


def _messages(data: Data, session: str, found: pl.DataFrame) -> pl.DataFrame:
    """Return the messages of a session, and of those that it was continued from."""
    wanted, known = [session], set[str]()
    messages = belonging(data, "messages", "session_id", [], _NODES)
    while wanted:
        messages = messages.vstack(belonging(data, "messages", "session_id", wanted, _NODES))
        known |= set(wanted)
        above = pl.concat([found["tip"], messages["parent"]]).drop_nulls().unique()
        missing = above.filter(~above.is_in(messages["node"].implode())).to_list()
        owners = belonging(data, "messages", "node", missing, "DISTINCT session_id") if missing else messages.clear()
        wanted = [owner for owner in owners["session_id"].drop_nulls().unique() if owner not in known]
    return messages.unique("node", maintain_order=True)


def _with_reminders(data: Data, lean: pl.DataFrame) -> pl.DataFrame:
    """Return blocks with the texts of those that may hold reminders: what the client said for the person."""
    may = lean.filter((pl.col("role") == "user") & (pl.col("type") == "text")).sort("characters", descending=True)
    texts = blocks(data, may["node"].unique(maintain_order=True).head(MOST_READ))
    return lean.join(
        texts.select("node", "position", "text"), on=["node", "position"], how="left", maintain_order="left"
    )


def threads(data: Data, session: Taken) -> pl.DataFrame:
    """Return the threads of a session that were answered, in order: thread_id, agent, turns, largest."""
    found = session.exchanges.filter(pl.col("thread_id").is_not_null() & pl.col("context_tokens").is_not_null())
    found = found.group_by("thread_id", maintain_order=True).agg(
        turns=pl.len().cast(pl.Int64), largest=pl.col("context_tokens").max()
    )
    return found.join(agents(data), on="thread_id", how="left", maintain_order="left")


def filled(session: Taken, thread: str) -> pl.DataFrame:
    """Return what each turn of a thread held: turn (from 1), exchange_id, started_at, category (in words), name, tokens."""
    held = measures.context(_own(session, thread), session.messages, session.blocks, session.parts).collect()
    turns = held.select("exchange_id").unique(maintain_order=True).with_row_index("turn", offset=1)
    return held.join(turns.with_columns(pl.col("turn").cast(pl.Int64)), on="exchange_id").select(
        "turn", "exchange_id", "started_at", pl.col("category").replace_strict(WORDS), "name", "tokens"
    )


def at(held: pl.DataFrame, turn: int) -> pl.DataFrame:
    """Return what one turn held by category: category, tokens, share, and added, since the turn before; the largest first."""
    sums = held.group_by("turn", "category").agg(pl.col("tokens").sum())
    now, before = (sums.filter(pl.col("turn") == number).drop("turn") for number in (turn, turn - 1))
    found = now.join(before.rename({"tokens": "before"}), on="category", how="full", coalesce=True)
    tokens = pl.col("tokens").fill_null(0)
    found = found.with_columns(tokens, added=tokens - pl.col("before").fill_null(0)).drop("before")
    share = pl.when(tokens.sum() > 0).then(tokens / tokens.sum())
    return found.with_columns(share=share).sort("tokens", "category", descending=[True, False])


def servers(session: Taken, held: pl.DataFrame, turn: int) -> pl.DataFrame:
    """Return whose tools a turn held: server (null for those built in), tools (how many), tokens of their definitions, and calls of
    them in the session; the most tokens first."""
    now = held.filter((pl.col("turn") == turn) & pl.col("category").is_in(["tools", "MCP tools"]))
    exchange = now["exchange_id"].first() if now.height else None
    preamble = session.exchanges.filter(pl.col("exchange_id") == exchange)["preamble"].first() if exchange else None
    own = pl.col("name").str.extract("^mcp__(.+?)__").alias("server")
    tools = session.parts.filter(pl.col("preamble").eq_missing(pl.lit(preamble)) & (pl.col("kind") != "system"))
    counted = tools.group_by(own).agg(tools=pl.len().cast(pl.Int64))
    called = session.blocks.filter((pl.col("type") == "tool_use") & pl.col("tool_name").is_not_null())
    calls = called.unique("tool_use_id").rename({"tool_name": "name"}).group_by(own)
    tokens = now.group_by(server="name").agg(pl.col("tokens").sum())
    found = tokens.join(counted, on="server", how="left", nulls_equal=True)
    found = found.join(calls.agg(calls=pl.len().cast(pl.Int64)), on="server", how="left", nulls_equal=True)
    return found.with_columns(pl.col("tools", "calls").fill_null(0)).sort("tokens", descending=True)


def results(data: Data, session: Taken, thread: str) -> pl.DataFrame:
    """Return what `measures.tool_results` says of a thread, the dearest first, with exchange_id (of the request that brought the
    result) and call_node (the message with its call)."""
    prices = data.capture.prices
    found = measures.tool_results(
        _own(session, thread), session.messages, session.blocks, session.parts, prices=prices
    ).collect()
    asked = session.blocks.filter(pl.col("type") == "tool_use").unique("tool_use_id", keep="first", maintain_order=True)
    brought = session.messages.select("node", "exchange_id")
    found = found.join(asked.select("tool_use_id", call_node="node"), on="tool_use_id", how="left")
    found = found.join(brought, on="node", how="left")
    return found.sort("cost_usd", "token_turns", "tool_use_id", descending=[True, True, False], nulls_last=True)


def with_lines(data: Data, results: pl.DataFrame) -> pl.DataFrame:
    """Return results with `input`, that of their calls, in one line."""
    found = with_inputs(data, results.drop("node").rename({"call_node": "node"}))
    return found.with_columns(pl.col("input").map_elements(line, pl.String))


def compactions(session: Taken, thread: str) -> pl.DataFrame:
    """Return what `measures.compactions` says of a thread."""
    return measures.compactions(_own(session, thread), session.messages).collect()


def _own(session: Taken, thread: str) -> pl.DataFrame:
    return session.exchanges.filter(pl.col("thread_id") == thread)
