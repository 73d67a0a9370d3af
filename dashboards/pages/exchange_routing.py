"""The tab routing of an exchange: where it went, whose it was, what that cost and saved, and both requests where it was translated.

Refuses to know how any of it is found.
"""

from __future__ import annotations

from typing import Any

import panel as pn

from dashboards import downloads
from dashboards.clips import Clips
from dashboards.data import exchange as data
from dashboards.parts import Parts
from dashboards.rendering import pretty
from dashboards.view import View

Row = dict[str, Any]
# What gave an agent away, in words.
SIGNS = {
    "spawn": "by the call that started it, whose prompt is its first message",
    "definition": "by its definition file, which stands in the system prompt",
    "hint_header": "by the type that the client names in a header",
    "system_prompt": "by its system prompt",
}


def routing(view: View, row: Row) -> list[pn.viewable.Viewable]:
    """Return where the request went."""
    sent = data.body(view.data, row["exchange_id"], "sent") if row["endpoint"] else data.Body(None, b"")
    head = view.html(
        "exchange_routing.html", row=row, sign=SIGNS.get(row["agent_sign"] or "", row["agent_sign"]),
        translated=sent.raw is not None,
    )  # fmt: skip
    if sent.raw is None:
        return [head]
    parts = Parts()
    clips = Clips(parts)
    asked = data.body(view.data, row["exchange_id"], "request")
    sides = pn.FlexBox(
        _side(view, row, "request", "What the client sent", asked, clips),
        _side(view, row, "sent", f"What went up to {row['provider']}", sent, clips),
        gap="0 48px",
        sizing_mode="stretch_width",
    )
    return [head, sides, *parts.models()]


def _side(view: View, row: Row, side: str, title: str, body: data.Body, clips: Clips) -> pn.Column:
    exchange = row["exchange_id"]
    shown = view.html(
        "exchange_body.html", title=title, body=body, size=len(body.raw or b""), clips=clips, text=_readable(body.text)
    )
    fetch = downloads.row(
        downloads.copy(
            "copy what went up" if side == "sent" else "copy the request",
            lambda: data.body(view.data, exchange, side).text,
        ),
        downloads.file(
            "download its exact bytes",
            f"{side}-{exchange[-12:]}.json",
            lambda: data.body(view.data, exchange, side).raw or b"",
        ),
    )
    return pn.Column(shown, fetch, styles={"flex": "1 1 440px", "min-width": "0"}, margin=0)


def _readable(text: str) -> str:
    try:
        return pretty(text)
    except RecursionError:
        return text
