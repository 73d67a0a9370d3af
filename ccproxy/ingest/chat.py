"""The answer of a provider that speaks Chat Completions, as the events and the message that the client was given.

Translates the recorded bytes as the proxy did while they passed. Refuses to know how the two protocols differ, and rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ccproxy.protocol.openai.error import to_error
from ccproxy.protocol.openai.ids import message_id
from ccproxy.protocol.openai.reply import to_message
from ccproxy.protocol.openai.stream import ChatStream
from ccproxy.protocol.parts import json_value
from ccproxy.records import Ending, Sending, State

FORMAT = "openai"


def is_chat(sending: Sending) -> bool:
    """Return whether a request went to a provider that answers in Chat Completions."""
    return sending.format == FORMAT


def chat_stream(exchange: str, sending: Sending, model: str | None) -> ChatStream:
    """Return the translation of a streamed answer, at its beginning. `model` is the one that the client asked for."""
    return ChatStream(message_id(exchange), model or "", sending.tool_names, sending.provider or "")


def close(stream: ChatStream, ending: Ending | None) -> bytes:
    """Return what the client was told at the end: nothing where it, or the proxy, did not live to see one."""
    if ending is None or ending.state not in (State.COMPLETE, State.FAILED):
        return b""
    return stream.close(None if ending.state is State.COMPLETE else ending.error or "the stream broke off")


@dataclass(frozen=True, slots=True)
class Payload:
    """What a whole answer comes to: a message or an error, as the client saw it, and what stands beside it."""

    value: Any
    model: str | None = None
    losses: tuple[str, ...] = ()
    counted: bool = False


def payload(exchange: str, sending: Sending, status: int, body: bytes, model: str | None) -> Payload:
    """Return what a whole answer comes to; one that the proxy gave itself is left as it is."""
    value = json_value(body)
    if isinstance(value, dict) and value.get("type") == "error" and isinstance(value.get("error"), dict):
        return Payload(value)
    if status >= 400:
        return Payload(to_error(status, body, sending.provider or "")[1])
    reply = to_message(body, message_id(exchange), model or "", sending.tool_names, sending.provider or "")
    return Payload(reply.message or reply.error, reply.model, reply.losses, reply.counted)
