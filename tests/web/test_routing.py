"""Routing end to end: which provider hears what, what the client is given, and what is on record of it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.support.chat_answers import (
    ANSWERING_MODEL,
    DONE,
    USAGE,
    call_chunks,
    chat_answer,
    chat_error,
    chunk,
    completion,
    messages_of,
    text_chunks,
)
from tests.support.proxy import Proxy, client
from tests.support.standin import (
    Answer,
    Gate,
    StandIn,
    json_answer,
    message,
    stream_answer,
    stream_of,
    text,
    text_stream,
    tool_use,
)

PROMPT = "You are a careful reviewer."
REVIEWER = "---\nname: code-reviewer\ndescription: reviews\n---\n" + PROMPT + "\n"
BILLING = "x-anthropic-billing-header: cc_version=2.1.330.b8b; cc_entrypoint=sdk-cli; cc_is_subagent=true;"
MAIN = {
    "x-claude-code-session-id": "session-1",
    "x-api-key": "sk-ant-client-secret",
    "cookie": "c=1",
    "anthropic-beta": "b",
}
AGENT = {**MAIN, "x-claude-code-agent-id": "agent-1"}
KEYS = {"OPENAI_API_KEY": "sk-openai-secret"}


def asked(*, stream: bool = True, prompt: str = "Review it", **fields: Any) -> dict[str, Any]:
    """Return the body of a subagent's request."""
    system = [
        {"type": "text", "text": words} for words in (BILLING, "You are a Claude agent.", f"{PROMPT}\n\nNotes:\n- x")
    ]
    messages = [{"role": "user", "content": [{"type": "text", "text": prompt}]}]
    return {
        "model": "claude-opus-4-8",
        "max_tokens": 1000,
        "stream": stream,
        "system": system,
        "messages": messages,
        **fields,
    }


@contextlib.asynccontextmanager
async def routed(
    up: StandIn,
    home: Path,
    target: str = "gpt-4o",
    *,
    other: StandIn | None = None,
    environ: Mapping[str, str] | None = None,
    config: str = "",
    define: bool = True,
    arguments: tuple[str, ...] = (),
) -> AsyncIterator[tuple[Proxy, httpx.AsyncClient]]:
    """A proxy that routes `code-reviewer` to a target, and a client of it."""
    if define:
        folder = home / ".claude" / "agents"
        folder.mkdir(parents=True)
        (folder / "code-reviewer.md").write_text(REVIEWER)
    (home / "config.yaml").write_text(config or "{}")
    variables = {"SUBAGENTS_ENABLE": "true", "SUBAGENT_MAPPINGS": f"code-reviewer={target}", **KEYS, **(environ or {})}
    if other is not None:
        variables["OPENAI_BASE_URL"] = f"{other.url}/api/v1"
    async with Proxy(up.url, home, *arguments, environ=variables) as proxy, client() as plain:
        yield proxy, plain


def url(proxy: Proxy, path: str = "/v1/messages?beta=true") -> str:
    """Return the address of a path."""
    return f"{proxy.url}{path}"


def events(body: bytes) -> list[dict[str, Any]]:
    """Return the payloads of a stream."""
    return [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: ")]


def said(body: bytes) -> str:
    """Return the text of a stream."""
    deltas = [event["delta"] for event in events(body) if event["type"] == "content_block_delta"]
    return "".join(delta.get("text", "") for delta in deltas)


async def test_a_subagent_is_answered_by_the_other_provider(tmp_path: Path) -> None:
    """The request goes up in Chat Completions under the provider's key, and the answer comes as a stream of Messages."""
    other = StandIn([chat_answer(text_chunks("Looks ", "good."))])
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other) as (proxy, plain):
        answer = await plain.post(url(proxy), json=asked(), headers=AGENT)
        [row] = await proxy.ended()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["request-id"] == "req_openai"
    assert said(answer.content) == "Looks good."
    kinds = [event["type"] for event in events(answer.content)]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert events(answer.content)[0]["message"]["model"] == "claude-opus-4-8"
    assert up.messages == []
    [sent] = other.requests
    assert sent.target == "/api/v1/chat/completions"
    assert sent.header("authorization") == "Bearer sk-openai-secret"
    assert sent.json()["model"] == "gpt-4o"
    assert [one["role"] for one in messages_of(sent)] == ["system", "user"]
    assert BILLING not in sent.body.decode()
    assert row["provider"] == "openai"
    assert (row["requested_model"], row["routed_model"], row["response_model"]) == (
        "claude-opus-4-8",
        "gpt-4o",
        ANSWERING_MODEL,
    )
    assert (row["agent_name"], row["agent_sign"]) == ("code-reviewer", "definition")
    assert row["endpoint"] == f"{other.url}/api/v1/chat/completions"
    assert (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]) == (
        200,
        1000,
        USAGE["completion_tokens"],
    )
    assert (row["stop_reason"], row["state"], row["status"], row["losses"]) == ("end_turn", "complete", 200, None)


