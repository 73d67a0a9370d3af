"""The tab compare: what one request has that another had not. The other is the one before it in its thread, or any that is named.

Refuses to know how differences are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import panel as pn

from dashboards.clips import Clips
from dashboards.data import anatomy
from dashboards.data import comparing as data
from dashboards.data import exchange as exchanges
from dashboards.pages.exchange_said import begin, kinds
from dashboards.parts import Parts
from dashboards.view import View

MOST_MESSAGES = 100
SAYINGS = {
    "model_changed": "it went to another model", "tools_changed": "the tools changed", "system_changed": "the system prompt changed",
    "effort_changed": "effort or thinking changed", "compaction": "the conversation was summarised",
    "rewind": "the conversation went back to an earlier message", "message_changed": "a message in the middle changed",
    "ttl_expired_5m": "the 5 minutes were over", "ttl_expired_1h": "the hour was over",
    "below_minimum": "the prompt is too short to be cached", "unknown": "nothing in the prompt says why",
}  # fmt: skip
_NO_BREAK = ("first_request", "below_minimum")
Row = dict[str, Any]


def compare(view: View, row: Row) -> list[pn.viewable.Viewable]:
    """Return the comparison that the address asks for."""
    asked = view.route.args.get("with", "").strip()
    other_id = asked or exchanges.neighbours(view.data, row).previous
    other = exchanges.one(view.data, other_id) if other_id else None
    parts = Parts()
    clips = Clips(parts)
    values: dict[str, object] = {
        "row": row,
        "other": other,
        "clips": clips,
        "kinds": kinds,
        "begin": begin,
        "sayings": SAYINGS,
    }
    if other is None:
        sentence = (
            f"There is no exchange {asked}." if asked else "It is the first of its thread, so there is none before it."
        )
        if row["thread_id"] is None and not asked:
            sentence = "It is in no thread, so there is none before it."
        return [view.html("compare.html", sentence=sentence, **values)]
    old, new = _request(view, other_id), _request(view, row["exchange_id"])
    result = data.compare(old[0], new[0], old[1], new[1])
    cause = data.broken(view.data, row) if not result.problem else None
    html = view.html(
        "compare.html", result=result, cause=cause if cause and cause["cause"] not in _NO_BREAK else None, summary=summary(result),
        removed_keys=_keys(clips, result.messages.removed), added_keys=_keys(clips, result.messages.added), **values,
    )  # fmt: skip
    return [html, *parts.models()]


def _request(view: View, exchange_id: str) -> tuple[anatomy.Request, str]:
    """Return a request taken apart, and its betas."""
    body = exchanges.body(view.data, exchange_id, "request")
    given = {name.lower(): value for name, value in exchanges.headers(view.data, exchange_id, "request")[0]}
    found = anatomy.read(body.plain) if body.plain else anatomy.Request(problem=body.why)
    return found, given.get(data.BETAS, "")


def _keys(clips: Clips, messages: Sequence[anatomy.Message]) -> list[str]:
    return [clips.later("exchange_blocks.html", blocks=message.blocks) for message in messages[:MOST_MESSAGES]]


def summary(result: data.Comparison) -> list[tuple[str, str, str]]:
    """Return a line for each part of the request: its name, and what became of it."""
    if result.problem:
        return []
    tools = _told(result.tools, "tool") + (", in another order" if result.tools_moved else "")
    return [
        ("system", "system", _told(result.system, "block")),
        ("tools", "tools", tools),
        ("messages", "messages", _messages(result.messages)),
        ("parameters", "parameters", _told(result.parameters, "parameter")),
    ]


def _told(changes: Sequence[data.Change], word: str) -> str:
    found = data.changed(changes)
    said = [f"{found[kind]:,} {kind}" for kind in (data.CHANGED, data.ADDED, data.REMOVED) if found[kind]]
    same = found[data.SAME]
    if not said:
        return f"the same ({same:,} {word}{'' if same == 1 else 's'})" if same else "none in either"
    return ", ".join([*said, *([f"{same:,} the same"] if same else [])])


def _messages(found: data.Messages) -> str:
    if not found.part:
        return (
            f"{len(found.added):,} added after {found.shared:,} that are the same"
            if found.added
            else f"the same ({found.shared:,})"
        )
    said = [
        f"they part at message {found.shared:,}",
        f"{len(found.removed):,} no longer there",
        f"{len(found.added):,} new",
    ]
    return ", ".join([*said, *([f"{found.again:,} as before"] if found.again else [])])
