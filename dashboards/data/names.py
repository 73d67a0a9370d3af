"""What sessions and threads are called, for tables that name them. Refuses to know how they came by their names."""

from __future__ import annotations

import polars as pl

from dashboards.data.store import Data


def titles(data: Data) -> pl.DataFrame:
    """Return session_id and title of all sessions; a title may be null."""
    return data.kept("session titles", lambda: data.ask("SELECT session_id, title FROM sessions"))


def agents(data: Data) -> pl.DataFrame:
    """Return thread_id and agent (`main`, or an agent's name) of all threads."""
    return data.kept("thread agents", lambda: data.ask("SELECT thread_id, agent FROM threads"))


def named(frame: pl.DataFrame, data: Data) -> pl.DataFrame:
    """Return rows with session_id and thread_id with the session's `title` and the `agent`."""
    found = frame.join(titles(data), on="session_id", how="left", maintain_order="left")
    return found.join(agents(data), on="thread_id", how="left", maintain_order="left")
