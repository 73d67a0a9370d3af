"""A session's rows and messages, woven into its thread: each message with its exchange, each subagent where it was started.

Refuses to know where rows and messages come from: it is given them, and asks `texts` and `producers` for what it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from ccproxy.protocol.parts import json_value
from ccproxy.protocol.surrogates import decoded
from ccproxy.stores.contract import Branch, Record
from ccproxy.stores.routes import is_routed
from ccproxy.web.api import linking
from ccproxy.web.api.lines import Conversation, Line, Tree, conversations, is_of_a_conversation
from ccproxy.web.api.thread import Agent, Message, Reference, Segment, Thread, Tokens

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_DEEPEST = 50  # agents that started agents; what goes deeper hangs on the main conversation
Texts = Callable[[Sequence[bytes]], dict[bytes, bytes]]
Producers = Callable[[Sequence[bytes]], dict[bytes, Record]]


def weave(rows: Sequence[Record], branches: Iterable[Branch], texts: Texts, producers: Producers) -> Thread:
    """Return the thread of a session, from its exchanges, oldest first, and the messages of its conversations."""
    own = [row for row in rows if is_of_a_conversation(row)]
    tree = Tree(branches)
    main, agents = conversations(own, tree)
    nodes = [node for conversation in (main, *agents) for line in conversation.lines for node in line.nodes]
    answers = {row["reply"]: row for row in reversed(own) if row["reply"]}
    elsewhere = [node.digest for node in nodes if node.role == "assistant" and node.digest not in answers]
    weaver = _Weaver(
        texts(list({node.message: None for node in nodes})), producers(elsewhere) | answers, tree.senders(own)
    )
    thread = Thread(**weaver.figures(main), segments=[weaver.segment(line) for line in main.lines])
    if not main.rows and rows:
        thread.started_at, thread.last_activity_at = rows[0]["started_at"], _last_activity(rows)
    weaver.hang(thread, agents)
    return thread


class _Weaver:
    """What is known of the messages that are shown."""

    def __init__(self, texts: dict[bytes, bytes], producers: dict[bytes, Record], senders: dict[bytes, str]) -> None:
        self._texts = texts
        self._producers = producers
        self._senders = senders

    def figures(self, conversation: Conversation) -> dict[str, Any]:
        rows = conversation.rows
        return {
            "started_at": conversation.started_at,
            "last_activity_at": _last_activity(rows),
            "exchanges": len(rows),
            "models": list({model: None for model in map(_model, rows) if model}),
            "tokens": tokens(rows),
        }

    def segment(self, line: Line) -> Segment:
        shown = {node.digest for node in line.nodes}
        return Segment(
            started_at=line.rows[0]["started_at"],
            after_compaction=line.after_compaction,
            messages=[self._message(node) for node in line.nodes],
            beside=[reference(row) for row in line.rows if row["reply"] not in shown],
        )

    def _message(self, node: Branch) -> Message:
        producer = self._producers.get(node.digest) if node.role == "assistant" else None
        return Message(
            node=node.digest.hex(),
            role=node.role,
            content=_content(self._texts.get(node.message, b"null")),
            produced_by=reference(producer) if producer else None,
            sent_with=self._senders.get(node.digest),
        )

    def hang(self, thread: Thread, agents: Sequence[Conversation]) -> None:
        """Hang each subagent on the message that started it, in the conversation of its parent."""
        woven = [self._agent(agent) for agent in agents]
        threads = {agent.agent_id: agent for agent in woven if agent.agent_id is not None}
        parents = {agent.agent_id: agent.parent_id for agent in agents if agent.agent_id is not None}
        places = {id(one): _Places(one) for one in (thread, *woven)}
        for agent, conversation in zip(woven, agents, strict=True):
            parent = threads.get(conversation.parent_id or "")
            places[id(parent if parent and _ends_at_main(conversation, parents) else thread)].hang(agent)

    def _agent(self, conversation: Conversation) -> Agent:
        return Agent(
            **self.figures(conversation),
            segments=[self.segment(line) for line in conversation.lines],
            agent_id=conversation.agent_id,
            agent_type=conversation.agent_type,
            agent_name=conversation.agent_name,
        )


class _Places:
    """The messages of a thread, as places on which subagents can be hung."""

    def __init__(self, thread: Thread) -> None:
        self._thread = thread
        self._messages = [message for segment in thread.segments for message in segment.messages]
        self._moments = [message.produced_by.started_at if message.produced_by else None for message in self._messages]
        self._calls: list[linking.Call] | None = None

    def hang(self, agent: Agent) -> None:
        if self._calls is None:
            self._calls = [call for place in range(len(self._messages)) for call in self._calls_of(place)]
        found = linking.link(_first_texts(agent), agent.started_at, self._calls, self._moments)
        agent.tool_use_id, agent.linked_by = found.tool_use_id, found.by
        if found.place is None:
            self._thread.agents.append(agent)
        else:
            self._messages[found.place].agents.append(agent)

    def _calls_of(self, place: int) -> Iterable[linking.Call]:
        message = self._messages[place]
        if message.role != "assistant":
            return ()
        return linking.calls(place, self._moments[place], json_value(bytes(message.content)))


def _ends_at_main(conversation: Conversation, parents: dict[str, str | None]) -> bool:
    """Tell whether the ancestors of a subagent are no circle."""
    ancestor = conversation.parent_id
    for _ in range(_DEEPEST):
        if ancestor is None:
            return True
        ancestor = parents.get(ancestor)
    return False


def _first_texts(agent: Agent) -> list[str]:
    for segment in agent.segments[:1]:
        for message in segment.messages:
            if message.role == "user":
                return linking.texts(json_value(bytes(message.content)))
    return []


def _content(text: bytes) -> msgspec.Raw:
    """Return what a message says; of one that is no message, all of it."""
    if json_value(text) is None:
        return msgspec.Raw(msgspec.json.encode(text.decode("utf-8", "replace")))
    try:
        content = decoded(_members, text).get("content")
    except msgspec.DecodeError:
        content = None
    return msgspec.Raw(text) if content is None else content


def _last_activity(rows: Sequence[Record]) -> int:
    return max((max(row["started_at"], row["ended_at"] or 0) for row in rows), default=0)


def _model(row: Record) -> str | None:
    model: str | None = row["response_model"] or row["routed_model"] or row["requested_model"]
    return model


def tokens(rows: Sequence[Record]) -> Tokens:
    """Return the tokens of exchanges, added up."""
    names = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
    return Tokens(*(sum(row[name] or 0 for row in rows) for name in names))


def reference(row: Record) -> Reference:
    """Return an exchange as messages name it."""
    return Reference(
        **{name: row[name] for name in Reference.__struct_fields__ if name in row},
        routed=is_routed(row),
        model=_model(row),
        tokens=tokens([row]),
    )
