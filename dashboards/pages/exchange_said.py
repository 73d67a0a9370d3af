"""The tabs request and response of an exchange: what was said. Long texts, and messages and tools, come when they are unfolded.

Refuses to know how bytes become messages.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import panel as pn

from dashboards import downloads
from dashboards.clips import Clips
from dashboards.data import anatomy, answer
from dashboards.data import exchange as data
from dashboards.parts import Parts
from dashboards.rendering import pretty
from dashboards.view import View

A_PAGE = 200  # messages
PARTS = ("messages", "system", "tools", "parameters")
Row = dict[str, Any]


def request(view: View, row: Row) -> list[pn.viewable.Viewable]:
    """Return what was asked, one part of it."""
    body = data.body(view.data, row["exchange_id"], "request")
    found = anatomy.read(body.plain) if body.plain else anatomy.Request(problem=body.why)
    if found.problem:
        return [view.html("absence.html", title="The request cannot be taken apart", sentence=found.problem)]
    asked = view.route.args.get("part", "")
    part = asked if asked in PARTS else PARTS[0]
    parts = Parts()
    clips = Clips(parts)
    first, last = _window(view, len(found.messages))
    given = {name.lower(): value for name, value in data.headers(view.data, row["exchange_id"], "request")[0]}
    html = view.html(
        "exchange_request.html", row=row, request=found, part=part, clips=clips, first=first, last=last, earlier=max(0, first - A_PAGE),
        parts=[(name, len(getattr(found, name))) for name in PARTS], keys=_keys(found, part, clips, first, last),
        parameters=[(name, parameter(value)) for name, value in found.parameters.items()],
        betas=[beta.strip() for beta in given.get("anthropic-beta", "").split(",") if beta.strip()], kinds=kinds, begin=begin,
    )  # fmt: skip
    whole = downloads.row(
        downloads.copy(f"copy {part} as JSON", lambda: _json(view, row, part)),
        downloads.file(
            f"download {part} as JSON",
            f"{part}-{row['exchange_id'][-12:]}.json",
            lambda: _json(view, row, part).encode(),
        ),
    )
    return [html, whole, *parts.models()]


def _window(view: View, number: int) -> tuple[int, int]:
    """Return which messages are shown: those asked for, else the last ones."""
    first = min(view.route.number("from", max(0, number - A_PAGE)), max(0, number - 1))
    return first, min(number, first + A_PAGE)


def _keys(found: anatomy.Request, part: str, clips: Clips, first: int, last: int) -> list[str]:
    """Return the keys by which what is folded comes."""
    if part == "messages":
        return [clips.later("exchange_blocks.html", blocks=message.blocks) for message in found.messages[first:last]]
    return [clips.later("exchange_tool.html", tool=tool) for tool in found.tools] if part == "tools" else []


def _json(view: View, row: Row, part: str) -> str:
    """Return a part of the request as JSON, read anew and whole."""
    found = json.loads(data.body(view.data, row["exchange_id"], "request").plain)
    value = found.get(part) if part != "parameters" else {name: found[name] for name in found if name not in PARTS}
    return json.dumps(value, indent=2, ensure_ascii=True) + "\n"


def parameter(value: Any) -> str:
    """Return a parameter as readable JSON; a user_id that is JSON in a text is opened."""
    if isinstance(value, dict):
        value = {name: _opened(inner) for name, inner in value.items()}
    return anatomy.shown(value)


def _opened(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def kinds(message: anatomy.Message) -> str:
    """Return what a message consists of: `text, 2 tool_use`."""
    found = Counter(block.type[:40] for block in message.blocks)
    return ", ".join(f"{number} {kind}" if number > 1 else kind for kind, number in found.items())


def begin(message: anatomy.Message) -> str:
    """Return how a message begins; reminders of the client only where there is nothing else."""
    texts = [block.text for block in message.blocks if block.text]
    own = [text for text in texts if not text.startswith("<system-reminder>")]
    return " ".join((own or texts or [""])[0][:400].split())[:200]


def response(view: View, row: Row) -> list[pn.viewable.Viewable]:
    """Return what was answered."""
    message, why = data.reply(view.data, row)
    body = data.body(view.data, row["exchange_id"], "response")
    parts = Parts()
    used = answer.usage(body.plain)
    html = view.html(
        "exchange_response.html", row=row, message=anatomy.message(message) if message else None, why=why, body=body,
        usage=anatomy.shown(used) if used else "", streamed=body.plain.lstrip()[:1] not in (b"{", b"["), clips=Clips(parts),
        pretty=_pretty(body.text),
    )  # fmt: skip
    name = row["exchange_id"][-12:]
    whole = [
        downloads.copy("copy message as JSON", lambda: _reply(view, row)),
        downloads.file("download message as JSON", f"message-{name}.json", lambda: _reply(view, row).encode()),
    ]
    return [html, *([downloads.row(*whole)] if message else []), *parts.models()]


def _reply(view: View, row: Row) -> str:
    return json.dumps(data.reply(view.data, row)[0], indent=2) + "\n"


def _pretty(text: str) -> str:
    try:
        return pretty(text)
    except RecursionError:
        return text
