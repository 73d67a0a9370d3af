"""A thread of a session as steps, with what hangs on them: lost cache, compactions' sizes, times of tools, agents that were started.

Messages are looked up from the ends of paths, so that one look-up brings a whole conversation; a folder of Parquet has none, and is
read instead. Refuses to know how steps look.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import polars as pl

import analysis
from analysis import measures
from analysis.dictionary import BLOCKS, MESSAGES
from dashboards.data.sessions import Session, below
from dashboards.data.store import Data, TroubleError
from dashboards.data.walk import Json, Node, Step, Walk, blocks_of

A_PAGE = 200
NO_LOSS = ("first_request", "below_minimum")  # nothing was there to be read


@dataclass(slots=True)
class Agent:
    """A thread that a call started: its row, and what it cost with all below it."""

    row: Json
    cost_usd: float
    unpriced: int

    @property
    def ms(self) -> float:
        """From its first request to the end of its last answer."""
        return float((self.row["ended_at"] - self.row["started_at"]).total_seconds() * 1000)


@dataclass(slots=True)
class Thread:
    """A thread that was walked. `lost` are the breaks of the cache and `compactions` the sizes, by exchange; `agents` by the id of
    the call that started them; `strays` are agents whose call is not known."""

    row: Json
    steps: list[Step]
    results: dict[str, tuple[Json, Json]] = field(default_factory=dict)
    calls: dict[str, str] = field(default_factory=dict)
    lost: dict[str, Json] = field(default_factory=dict)
    compactions: dict[str, Json] = field(default_factory=dict)
    agents: dict[str, list[Agent]] = field(default_factory=dict)
    strays: list[Agent] = field(default_factory=list)

    def result_of(self, call: Json, step: Step) -> tuple[Json, Json] | None:
        """Return what answered a call, and the exchange that brought it; None where nothing did, or it was made again later."""
        use = str(call.get("id"))
        return self.results.get(use) if self.calls.get(use, step.node) == step.node else None

    def ms_of(self, call: Json, beside: list[Json], step: Step) -> tuple[float | None, str]:
        """Return how long a call took, and who measured it: the client, where it says so of this call alone, else the wire."""
        found, exchange = self.result_of(call, step), step.exchange
        if found is None or exchange is None or found[1]["exchange_id"] == exchange["exchange_id"]:
            return None, ""
        name = call.get("name")
        told = _told(found[1]["tool_durations"]).get(str(name))
        if told is not None and sum(other.get("name") == name for other in beside) == 1:
            return told, "measured by the client"
        if exchange["ended_at"] is None:
            return None, ""
        wire = (found[1]["started_at"] - exchange["ended_at"]).total_seconds() * 1000
        return max(
            0.0, wire
        ), "from the end of the answer to the request with the result: permission prompts and calls beside it included"


def _told(durations: str | None) -> dict[str, float]:
    """Return what the client measured, as `Read=37;Bash=742` says it."""
    found = {}
    for part in (durations or "").split(";"):
        name, _, value = part.rpartition("=")
        try:
            found[unquote(name)] = float(value)
        except ValueError:
            continue
    return found


def thread(data: Data, session: Session, thread_id: str) -> Thread | None:
    """Return a thread of a session; None where it has none of that id. Raises TroubleError where texts cannot be read."""
    row = next((row for row in session.threads if row["thread_id"] == thread_id), None)
    if row is None:
        return None
    exchanges = session.of(thread_id)
    nodes = load(data, session.row["session_id"], exchanges)
    walk = Walk(nodes).take(exchanges)
    found = Thread(row, walk.steps, walk.results, walk.calls)
    _add_measures(data, found, session, nodes)
    for started in session.threads:
        if started["parent_thread_id"] == thread_id and started["thread_id"] != thread_id:
            agent = _agent(session, started)
            spawn = started["spawn_tool_use_id"]
            (found.agents.setdefault(spawn, []) if spawn else found.strays).append(agent)
    _place(found)
    return found


def _agent(session: Session, row: Json) -> Agent:
    rows = below(session.threads, row["thread_id"])
    return Agent(row, sum(each["cost_usd"] or 0.0 for each in rows), sum(each["unpriced"] for each in rows))


def _place(found: Thread) -> None:
    """Put agents whose call is not in the thread where they began."""
    calls = {str(block.get("id")) for step in found.steps for block in step.blocks if "id" in block}
    for spawn in [spawn for spawn in found.agents if spawn not in calls]:
        found.strays += found.agents.pop(spawn)
    for agent in sorted(found.strays, key=lambda agent: agent.row["started_at"]):
        begun = agent.row["started_at"]
        places = [
            number
            for number, step in enumerate(found.steps, start=1)
            if step.exchange and step.exchange["started_at"] <= begun
        ]
        found.steps.insert(max(places, default=0), Step("agent", about={"agent": agent}))


def load(data: Data, session_id: str, exchanges: list[Json]) -> dict[str, Node]:
    """Return all messages on the paths of exchanges, by node."""
    ends = [end for row in reversed(exchanges) for end in (row["reply"], row["tip"]) if end]
    try:
        if data.capture.way == "Parquet":
            return _read(data, session_id, ends)
        found = dict[str, Node]()
        for end in ends:
            if end not in found:
                _add(found, data.capture.conversation(end))
        return found
    except analysis.AnalysisError as error:
        raise TroubleError(str(error)) from None


def _add(found: dict[str, Node], messages: list[Json]) -> None:
    parent = None
    for message in messages:
        node = message["node"]
        found.setdefault(node, Node(node, parent, str(message.get("role")), blocks_of(message.get("content"))))
        parent = node


def _read(data: Data, session_id: str, ends: list[str]) -> dict[str, Node]:
    """Return the messages of a folder: those that first stood in the session, and what they have above them elsewhere."""
    found, wanted = dict[str, Node](), pl.col("session_id") == session_id
    source = data.capture.messages(bodies=True)
    while True:
        rows = source.filter(wanted).select("node", "parent", "role", "json").collect().rows(named=True)
        for row in rows:
            found[row["node"]] = Node(row["node"], row["parent"], row["role"], blocks_of(_content(row["json"])))
        missing = {*ends, *(node.parent for node in found.values() if node.parent)} - found.keys()
        if not missing or not rows:
            return found
        wanted = pl.col("node").is_in(list(missing))


def _content(text: str | None) -> Any:
    message = json.loads(text or "{}")
    return message.get("content") if isinstance(message, dict) else message


def _add_measures(data: Data, found: Thread, session: Session, nodes: dict[str, Node]) -> None:
    """Add where the cache broke, and what compactions dropped; both are told by the messages at hand."""
    spoken = session.frame.filter(pl.col("thread_id") == found.row["thread_id"])
    messages = _messages(session.row["session_id"], nodes)
    breaks = measures.breaks(
        spoken, messages, data.capture.prompt_parts(), _blocks(nodes), prices=data.capture.prices
    ).filter(~pl.col("cause").is_in(NO_LOSS))
    try:
        found.lost = {row["exchange_id"]: row for row in breaks.collect().rows(named=True)}
        dropped = measures.compactions(spoken, messages).collect()
        found.compactions = {row["exchange_id"]: row for row in dropped.rows(named=True)}
    except analysis.AnalysisError as error:
        raise TroubleError(str(error)) from None


def _messages(session_id: str, nodes: dict[str, Node]) -> pl.DataFrame:
    depths = dict[str, int]()
    for node in nodes.values():  # parents come before their children only along one path
        line = []
        at: Node | None = node
        while at is not None and at.node not in depths:
            line.append(at)
            at = nodes.get(at.parent or "")
        for below_it in reversed(line):
            depths[below_it.node] = depths.get(below_it.parent or "", -1) + 1
    rows = [(node.node, node.parent, depths[node.node], session_id) for node in nodes.values()]
    schema = {name: MESSAGES.schema()[name] for name in ("node", "parent", "depth", "session_id")}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _blocks(nodes: dict[str, Node]) -> pl.DataFrame:
    rows = [
        (node.node, position, str(block.get("type")), _text(block))
        for node in nodes.values()
        for position, block in enumerate(node.content)
    ]
    schema = {name: BLOCKS.schema(bodies=True)[name] for name in ("node", "position", "type", "text")}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _text(block: Json) -> str | None:
    for name in ("text", "thinking", "content"):
        if isinstance(block.get(name), str):
            return str(block[name])
    return json.dumps(block, ensure_ascii=False) if "input" in block or "content" in block else None