async def test_the_providers_key_is_written_nowhere(tmp_path: Path) -> None:
    """Neither key nor header values of another provider are in the store, the journal or the log."""
    other = StandIn([chat_answer(text_chunks("ok")), chat_error(401, "no", "invalid_request_error")])
    environ = {"OPENAI_HEADERS": "X-Team: hidden-team"}
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other, environ=environ) as (proxy, plain):
        for _ in range(2):
            await plain.post(url(proxy), json=asked(), headers=AGENT)
        await proxy.ended(2)
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert b"sk-openai-secret" not in file.read_bytes(), file
            assert b"hidden-team" not in file.read_bytes(), file


async def test_nothing_of_the_clients_goes_to_another_provider(tmp_path: Path) -> None:
    """Neither credential nor cookie nor any `anthropic-*` or session header, in whatever spelling."""
    other = StandIn([chat_answer(text_chunks("ok"))])
    theirs = {
        **AGENT,
        "Authorization": "Bearer oauth-client-secret",
        "Anthropic-Version": "2023-06-01",
        "X-Mine": "mine",
    }
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other) as (proxy, plain):
        await plain.post(url(proxy), json=asked(metadata={"user_id": "device-and-account"}), headers=theirs)
        await proxy.ended()
    [sent] = other.requests
    assert {name.lower() for name, _ in sent.headers} == {
        b"host", b"content-type", b"accept", b"accept-encoding", b"user-agent", b"authorization", b"content-length"
    }  # fmt: skip
    for secret in (b"client-secret", b"session-1", b"agent-1", b"device-and-account", b"mine", b"c=1"):
        assert secret not in sent.head
        assert secret not in sent.body


async def test_the_main_conversation_and_other_agents_stay(tmp_path: Path) -> None:
    """What is not the mapped agent's goes where it went, byte for byte."""
    other = StandIn([])
    bodies = [
        (json.dumps(asked()).encode(), MAIN),
        (json.dumps(asked(system="You do something else.")).encode(), AGENT),
        (b'{"model" : "claude-x", "messages":[] }', {}),
    ]
    async with (
        StandIn(lambda _: stream_answer(text_stream("hi"))) as up,
        other,
        routed(up, tmp_path, other=other) as (proxy, plain),
    ):
        for body, headers in bodies:
            answer = await plain.post(url(proxy), content=body, headers=headers)
            assert answer.content == b"".join(text_stream("hi"))
        rows = await proxy.ended(3)
    assert [request.body for request in up.messages] == [body for body, _ in bodies]
    assert up.messages[0].header("x-api-key") == "sk-ant-client-secret"
    assert {row["provider"] for row in rows} == {"anthropic"}
    assert {row["agent_name"] for row in rows} == {None}


async def test_a_main_conversation_about_the_agent_is_never_routed(tmp_path: Path) -> None:
    """Even with the agent's prompt as its own system prompt, a request without an agent's signs is not the agent's."""
    other = StandIn([])
    body = {**asked(), "system": PROMPT}
    async with (
        StandIn(lambda _: stream_answer(text_stream("hi"))) as up,
        other,
        routed(up, tmp_path, other=other) as (proxy, plain),
    ):
        await plain.post(url(proxy), json=body, headers={"x-api-key": "k"})
        await proxy.ended()
    assert len(up.messages) == 1


def spawning(agent: str, prompt: str) -> list[bytes]:
    """Return the stream of a parent that starts an agent."""
    call = tool_use("Agent", {"subagent_type": agent, "prompt": prompt, "description": "d"}, "toolu_1")
    return stream_of(message([text("I delegate."), call]))


async def test_the_parents_call_names_the_agent(tmp_path: Path) -> None:
    """An agent without a definition file is known by the call that this proxy saw, and keeps its route."""
    other = StandIn(lambda _: chat_answer(text_chunks("ok")))
    ask = asked(system="Somebody unknown.")
    later = {**ask, "messages": [{"role": "user", "content": "a summary instead of the prompt"}]}
    async with (
        StandIn([stream_answer(spawning("code-reviewer", "  Review it\n"))]) as up,
        other,
        routed(up, tmp_path, other=other, define=False) as (proxy, plain),
    ):
        await plain.post(url(proxy), json=asked(prompt="Main"), headers=MAIN)
        await plain.post(url(proxy), json=ask, headers=AGENT)
        await plain.post(url(proxy), json=later, headers=AGENT)
        rows = await proxy.ended(3)
    assert len(other.requests) == 2
    assert [(row["agent_name"], row["agent_sign"]) for row in rows] == [(None, None), *[("code-reviewer", "spawn")] * 2]
    assert 'no definition of the agent "code-reviewer"' in proxy.said()


