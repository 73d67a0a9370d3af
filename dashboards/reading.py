"""A session as it is read in one tab: its steps turned into what is shown, and what comes only when it is asked for.

Knows which part of a page is fetched by which key. Refuses to know how threads are found, and to make markup but by templates.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, zip_longest
from typing import Any

from dashboards import rendering
from dashboards.blocks import folded, pretty, result, view, without_reminders
from dashboards.calls import Call, call
from dashboards.data import TroubleError
from dashboards.data.sessions import Session
from dashboards.data.thread import A_PAGE, Agent, Thread, thread
from dashboards.data.walk import Json, Node, Step
from dashboards.parts import Parts
from dashboards.reminders import Reminder
from dashboards.shown import Clip, Folded
from dashboards.view import View

LOST = {
    "compaction": "the conversation began anew with a summary",
    "model_changed": "another model",
    "tools_changed": "tools changed",
    "system_changed": "the system prompt changed",
    "effort_changed": "effort or thinking changed",
    "message_changed": "an earlier message changed",
    "rewind": "it went back to an earlier message",
    "ttl_expired_5m": "it had been kept for 5 minutes",
    "ttl_expired_1h": "it had been kept for 1 hour",
    "unknown": "nothing that is known changed",
}


class Reading:
    """One look at one session."""

    def __init__(self, look: View, session: Session) -> None:
        self.view = look
        self.session = session
        self.parts = Parts()
        self.unfold = look.route.args.get("unfold", "")
        self._threads: dict[str, Thread | None] = {}
        self._ids = count()

    def id(self) -> str:
        """Return an id for an element, of which the page has no other."""
        return f"t{next(self._ids)}"

    def clip(self, text: str) -> Clip:
        """Return a text as it is shown."""
        return Clip(text)

    def neat(self, text: str) -> str:
        """Return a text; JSON with line breaks."""
        return rendering.pretty(text) if text[:1] in ("{", "[") else text

    def thread(self, thread_id: str) -> Thread | None:
        """Return a thread of the session, walked once."""
        if thread_id not in self._threads:
            self._threads[thread_id] = thread(self.view.data, self.session, thread_id)
        return self._threads[thread_id]

    def more(self, shown: Any, template: str = "parts/clip.html") -> str:
        """Return the key by which all of something that is cut comes."""
        return self._part(template, lambda: {"shown": shown.whole()})

    def picture(self, shown: Any) -> str:
        """Return the key by which a large picture comes."""
        return self._part("parts/picture.html", lambda: {"shown": shown})

    def inside(self, agent: Agent) -> str:
        """Return the key by which an agent's thread comes."""

        def make() -> Json:
            found = self.thread(agent.row["thread_id"])
            return {"thread": found, "steps": found.steps[:A_PAGE] if found else [], "here": ""}

        return self._part("parts/agent.html", make)

    def _part(self, template: str, make: Callable[[], Json]) -> str:
        def html() -> str:
            """Render the part, or say why it cannot be had."""
            try:
                values = make()
            except TroubleError as error:
                return rendering.render("parts/trouble.html", sentence=str(error))
            return rendering.render(template, look=self, route=self.view.route, **values)

        return self.parts.add(html)

    def shown(self, step: Step, found: Thread) -> list[Any]:
        """Return the blocks of a step as they are shown: each call with its result, reminders together at the end."""
        if step.kind == "system":
            shown = [one for block in step.blocks if (one := view(block)) is not None]
            clips = [one.clip for one in shown if one.kind == "said"]
            rest = [one for one in shown if one.kind != "said"]
            return [Folded("system message", clips), *rest] if clips else rest
        shown, taken = list[Any](), list[Reminder]()
        calls = [block for block in step.blocks if str(block.get("type")).endswith("tool_use")]
        for block in step.blocks:
            kind = str(block.get("type"))
            if kind.endswith("tool_use"):
                shown.append(self._call(block, calls, step, found))
            elif kind.endswith("tool_result"):
                shown.append(result(block))
            else:
                one, beside = without_reminders(block) if step.kind == "user" else (view(block), [])
                shown += [one] if one is not None else []
                taken += beside
        return [*shown, *([folded(taken)] if taken else [])]

    def plain(self, blocks: list[Json]) -> list[Any]:
        """Return blocks without calls as they are shown."""
        return [one for block in blocks if (one := view(block)) is not None]

    def differing(self, was: Node, now: Node) -> tuple[Clip, Clip]:
        """Return what differs between two messages: the first block that is another, before and after."""
        pairs = zip_longest(was.content, now.content, fillvalue=Json())
        old, new = next(((old, new) for old, new in pairs if old != new), (Json(), Json()))
        return Clip(_short_of(old), limit=1000), Clip(_short_of(new), limit=1000)

    def _call(self, block: Json, calls: list[Json], step: Step, found: Thread) -> Call:
        came = found.result_of(block, step)
        ended = (step.exchange or {}).get("state")
        running = (
            came is None
            and step is found.steps[-1]
            and ended == "complete"
            and self.session.exchanges[-1]["state"] == "open"
        )
        shown = call(block, result(came[0]) if came else None, running=running)
        shown.ms, shown.measured = found.ms_of(block, calls, step)
        shown.agents = found.agents.get(str(block.get("id")), []) if came or ended == "complete" else []
        return shown

    def lost(self, step: Step, found: Thread) -> Json | None:
        """Return what of the cache an answer lost, with its cause as words; None where it lost nothing."""
        if step.kind not in ("assistant", "failed", "running") or step.exchange is None:
            return None
        row = found.lost.get(step.exchange["exchange_id"])
        if row is None or (step.node and step.node != step.exchange["reply"]):
            return None
        return {**row, "words": LOST.get(row["cause"], row["cause"]), "change": _change(row)}


def _short_of(block: Json) -> str:
    for name in ("text", "content"):
        if isinstance(block.get(name), str):
            return str(block[name])
    return pretty(block) if block else "nothing"


def _change(row: Json) -> str:
    was, now = row["was"], row["now"]
    if row["cause"] == "tools_changed":
        return f"+ {now}" if was is None else f"− {was}" if now is None else was if was == now else f"{was} → {now}"
    if row["cause"] in ("model_changed", "effort_changed"):
        return f"{was or 'none'} → {now or 'none'}"
    return ""
