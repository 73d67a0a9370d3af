"""Where a subagent's request goes: who asks is found out once, by all that is known, and kept as long as the agent lives.

Puts together what `routing` decides and `agents` knows. Looks at requests for messages and counts only; the main conversation of a
client that tells its agents' ids is recognised by its headers, and its body stays unread. Refuses to send anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ParamSpec, Protocol, TypeVar

from ccproxy.agents.folders import Folders
from ccproxy.ingest.encodings import ContentDecoder
from ccproxy.protocol import headers
from ccproxy.routing.recognition import Agent, Asked, Caller, asked, caller, recognise
from ccproxy.routing.spawns import Spawn, SpawnReader, agent_key, prompt_key
from ccproxy.routing.targets import Target
from ccproxy.wire import RequestHead, ResponseHead

MESSAGES, COUNT = b"/v1/messages", b"/v1/messages/count_tokens"
LARGE_BYTES = 1 << 18  # what is read of a larger body is read in a thread, so that streams go on meanwhile
_NOBODY = "-"  # is noted for an agent that nothing gave away, so that it never changes its model in the middle


P = ParamSpec("P")
T = TypeVar("T")


class Memory(Protocol):
    """Texts under 16-byte keys."""

    def add(self, key: bytes, text: str) -> None:
        """Note a text under a key."""

    def get(self, key: bytes) -> list[str]:
        """Return the texts under a key."""


@dataclass(frozen=True, slots=True)
class Route:
    """What was found out about one request. Without a target it goes where it would go anyway."""

    session: str | None = None
    agent: Agent | None = None
    target: Target | None = None


class Watch:
    """Looks through one answer for agents that it starts, and notes them before the client can start them."""

    def __init__(self, session: str, memory: Memory, reader: SpawnReader, decoder: ContentDecoder) -> None:
        self._session = session
        self._memory = memory
        self._reader = reader
        self._decoder = decoder

    def feed(self, data: bytes) -> None:
        """Take the next bytes, as they came."""
        for spawn in self._reader.feed(self._decoder.feed(data) if self._decoder.encoded else data):
            self._note(spawn)

    def close(self) -> None:
        """Say that the answer is over."""
        for spawn in self._reader.close():
            self._note(spawn)

    def _note(self, spawn: Spawn) -> None:
        self._memory.add(prompt_key(self._session, spawn.prompt), spawn.agent)


async def aside(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do some work on a body of this size: at once where that takes no time, else in a thread."""
    if size < LARGE_BYTES:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


class Router:
    """Finds the route of each request. `table` maps names of agents."""

    def __init__(self, table: Mapping[str, Target], memory: Memory, folders: Folders) -> None:
        self._table = table
        self._memory = memory
        self._folders = folders

    def __repr__(self) -> str:
        return f"<Router {', '.join(self._table)}>"

    def by_head(self, head: RequestHead) -> Route | None:
        """Return what the headers alone say, where they are enough: a request for neither message nor count, or surely main."""
        if head.method != "POST" or head.path not in (MESSAGES, COUNT):
            return Route()
        who = caller(head.headers)
        return Route(who.session) if who.is_surely_main else None

    async def route(self, head: RequestHead, body: bytes) -> Route:
        """Return what is known about a request for a message or a count. `body` is decoded."""
        who = caller(head.headers)
        key = agent_key(who.session or "", who.agent_id) if who.agent_id else None
        known = self._memory.get(key) if key else []
        if known:
            return self._known(who.session, known[0])
        said = await aside(len(body), asked, head.method, head.path, head.headers, body)
        if not said.is_subagent:
            return Route(said.session)
        return await self._find(who, said, key)

    def watch(self, route: Route, head: ResponseHead, *, translated: bool | None) -> Watch | None:
        """Return what looks through the answer, as far as a session is known in which agents could be started.

        One that was `translated` is looked at as the client gets it, True for a stream and False for a message; None for one
        that passes as it came.
        """
        if route.session is None or head.status != 200:
            return None
        kind = headers.header(head.headers, "content-type") or ""
        encoding = headers.header(head.headers, "content-encoding") if translated is None else None
        streamed = "event-stream" in kind.lower() if translated is None else translated
        return Watch(route.session, self._memory, SpawnReader(streamed=streamed), ContentDecoder(encoding))

    async def _find(self, who: Caller, said: Asked, key: bytes | None) -> Route:
        started = self._memory.get(prompt_key(said.session or "", said.prompt)) if said.prompt else []
        definitions = await asyncio.to_thread(self._folders.definitions, said.cwd)
        agent = recognise(who, said, started, definitions)
        if agent and agent.name not in self._table:
            # A file may be called otherwise than the agent in it; the mapping may have either name.
            same = (one.names for one in definitions if agent.name in one.names)
            mapped = next((name for names in same for name in names if name in self._table), agent.name)
            agent = Agent(mapped, agent.sign)
        if key and (agent or said.is_conversation):
            self._memory.add(key, f"{agent.sign} {agent.name}" if agent else _NOBODY)
        return Route(said.session, agent, self._table.get(agent.name) if agent else None)

    def _known(self, session: str | None, note: str) -> Route:
        sign, _, name = note.partition(" ")
        if note == _NOBODY:
            return Route(session)
        return Route(session, Agent(name, sign), self._table.get(name))