async def test_a_call_is_known_to_all_workers_before_the_client_hears_it(tmp_path: Path) -> None:
    """The agent may be started at any worker the moment its call is there, long before the answer is over."""
    gate = Gate()
    stream = spawning("code-reviewer", "Review it")
    up = StandIn([stream_answer([*stream[:-2], gate, *stream[-2:]])])
    other = StandIn(lambda _: chat_answer(text_chunks("ok")))
    ask = asked(system="Somebody unknown.")
    async with (
        up,
        other,
        routed(up, tmp_path, other=other, define=False, arguments=("--workers", "2")) as (proxy, plain),
    ):
        async with plain.stream("POST", url(proxy), json=asked(prompt="Main"), headers=MAIN) as answer:
            seen = b""
            async for piece in answer.aiter_raw():
                seen += piece
                if seen.count(b"event: content_block_stop") == 2:
                    break
            for number in range(8):
                async with client() as another:  # a connection of its own, so that the workers take turns
                    await another.post(url(proxy), json=ask, headers={**AGENT, "x-claude-code-agent-id": f"a{number}"})
            gate.open()
        await proxy.ended(9)
    assert len(other.requests) == 8


async def test_another_model_changes_only_the_model(tmp_path: Path) -> None:
    """To a model of the same provider the request goes as it came, credential and all, but for the model's name."""
    body = (
        b'{"model" : "claude-opus-4-8",  "system":"'
        + PROMPT.encode()
        + b'", "big":12345678901234567890, "messages":[ ]}'
    )
    async with (
        StandIn([stream_answer(text_stream("hi"))]) as up,
        routed(up, tmp_path, "claude-haiku-4-5") as (proxy, plain),
    ):
        answer = await plain.post(url(proxy), content=body, headers=AGENT)
        [row] = await proxy.ended()
    assert answer.content == b"".join(text_stream("hi"))
    [sent] = up.messages
    assert sent.body == body.replace(b"claude-opus-4-8", b"claude-haiku-4-5")
    assert sent.header("x-api-key") == "sk-ant-client-secret"
    assert sent.header("anthropic-beta") == "b"
    assert (row["provider"], row["routed_model"], row["endpoint"]) == ("anthropic", "claude-haiku-4-5", None)
    assert proxy.body(row, "request") == body
    assert proxy.body(row, "sent") is None


ZAI = """
providers:
  zai:
    format: anthropic
    base_url: {url}/api/anthropic
    api_key: sk-zai-secret
    headers: {{X-Title: ccproxy}}
"""


async def test_an_anthropic_format_provider_hears_the_same_bytes(tmp_path: Path) -> None:
    """Only the model's name changes in the body, the headers are the proxy's own, and the answer passes as it is."""
    body = b'{"model" : "claude-opus-4-8",  "system":"' + PROMPT.encode() + b'", "messages":[ ], "stream":true}'
    async with (
        StandIn([]) as up,
        StandIn([stream_answer(text_stream("hi"))]) as zai,
        routed(up, tmp_path, "zai:glm-4.6", config=ZAI.format(url=zai.url)) as (proxy, plain),
    ):
        answer = await plain.post(url(proxy), content=body, headers={**AGENT, "accept-encoding": "gzip"})
        [row] = await proxy.ended()
    assert answer.content == b"".join(text_stream("hi"))
    [sent] = zai.requests
    assert sent.target == "/api/anthropic/v1/messages?beta=true"
    assert sent.body == body.replace(b"claude-opus-4-8", b"glm-4.6")
    assert dict(sent.headers) == {
        b"Host": zai.url.removeprefix("http://").encode(),
        **{
            name: value
            for name, value in sent.headers
            if name.lower() in {b"content-type", b"accept", b"user-agent", b"content-length"}
        },
        b"x-api-key": b"sk-zai-secret",
        b"anthropic-version": b"2023-06-01",
        b"accept-encoding": b"gzip",
        b"x-title": b"ccproxy",
    }
    assert (row["provider"], row["routed_model"]) == ("zai", "glm-4.6")
    assert row["endpoint"] == f"{zai.url}/api/anthropic/v1/messages"


async def test_the_first_event_comes_at_once_and_each_fragment_when_it_comes(tmp_path: Path) -> None:
    """The message starts with the provider's head, before any token, and nothing waits for what comes next."""
    gates = [Gate(), Gate()]
    chunks = [
        gates[0],
        chunk({"role": "assistant", "content": "one"}),
        gates[1],
        chunk({"content": "two"}),
        chunk({}, "stop"),
        DONE,
    ]
    other = StandIn([chat_answer(chunks)])
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other) as (proxy, plain):
        async with plain.stream("POST", url(proxy), json=asked(), headers=AGENT) as answer:
            pieces = answer.aiter_raw()
            assert [event["type"] for event in events(await anext(pieces))] == ["message_start"]
            gates[0].open()
            assert said(await anext(pieces)) == "one"
            gates[1].open()
            rest = b"".join([piece async for piece in pieces])
            assert said(rest) == "two"


