"""Breaks of the cache with the texts that differ, of which only those are read that are told.

A measure that is given all texts would read all that was ever said. So breaks are looked for without texts first; then those that
lost the most are judged once more, with theirs. Refuses to know what a break means.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from analysis import measures
from dashboards.data.rows import belonging
from dashboards.data.store import Data
from dashboards.data.texts import blocks

MOST_TOLD = 100  # breaks whose texts are read, of messages and of prompts each


def breaks(data: Data, exchanges: pl.DataFrame) -> pl.DataFrame:
    """Return what `measures.breaks` says of exchanges. Of all but the MOST_TOLD that lost the most, `was` and `now` are null where
    they would be texts, and a conversation that went on from a summary counts as a changed message."""
    capture = data.capture
    messages = data.collect(capture.messages().select("node", "parent", "depth", "session_id"))
    parts = data.collect(capture.prompt_parts())
    found = measures.breaks(exchanges, messages, parts, prices=capture.prices).collect()
    of_message, of_prompt = _told(found, ["message"]), _told(found, ["tools", "system"])
    told = pl.concat([of_message, of_prompt])
    if told.is_empty():
        return found
    own = exchanges.join(told, on="thread_id", how="semi")
    nodes = pl.concat([of_message["was"], of_message["now"]]).drop_nulls().unique().to_list()
    texts = _parts(data, parts, exchanges, of_prompt)
    again = measures.breaks(own, messages, texts, blocks(data, nodes), prices=capture.prices).collect()
    rest = found.filter(~pl.col("exchange_id").is_in(told["exchange_id"].implode()))
    hidden = pl.col("where").is_in(["message", "system"])
    names = [pl.when(~hidden.fill_null(value=False)).then(name).alias(name) for name in ("was", "now")]
    with_texts = again.join(told.select("exchange_id"), on="exchange_id", how="semi")
    return pl.concat([rest.with_columns(names), with_texts]).sort("thread_id", "started_at", "exchange_id")


def _told(found: pl.DataFrame, where: Sequence[str]) -> pl.DataFrame:
    """Return the breaks that lost the most; first of all those at the first message, which may be a summary."""
    rows = found.filter(pl.col("where").is_in(where))
    return rows.sort(pl.col("position") == 0, "lost_tokens", "exchange_id", descending=True).head(MOST_TOLD)


def _parts(data: Data, parts: pl.DataFrame, exchanges: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Return the parts of prompts, those of these breaks with their JSON."""
    ids = pl.concat([told["exchange_id"], told["previous_exchange_id"]]).unique()
    among = exchanges.filter(pl.col("exchange_id").is_in(ids.implode()))["preamble"].drop_nulls().unique()
    texts = belonging(data, "prompt_parts", "preamble", among.to_list(), "preamble, position, json")
    return parts.join(texts, on=["preamble", "position"], how="left")
