"""The running exchanges as the page Live lists them: those that the filters let through, with their figures at a moment.

Refuses to know where they come from, and how they look.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from dashboards.board import Board, Running, Said
from dashboards.state import Filters

SHOWN_CHARACTERS = 4_000  # of a block's text, from its end
SHOWN_BLOCKS = 4  # of an answer, from its end
UNSEEN = "unseen"
UNKNOWN_YET = (
    "project",
    "provider",
    "status",
    "text",
    "state",
)  # filters by what nobody knows of an exchange that runs


@dataclass(frozen=True, slots=True)
class Piece:
    """The end of a block: its `kind` for people, its text, and how many characters stand before that."""

    key: int
    kind: str
    name: str
    text: str
    before: int
    stopped: bool


@dataclass(frozen=True, slots=True)
class Row:
    """An exchange: as the board has it, with what is worked out of it. Times are milliseconds."""

    one: Running
    started_at: datetime
    who: str
    age_ms: float
    waits: str
    pieces: tuple[Piece, ...]
    earlier: int


def running(board: Board, filters: Filters, now: float) -> list[Row]:
    """Return what runs at a moment, the newest first."""
    found = [one for one in list(board.running.values()) if fits(one, filters)]
    return [_row(one, now) for one in sorted(found, key=lambda one: -one.started_at)]


def ended(board: Board, filters: Filters) -> list[Row]:
    """Return what has just ended, the newest end first."""
    return [
        _row(one, one.started_at + (one.duration_ms or 0) / 1000) for one in list(board.ended) if fits(one, filters)
    ]


def fits(one: Running, filters: Filters) -> bool:
    """Tell whether the filters let an exchange through, by what is known of it while it runs."""
    models = f"{one.model or ''} {one.routed_model or ''}".lower()
    agents = {one.agent_id or "", one.agent_type or "", one.agent_name or "", who(one)}
    return (
        filters.model.lower() in models
        and filters.session in ("", one.session_id)
        and filters.kind in ("", one.kind)
        and (not filters.agent or filters.agent in agents)
    )


def who(one: Running) -> str:
    """Return who asks, in a word: the agent's name or kind, `main`, or what kind of request it is."""
    if one.agent_name or one.agent_type or one.agent_id:
        return one.agent_name or one.agent_type or "agent"
    return one.kind or one.path


def waits_for(one: Running) -> str:
    """Return what an exchange waits for, as people say it; empty while its answer is being said."""
    if one.characters or one.over:
        return ""
    if one.retry is not None and one.status is None:
        return f"trying again, after: {one.retry}"
    return "waiting for the answer to begin" if one.status is None else "waiting for the first token"


def how(one: Running) -> str:
    """Return in a word how an exchange ended; `unseen` where nobody saw it."""
    return one.state or UNSEEN


def _row(one: Running, now: float) -> Row:
    blocks = list(one.blocks.items())
    return Row(
        one=one,
        started_at=datetime.fromtimestamp(one.started_at, UTC),
        who=who(one),
        age_ms=max(0.0, (now - one.started_at) * 1000),
        waits=waits_for(one),
        pieces=tuple(_piece(index, block) for index, block in blocks[-SHOWN_BLOCKS:]),
        earlier=max(0, len(blocks) - SHOWN_BLOCKS),
    )


def _piece(index: int, block: Said) -> Piece:
    text = block.text[-SHOWN_CHARACTERS:]
    before = block.cut + len(block.text) - len(text)
    return Piece(index, block.type, block.tool_name or "", text, before, block.stopped)