async def test_tool_calls_and_their_results_go_both_ways(tmp_path: Path) -> None:
    """A call comes as a tool_use block, and its result goes back as the tool's message under the same id."""
    other = StandIn([chat_answer(call_chunks("Bash", {"command": "ls"}, "call_7")), chat_answer(text_chunks("done"))])
    tools = [
        {
            "name": "Bash",
            "description": "d",
            "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}},
        }
    ]
    ask = asked(tools=tools)
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other) as (proxy, plain):
        first = await plain.post(url(proxy), json=ask, headers=AGENT)
        [started] = [e["content_block"] for e in events(first.content) if e["type"] == "content_block_start"]
        assert (started["type"], started["id"], started["name"]) == ("tool_use", "call_7", "Bash")
        result = {"type": "tool_result", "tool_use_id": "call_7", "content": "a.py", "is_error": False}
        call = {"type": "tool_use", "id": "call_7", "name": "Bash", "input": {"command": "ls"}}
        more = [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
        second = await plain.post(url(proxy), json={**ask, "messages": ask["messages"] + more}, headers=AGENT)
        rows = await proxy.ended(2)
    assert said(second.content) == "done"
    told = messages_of(other.requests[1])
    assert [one["role"] for one in told] == ["system", "user", "assistant", "tool"]
    assert told[2]["tool_calls"][0]["id"] == told[3]["tool_call_id"] == "call_7"
    assert json.loads(told[2]["tool_calls"][0]["function"]["arguments"]) == {"command": "ls"}
    assert rows[0]["stop_reason"] == "tool_use"
    assert proxy.reply(rows[0])["content"] == [call]


async def test_both_bodies_and_the_raw_stream_are_on_record(tmp_path: Path) -> None:
    """The client's request, the translated one and the provider's own bytes can all be had back, and where it was lossy."""
    chunks = text_chunks("Grüße")
    other = StandIn([chat_answer(chunks)])
    ask = json.dumps(asked(top_k=5, max_tokens=32000)).encode()
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other) as (proxy, plain):
        await plain.post(url(proxy), content=ask, headers=AGENT)
        [row] = await proxy.ended()
    assert proxy.body(row, "request") == ask
    assert proxy.body(row, "sent") == other.requests[0].body
    assert proxy.body(row, "response") == b"".join(step for step in chunks if isinstance(step, bytes))
    losses = json.loads(row["losses"])
    assert any("top_k" in loss for loss in losses)
    assert any("16384" in loss for loss in losses)
    assert (
        other.requests[0].json()[
            "max_completion_tokens" if "max_completion_tokens" in other.requests[0].json() else "max_tokens"
        ]
        == 16384
    )


async def test_a_client_that_wants_one_message_gets_one(tmp_path: Path) -> None:
    """Without a stream, the completion becomes a message; a provider that streams anyway is understood, too."""
    call = {"id": "call_1", "type": "function", "function": {"name": "Bash", "arguments": '{"command":"ls"}'}}
    answers = [json_answer(completion("Let me look.", [call])), chat_answer(text_chunks("one ", "message"))]
    other = StandIn(answers)
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other) as (proxy, plain):
        first = (await plain.post(url(proxy), json=asked(stream=False), headers=AGENT)).json()
        second = (await plain.post(url(proxy), json=asked(stream=False), headers=AGENT)).json()
        rows = await proxy.ended(2)
    assert [block["type"] for block in first["content"]] == ["text", "tool_use"]
    assert (first["stop_reason"], first["model"], first["usage"]["input_tokens"]) == (
        "tool_use",
        "claude-opus-4-8",
        200,
    )
    assert [block["text"] for block in second["content"]] == ["one message"]
    assert [row["input_tokens"] for row in rows] == [200, 200]
    assert proxy.reply(rows[1])["content"] == second["content"]


async def test_a_client_that_wants_a_stream_gets_one_of_a_whole_completion(tmp_path: Path) -> None:
    """Some gateways answer JSON whatever was asked for."""
    other = StandIn([json_answer(completion("All at once."))])
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other) as (proxy, plain):
        answer = await plain.post(url(proxy), json=asked(), headers=AGENT)
        [row] = await proxy.ended()
    assert said(answer.content) == "All at once."
    assert events(answer.content)[-1]["type"] == "message_stop"
    assert proxy.reply(row)["content"] == [{"type": "text", "text": "All at once."}]


async def test_the_providers_errors_come_in_anthropics_words(tmp_path: Path) -> None:
    """Status and type are those that the client knows, and when to try again is passed on."""
    answers: list[Answer] = [
        chat_error(401, "Incorrect API key provided", "invalid_request_error", "invalid_api_key"),
        chat_error(429, "Rate limit reached", "requests", "rate_limit_exceeded", headers=[("retry-after", "7")]),
        Answer(502, [("Content-Type", "text/html")], [b"<html>bad gateway</html>"], framing="length"),
    ]
    other = StandIn(answers)
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other) as (proxy, plain):
        got = [await plain.post(url(proxy), json=asked(), headers=AGENT) for _ in answers]
        rows = await proxy.ended(3)
    errors = [answer.json()["error"]["type"] for answer in got]
    assert errors[:2] == ["authentication_error", "rate_limit_error"]
    assert got[0].status_code == 401
    assert "Incorrect API key provided" in got[0].json()["error"]["message"]
    assert got[1].headers["retry-after"] == "7"
    assert got[2].status_code >= 500
    assert [row["api_error"] for row in rows] == errors
    assert [row["status"] for row in rows] == [answer.status_code for answer in got]
    assert proxy.body(rows[2], "response") == b"<html>bad gateway</html>"


