"""Agents of recorded sessions, from Claude Code 2.1.50 to 2.1.330: each can be known by the call that started it."""

from __future__ import annotations

import json
from collections import defaultdict

from ccproxy.protocol.parts import take_apart
from ccproxy.routing.recognition import SPAWN, asked, caller, recognise
from ccproxy.routing.spawns import SpawnReader, prompt_key
from tests.support.wire import Request, needs_wire, requests


def message_requests() -> list[Request]:
    """Return the recorded requests for a message."""
    return [one for one in requests() if one.method == "POST" and one.path.partition("?")[0] == "/v1/messages"]


def headers_of(request: Request) -> list[tuple[bytes, bytes]]:
    """Return a request's headers as they come."""
    return [(name.encode(), value.encode()) for name, value in request.headers]


@needs_wire
def test_each_recorded_agents_prompt_is_that_of_a_call_in_its_session() -> None:
    """The calls that a session's history shows name each agent of the session; without them another sign is found."""
    notes: dict[bytes, list[str]] = defaultdict(list)
    for request in message_requests():
        session = asked("POST", b"/v1/messages", headers_of(request), request.body).session or ""
        for raw in take_apart(request.body).messages:
            reader = SpawnReader(streamed=False)
            reader.feed(raw)
            if json.loads(raw)["role"] == "assistant":
                for spawn in reader.close():
                    notes[prompt_key(session, spawn.prompt)].append(spawn.agent)
    found = set()
    for request in message_requests():
        said = asked("POST", b"/v1/messages", headers_of(request), request.body)
        if said.is_subagent:
            assert said.prompt
            started = notes[prompt_key(said.session or "", said.prompt)]
            agent = recognise(caller(headers_of(request)), said, started, [])
            other = recognise(caller(headers_of(request)), said, [], [])
            assert agent is not None, request.name
            assert other is not None, request.name
            if started:
                assert (agent.sign, agent.name) == (SPAWN, other.name), request.name
                found.add(request.source)
    assert {"o_2.1.50.jsonl", "b_2.1.280.jsonl", "wire_of_transcripts_2.1.330.jsonl"} <= found