async def test_a_stream_that_breaks_off_ends_with_an_error_and_never_cleanly(tmp_path: Path) -> None:
    """What came is kept, and the client is told."""
    other = StandIn([chat_answer([chunk({"role": "assistant", "content": "half"})], end="cut")])
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other) as (proxy, plain):
        answer = await plain.post(url(proxy), json=asked(), headers=AGENT)
        [row] = await proxy.ended()
    told = events(answer.content)
    assert said(answer.content) == "half"
    assert told[-1]["type"] == "error"
    assert "message_stop" not in {event["type"] for event in told}
    assert (row["state"], row["error_kind"]) == ("failed", "broken_stream")
    assert proxy.reply(row)["content"] == [{"type": "text", "text": "half"}]


async def test_an_error_inside_a_stream_is_one_to_the_client(tmp_path: Path) -> None:
    """An error after some text is told as the API tells it."""
    error = b'data: {"error":{"message":"The server had an error","type":"server_error"}}\n\n'
    other = StandIn([chat_answer([chunk({"role": "assistant", "content": "half"}), error, DONE])])
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other) as (proxy, plain):
        answer = await plain.post(url(proxy), json=asked(), headers=AGENT)
        [row] = await proxy.ended()
    assert events(answer.content)[-1]["type"] == "error"
    assert (row["state"], row["api_error"]) == ("complete", "api_error")
    assert "The server had an error" in row["error"]


async def test_an_answer_is_over_when_it_says_so(tmp_path: Path) -> None:
    """A provider that keeps its connection open behind the end does not keep the client waiting, and the row is complete."""
    finished = [chunk({"role": "assistant", "content": "ok"}), chunk({}, "stop"), DONE]
    other = StandIn([chat_answer(finished, end="hang"), chat_answer(finished, end="hang")])
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other) as (proxy, plain):
        streamed = await asyncio.wait_for(plain.post(url(proxy), json=asked(), headers=AGENT), 10)
        whole = await asyncio.wait_for(plain.post(url(proxy), json=asked(stream=False), headers=AGENT), 10)
        rows = await proxy.ended(2)
        await other.settled(2)
    assert events(streamed.content)[-1]["type"] == "message_stop"
    assert whole.json()["content"] == [{"type": "text", "text": "ok"}]
    assert [(row["state"], row["stop_reason"]) for row in rows] == [("complete", "end_turn")] * 2
    assert [request.outcome for request in other.requests] == ["client_left"] * 2


async def test_half_a_character_does_no_harm(tmp_path: Path) -> None:
    """JSON may hold one; the client and the record get what can be written."""
    half = "bad \ud83d"
    answers = [
        chat_error(400, half, "invalid_request_error"),
        json_answer({"error": {"message": half}}),
        json_answer(completion(half)),
        chat_answer([chunk({"role": "assistant", "content": half}, model=half), chunk({}, "stop"), DONE]),
    ]
    other = StandIn(answers)
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other) as (proxy, plain):
        got = [await plain.post(url(proxy), json=asked(stream=False), headers=AGENT) for _ in answers]
        rows = await proxy.ended(4)
    assert [answer.status_code for answer in got] == [400, 500, 200, 200]
    assert "bad \ufffd" in got[0].json()["error"]["message"]
    assert {row["state"] for row in rows} == {"complete"}
    assert {row["agent_name"] for row in rows} == {"code-reviewer"}
    assert rows[3]["response_model"] == "bad \ufffd"
    assert {row["capture_note"] for row in rows} == {None}


async def test_what_cannot_be_helped_by_trying_again_says_so(tmp_path: Path) -> None:
    """A wrong key, model or address is told with the provider's name, and the client is asked not to try again."""
    page = Answer(200, [("Content-Type", "text/html; charset=utf-8")], [b"<html>Welcome</html>"], framing="length")
    answers = [
        chat_error(401, "Incorrect API key", "invalid_request_error"),
        chat_error(404, "no such model", "invalid_request_error", "model_not_found"),
        page,
        Answer(301, [("Location", "https://elsewhere.example/")], [], framing="length"),
        chat_error(500, "oops", "server_error"),
    ]
    other = StandIn(answers)
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other) as (proxy, plain):
        got = [await plain.post(url(proxy), json=asked(), headers=AGENT) for _ in answers]
        rows = await proxy.ended(5)
    assert [answer.status_code for answer in got] == [401, 404, 502, 502, 500]
    assert [answer.headers.get("x-should-retry") for answer in got] == ["false"] * 4 + [None]
    sentence = got[2].json()["error"]["message"]
    assert "openai answered 200 with text/html; charset=utf-8" in sentence
    assert f"{other.url}/api/v1/chat/completions" in sentence
    assert [row["error"] for row in rows] == [answer.json()["error"]["message"] for answer in got]
    assert [row["status"] for row in rows] == [answer.status_code for answer in got]
    assert "the provider's status 301 was told as 502" in rows[3]["losses"]


async def test_the_record_tells_what_the_client_heard(tmp_path: Path) -> None:
    """Empty answers, odd content types and errors in Anthropic's own shape come to the same on both sides."""
    stream_type = [("Content-Type", "text/event-stream")]
    busy = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    chunks = [step for step in text_chunks("unannounced") if isinstance(step, bytes)]
    answers = [
        Answer(503, [], [], framing="length"),
        Answer(429, stream_type, [b'data: {"error":{"message":"slow down"}}\n\n'], framing="length"),
        Answer(200, stream_type, [], framing="length"),
        Answer(429, [("Content-Type", "application/json")], [json.dumps(busy).encode()], framing="length"),
        Answer(200, [("Content-Type", "application/octet-stream")], chunks),
    ]
    other = StandIn(answers)
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other) as (proxy, plain):
        got = [await plain.post(url(proxy), json=asked(stream=False), headers=AGENT) for _ in answers]
        rows = await proxy.ended(5)
    for answer, row in zip(got[:4], rows, strict=False):
        error = answer.json()["error"]
        assert (row["status"], row["api_error"], row["error"]) == (answer.status_code, error["type"], error["message"])
    assert got[4].json()["content"] == [{"type": "text", "text": "unannounced"}]
    assert proxy.reply(rows[4])["content"] == got[4].json()["content"]
    assert {row["response_model"] for row in rows} == {None, ANSWERING_MODEL}


async def test_another_question_does_not_decide_about_the_agent(tmp_path: Path) -> None:
    """A count under the agent's id whose words give nobody away leaves its route open; its first turn decides."""
    other = StandIn([chat_answer(text_chunks("ok"))])
    strange = asked(system="Somebody unknown.", prompt="Count this")
    async with (
        StandIn([json_answer({"input_tokens": 3})]) as up,
        other,
        routed(up, tmp_path, other=other) as (proxy, plain),
    ):
        counted = await plain.post(url(proxy, "/v1/messages/count_tokens"), json=strange, headers=AGENT)
        await plain.post(url(proxy), json=asked(), headers=AGENT)
        rows = await proxy.ended(2)
    assert counted.json() == {"input_tokens": 3}
    assert [row["provider"] for row in rows] == ["anthropic", "openai"]


async def test_packed_requests_are_read_and_go_up_unpacked_where_they_change(tmp_path: Path) -> None:
    """A gzip body of an agent is translated; one that is not routed passes as it came; one that cannot be unpacked, too."""
    other = StandIn([chat_answer(text_chunks("ok"))])
    packed = {"content-encoding": "gzip", "content-type": "application/json"}
    mine, theirs, broken = (
        gzip.compress(json.dumps(asked()).encode()),
        gzip.compress(b'{"model":"m"}'),
        b"no gzip at all",
    )
    async with (
        StandIn(lambda _: stream_answer(text_stream("hi"))) as up,
        other,
        routed(up, tmp_path, other=other) as (proxy, plain),
    ):
        await plain.post(url(proxy), content=mine, headers={**AGENT, **packed})
        await plain.post(url(proxy), content=theirs, headers={"x-api-key": "k", **packed})
        await plain.post(url(proxy), content=broken, headers={**AGENT, **packed, "x-claude-code-agent-id": "other"})
        rows = await proxy.ended(3)
    assert messages_of(other.requests[0])[1]["content"] == "Review it"
    assert [request.body for request in up.messages] == [theirs, broken]
    assert proxy.body(rows[0], "request") == mine


async def test_a_client_that_leaves_ends_the_providers_work(tmp_path: Path) -> None:
    """The other provider is hung up on at once, and what came is kept."""
    other = StandIn([chat_answer([chunk({"role": "assistant", "content": "half"})], end="hang")])
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other) as (proxy, plain):
        async with plain.stream("POST", url(proxy), json=asked(), headers=AGENT) as answer:
            async for piece in answer.aiter_raw():
                if b"half" in piece:
                    break
        await other.settled()
        [row] = await proxy.ended()
    assert other.requests[0].outcome == "client_left"
    assert row["state"] == "client_left"
    assert proxy.reply(row)["content"] == [{"type": "text", "text": "half"}]


async def test_a_missing_key_is_told_to_the_client_and_on_record(tmp_path: Path) -> None:
    """Nothing goes anywhere, and the sentence says what to set."""
    config = "providers:\n  router:\n    base_url: https://router.example/api/v1\n"
    async with StandIn([]) as up, routed(up, tmp_path, "router:some/model", config=config) as (proxy, plain):
        answer = await plain.post(url(proxy), json=asked(), headers=AGENT)
        [row] = await proxy.ended()
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert 'the agent "code-reviewer" is routed to some/model at router' in answer.json()["error"]["message"]
    assert "ROUTER_API_KEY" in answer.json()["error"]["message"]
    assert "ROUTER_API_KEY" in row["error"]
    assert (row["state"], row["provider"], row["routed_model"], row["status"]) == (
        "failed",
        "router",
        "some/model",
        400,
    )
    assert up.messages == []


async def test_the_key_is_not_lent_to_pages_of_other_sites(tmp_path: Path) -> None:
    """A request without a credential from a web page gets no answer on the proxy's own key."""
    other = StandIn([])
    strange = {"x-claude-code-agent-id": "a1", "origin": "https://evil.example", "content-type": "text/plain"}
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other) as (proxy, plain):
        answer = await plain.post(url(proxy), content=json.dumps(asked()).encode(), headers=strange)
        await proxy.ended()
    assert answer.status_code == 403
    assert other.requests == []


async def test_tokens_of_a_routed_agent_are_estimated_and_said_to_be(tmp_path: Path) -> None:
    """Nobody is asked; the answer and the record say that it is an estimate."""
    other = StandIn([])
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other) as (proxy, plain):
        answer = await plain.post(
            url(proxy, "/v1/messages/count_tokens"), json=asked(prompt="word " * 1000), headers=AGENT
        )
        [row] = await proxy.ended()
    assert answer.status_code == 200
    assert 500 < answer.json()["input_tokens"] < 3000
    assert answer.headers["x-ccproxy-estimated"] == "true"
    assert (row["kind"], row["provider"], row["state"]) == ("count_tokens", "openai", "complete")
    assert "estimate" in row["losses"]
    assert up.requests == []


async def test_a_request_that_cannot_be_said_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """A subagent's request whose messages are none goes nowhere."""
    other = StandIn([])
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other) as (proxy, plain):
        answer = await plain.post(url(proxy), json=asked(messages="none"), headers=AGENT)
        [row] = await proxy.ended()
    assert answer.status_code == 400
    assert "openai" in answer.json()["error"]["message"]
    assert (row["state"], row["provider"]) == ("failed", "openai")
    assert other.requests == []


async def test_an_edited_definition_counts_for_the_next_agent(tmp_path: Path) -> None:
    """A changed prompt is noticed without a restart, and an agent that runs keeps its route."""
    other = StandIn(lambda _: chat_answer(text_chunks("ok")))
    new = asked(system="You are quite another reviewer.")
    async with (
        StandIn(lambda _: stream_answer(text_stream("hi"))) as up,
        other,
        routed(up, tmp_path, other=other) as (proxy, plain),
    ):
        await plain.post(url(proxy), json=asked(), headers=AGENT)
        await plain.post(url(proxy), json=new, headers={**AGENT, "x-claude-code-agent-id": "agent-2"})
        path = tmp_path / ".claude" / "agents" / "code-reviewer.md"
        path.write_text(REVIEWER.replace(PROMPT, "You are quite another reviewer."))
        for number in (1, 2, 3):
            await plain.post(url(proxy), json=new, headers={**AGENT, "x-claude-code-agent-id": f"agent-{number}"})
        rows = await proxy.ended(5)
    assert [row["provider"] for row in rows] == ["openai", "anthropic", "openai", "anthropic", "openai"]


async def test_the_projects_own_agents_are_found_by_the_prompt(tmp_path: Path) -> None:
    """The working directory that the system prompt names leads to the project's `.claude/agents`."""
    project = tmp_path / "project"
    folder = project / ".claude" / "agents"
    folder.mkdir(parents=True)
    (folder / "code-reviewer.md").write_bytes(b"\xef\xbb\xbf" + REVIEWER.replace("\n", "\r\n").encode())
    other = StandIn(lambda _: chat_answer(text_chunks("ok")))
    ask = asked(system=[{"type": "text", "text": f"{PROMPT}\n\nWorking directory: {project}\n"}])
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other, define=False) as (proxy, plain):
        await plain.post(url(proxy), json=ask, headers=AGENT)
        [row] = await proxy.ended()
    assert (row["provider"], row["agent_sign"]) == ("openai", "definition")


async def test_off_means_that_no_agent_file_is_read(tmp_path: Path) -> None:
    """With mappings and without the switch, a definition that cannot even be opened does not matter, and nothing is routed."""
    other = StandIn([])
    off = {"SUBAGENTS_ENABLE": "false"}
    async with (
        StandIn([stream_answer(text_stream("hi"))]) as up,
        other,
        routed(up, tmp_path, other=other, environ=off) as (proxy, plain),
    ):
        folder = tmp_path / ".claude" / "agents"
        before = folder.stat().st_atime_ns, (folder / "code-reviewer.md").stat().st_atime_ns
        body = json.dumps(asked()).encode()
        await plain.post(url(proxy), content=body, headers=AGENT)
        [row] = await proxy.ended()
        assert (folder.stat().st_atime_ns, (folder / "code-reviewer.md").stat().st_atime_ns) == before
    assert [request.body for request in up.messages] == [body]
    assert (row["provider"], row["agent_name"]) == ("anthropic", None)


async def test_retries_of_another_provider_are_its_own(tmp_path: Path) -> None:
    """Its statuses and its number of attempts count, and each attempt in vain is on record."""
    config = "providers:\n  openai:\n    max_retries: 1\n    retry_statuses: [503]\n"
    busy = chat_error(503, "busy", "server_error", headers=[("retry-after-ms", "1")])
    other = StandIn([busy, chat_answer(text_chunks("ok"))])
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other, config=config) as (proxy, plain):
        answer = await plain.post(url(proxy), json=asked(), headers=AGENT)
        [row] = await proxy.ended()
    assert said(answer.content) == "ok"
    assert [attempt["status"] for attempt in proxy.attempts(row)] == [503]


async def test_an_unreachable_provider_is_named(tmp_path: Path) -> None:
    """The sentence says who does not answer."""
    environ = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MAX_RETRIES": "0"}
    async with StandIn([]) as up, routed(up, tmp_path, environ=environ) as (proxy, plain):
        answer = await plain.post(url(proxy), json=asked(), headers=AGENT)
        [row] = await proxy.ended()
    assert answer.status_code == 502
    assert "127.0.0.1:9" in answer.json()["error"]["message"]
    assert (row["state"], row["error_kind"], row["provider"]) == ("failed", "connect", "openai")


async def test_the_environment_says_how_openai_is_spoken_to(tmp_path: Path) -> None:
    """Its protocol, its headers and the folders of definitions can all be told without a file."""
    folder = tmp_path / "our agents"
    folder.mkdir()
    (folder / "any-name.md").write_text(REVIEWER)
    environ = {
        "OPENAI_FORMAT": "anthropic",
        "OPENAI_HEADERS": "X-Team: blue\nAuthorization: Bearer of-our-own",
        "SUBAGENT_FOLDERS": str(folder),
    }
    body = json.dumps(asked()).encode()
    other = StandIn([stream_answer(text_stream("hi"))])
    async with (
        StandIn([]) as up,
        other,
        routed(up, tmp_path, other=other, environ=environ, define=False) as (proxy, plain),
    ):
        await plain.post(url(proxy), content=body, headers=AGENT)
        await proxy.ended()
    [sent] = other.requests
    assert sent.target == "/api/v1/messages?beta=true"
    assert sent.body == body.replace(b"claude-opus-4-8", b"gpt-4o")
    assert (sent.header("x-team"), sent.header("authorization")) == ("blue", "Bearer of-our-own")


async def test_limits_retries_and_silence_of_openai_are_its_own(tmp_path: Path) -> None:
    """A limit for the model, the statuses that are tried again and the longest silence come from its own variables."""
    environ = {"OPENAI_LIMITS": "gpt-4o=77, *=5", "OPENAI_RETRY_STATUSES": "503", "OPENAI_IDLE_TIMEOUT": "150ms"}
    silent = chat_answer([chunk({"role": "assistant", "content": "half"})], end="hang")
    other = StandIn([chat_error(503, "busy", "server_error", headers=[("retry-after-ms", "1")]), silent])
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other, environ=environ) as (proxy, plain):
        answer = await plain.post(url(proxy), json=asked(), headers=AGENT)
        [row] = await proxy.ended()
    assert 77 in other.requests[1].json().values()
    assert [attempt["status"] for attempt in proxy.attempts(row)] == [503]
    assert events(answer.content)[-1]["type"] == "error"
    assert "providers.openai.idle_timeout" in row["error"]


async def test_the_waits_for_openai_are_its_own(tmp_path: Path) -> None:
    """A provider that is silent before its head is a 504 that names the setting, and says how long."""
    gate = Gate()
    environ = {"OPENAI_RESPONSE_HEADER_TIMEOUT": "200ms", "OPENAI_CONNECT_TIMEOUT": "200ms"}
    other = StandIn(lambda _: chat_answer(text_chunks("late"), before=[gate]))
    async with StandIn([]) as up, other, routed(up, tmp_path, other=other, environ=environ) as (proxy, plain):
        answer = await plain.post(url(proxy), json=asked(), headers=AGENT)
        [row] = await proxy.ended()
        gate.open()
    assert (answer.status_code, row["error_kind"]) == (504, "response_header_timeout")
    assert "providers.openai.response_header_timeout" in answer.json()["error"]["message"]


async def test_connecting_to_openai_takes_so_long_at_most(tmp_path: Path) -> None:
    """A provider that accepts no connection is given up after its own connect timeout."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        place = full.getsockname()
        waiting = [socket.socket() for _ in range(3)]  # they fill the queue, so the next one is not answered
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(place)
        environ = {
            "OPENAI_CONNECT_TIMEOUT": "200ms",
            "OPENAI_MAX_RETRIES": "0",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{place[1]}",
        }
        async with StandIn([]) as up, routed(up, tmp_path, environ=environ) as (proxy, plain):
            answer = await plain.post(url(proxy), json=asked(), headers=AGENT)
        for one in waiting:
            one.close()
    assert answer.status_code == 504
    assert "providers.openai.connect_timeout" in answer.json()["error"]["message"]
