"""A captured answer, taken apart: the message it comes to, its usage, and the time of each event.

Fills the columns of an entry whose request is known. Refuses to judge: what is not a message is kept as bytes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ccproxy.ingest import chat, timing
from ccproxy.ingest import headers as header_lists
from ccproxy.ingest.encodings import ContentDecoder
from ccproxy.ingest.memory import Memory
from ccproxy.ingest.request import add_node
from ccproxy.ingest.stream import Stream
from ccproxy.protocol import sse
from ccproxy.protocol.message import MessageBuilder
from ccproxy.protocol.parts import json_value
from ccproxy.protocol.usage import tokens
from ccproxy.records import Body, Captured, Ending, Entry, State
from ccproxy.stores import compression

CUT_OFF = "it was cut off"  # how the message builder tells of an event that is not whole
# What nobody counted is unknown, whatever the translation had to tell the client.
COUNTS = (
    "usage", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_5m_tokens",
    "cache_write_1h_tokens", "web_searches",
)  # fmt: skip
_encode = msgspec.json.Encoder().encode


def add_response(entry: Entry, captured: Captured, memory: Memory, *, raw_responses: bool = True) -> None:
    """Complete the entry with the answer and with how the exchange ended.

    Without `raw_responses` the bytes of an answer go where the message that they came to says all of it.
    """
    columns = entry.columns
    _add_losses(columns, captured.sending.losses)
    _add_ending(columns, captured)
    if captured.attempts:
        columns["attempts"] = _encode(captured.attempts).decode()
    if captured.heading:
        columns["status"] = captured.heading.status
        if (captured.sending.demoted or chat.is_chat(captured.sending)) and captured.ending and captured.ending.status:
            # what the client was told: an error may come in a stream that began well
            columns["status"] = captured.ending.status
        columns["head_ms"] = timing.since(captured.opened_at, captured.head_at)
        headers, template = header_lists.split("response", captured.heading.headers)
        entry.headers.append(headers)
        entry.parts.append(template)
        names = {name.lower(): value for name, value in captured.heading.headers}
        columns["request_id"] = names.get("request-id") or names.get("x-request-id")
        _add_body(entry, captured, memory, names, raw_responses=raw_responses)
    if captured.ending:
        _add_limits(columns, captured.ending)


def _add_ending(columns: dict[str, Any], captured: Captured) -> None:
    ending = captured.ending
    columns["state"] = ending.state if ending else State.INTERRUPTED
    columns["ended_at"] = captured.ended_at
    columns["duration_ms"] = timing.since(captured.opened_at, captured.ended_at)
    columns["error"] = ending.error if ending else "the proxy died while this exchange was running"
    columns["error_kind"] = ending.error_kind if ending else None
    if captured.damaged:
        _note(columns, "a piece of the journal could not be read, so there is a hole in this record")
    if captured.cut:
        _note(columns, "the journal could not be written, so the end of this record is missing")


def _add_limits(columns: dict[str, Any], ending: Ending) -> None:
    """Tell the true sizes of what was not recorded as it passed, and what was left out."""
    sizes = {"request_bytes": ending.request_bytes, "response_bytes": ending.response_bytes}
    columns.update({name: size for name, size in sizes.items() if size is not None})
    if ending.note:
        _note(columns, ending.note)


def _add_body(entry: Entry, captured: Captured, memory: Memory, names: dict[str, str], *, raw_responses: bool) -> None:
    raw = b"".join(data for _, data in captured.chunks)
    columns, heading, is_chat = entry.columns, captured.heading, chat.is_chat(captured.sending)
    columns["response_bytes"] = len(raw)
    if not raw and not is_chat:
        return
    if raw:
        columns["first_byte_ms"] = timing.since(captured.opened_at, captured.chunks[0][0])
    plain = heading is not None and heading.plain
    decoder = ContentDecoder(None if plain else names.get("content-encoding"))
    kind = names.get("content-type", "").lower()
    understood = False
    if chat.is_streamed(heading.status if heading else 0, kind) if is_chat else "event-stream" in kind:
        understood = _add_stream(entry, captured, decoder, memory)
    elif "json" in kind or is_chat:  # there, also an error page of whatever stands in front
        body = b"".join(decoder.feed(data) for _, data in captured.chunks)
        understood = _add_json(entry, captured, body, memory)
    if decoder.problem:
        _note(columns, decoder.problem)
    if raw and (raw_responses or not understood or decoder.problem):
        entry.bodies.append(_body(raw, entry))


def _body(raw: bytes, entry: Entry) -> Body:
    """Return the answer's bytes as stored: most of them stand in the message that they came to."""
    if entry.columns.get("reply") is not None:
        message = entry.parts[-1].text
        patch = compression.patch(raw, message)
        if len(patch) < len(raw) and compression.apply(patch, message) == raw:
            return Body("response", "reply", patch, len(raw))
    encoding, data = compression.compress(raw)
    return Body("response", encoding, data, len(raw))


def _add_stream(entry: Entry, captured: Captured, decoder: ContentDecoder, memory: Memory) -> bool:
    """Add what a stream comes to; return whether that is all that it said."""
    columns = entry.columns
    stream = _chat(columns, captured, decoder) if chat.is_chat(captured.sending) else _messages(captured, decoder)
    builder = stream.builder
    entry.timeline = stream.timeline(captured.opened_at)
    columns["events"] = len(stream.arrivals)
    columns["first_token_ms"] = timing.since(captured.opened_at, stream.first_token)
    found = timing.gaps(stream.content)
    columns["gap_p50_ms"], columns["gap_p99_ms"], columns["gap_max_ms"] = found.p50, found.p99, found.longest
    if builder.error:
        _add_error(columns, builder.error)
    message = builder.message
    in_tree = False
    if message is not None:
        in_tree = _add_message(entry, message, memory)
        if not stream.counted:
            columns.update(dict.fromkeys(COUNTS))
        columns["tokens_per_second"] = timing.rate(columns.get("output_tokens"), stream.content)
    _add_stream_notes(columns, builder, cut=_is_cut(captured))
    return (
        in_tree and builder.complete and not (builder.error or builder.problems or builder.unknown or builder.earlier)
    )


def _messages(captured: Captured, decoder: ContentDecoder) -> Stream:
    """Read a stream of the Messages API."""
    lines, stream = sse.Decoder(), Stream()
    for at, data in captured.chunks:
        stream.take(at, lines.feed(decoder.feed(data) if decoder.encoded else data))
    stream.take(captured.chunks[-1][0], lines.close())
    return stream


def _chat(columns: dict[str, Any], captured: Captured, decoder: ContentDecoder) -> Stream:
    """Read a stream of Chat Completions as the one that the client was given; each event came with the piece that made it."""
    lines, stream = sse.Decoder(), Stream()
    columns["response_model"] = None
    said = chat.chat_stream(captured.id, captured.sending, columns.get("requested_model"))
    stream.take(captured.head_at or captured.opened_at, lines.feed(said.open()))
    for at, data in captured.chunks:
        stream.take(at, lines.feed(said.feed(decoder.feed(data))))
    end = b"" if _is_cut(captured) else chat.close(said, captured.ending)
    stream.take(captured.ended_at or captured.opened_at, lines.feed(end))
    columns["response_model"] = said.model
    stream.counted = said.counted
    _add_losses(columns, (*captured.sending.losses, *said.losses))
    return stream


def _add_stream_notes(columns: dict[str, Any], builder: MessageBuilder, *, cut: bool) -> None:
    """Say what was odd in a stream; that its record was cut is said elsewhere."""
    problems = [problem for problem in builder.problems if not (cut and problem.endswith(CUT_OFF))]
    if problems:
        _note(columns, "; ".join(problems[:3]))
    if builder.unknown:
        _note(columns, "unknown to this version: " + ", ".join(sorted(set(builder.unknown))))
    begun = builder.message is not None and not builder.complete and not builder.error
    if begun and columns["state"] is State.COMPLETE and not cut:
        _note(columns, "the stream ended without message_stop")


def _is_cut(captured: Captured) -> bool:
    """Return whether less of the answer was recorded than passed."""
    passed = captured.ending.response_bytes if captured.ending else None
    return passed is not None and sum(len(data) for _, data in captured.chunks) < passed


def _add_json(entry: Entry, captured: Captured, body: bytes, memory: Memory) -> bool:
    """Add what an answer says that came whole; return whether it is a message."""
    columns, sending, heading = entry.columns, captured.sending, captured.heading
    if not chat.is_chat(sending) or heading is None:
        return _add_payload(entry, json_value(body), memory)
    if _is_cut(captured) or captured.ending is None or captured.ending.state is State.CLIENT_LEFT:
        return False  # nobody was told what it comes to, or it is not all here
    kind = next((value for name, value in heading.headers if name.lower() == "content-type"), None)
    said = chat.whole(captured.id, sending, heading.status, kind, body, columns.get("requested_model"))
    columns["response_model"] = said.model
    _add_losses(columns, (*sending.losses, *said.losses))
    is_message = _add_payload(entry, said.value, memory)
    if not said.counted:
        columns.update(dict.fromkeys(COUNTS))
    return is_message


def _add_losses(columns: dict[str, Any], losses: tuple[str, ...]) -> None:
    """Tell what could not be said in the other protocol."""
    columns["losses"] = _encode(list(dict.fromkeys(losses))).decode() if losses else None


def _add_payload(entry: Entry, payload: Any, memory: Memory) -> bool:
    """Add what a JSON answer says; return whether it is a message."""
    if not isinstance(payload, dict):
        return False
    if payload.get("type") == "error":
        _add_error(entry.columns, payload)
    elif payload.get("type") == "message":
        return _add_message(entry, payload, memory)
    return False


def _add_error(columns: dict[str, Any], payload: dict[str, Any]) -> None:
    error = payload.get("error")
    if isinstance(error, dict):
        columns["api_error"] = _string(error.get("type"))
        columns["error"] = columns.get("error") or _string(error.get("message"))


def _add_message(entry: Entry, message: dict[str, Any], memory: Memory) -> bool:
    """Add a message; return whether its content stands in the tree now."""
    columns = entry.columns
    columns["message_id"] = _string(message.get("id"))
    if "response_model" not in columns:  # that of a translated answer is the one that the client asked for
        columns["response_model"] = _string(message.get("model"))
    columns["stop_reason"] = _string(message.get("stop_reason"))
    columns["stop_sequence"] = _string(message.get("stop_sequence"))
    usage = message.get("usage")
    if isinstance(usage, dict):
        columns["usage"] = _encode(usage).decode()
        counted = tokens(usage)
        columns["input_tokens"], columns["output_tokens"] = counted.input, counted.output
        columns["cache_read_tokens"], columns["cache_write_tokens"] = counted.cache_read, counted.cache_write
        columns["cache_write_5m_tokens"] = counted.cache_write_5m
        columns["cache_write_1h_tokens"] = counted.cache_write_1h
        columns["web_searches"] = counted.web_searches
    content = message.get("content")
    if content and columns.get("tip") is not None:
        _add_reply(entry, content, memory)
    return not content or columns.get("reply") is not None


def _add_reply(entry: Entry, content: Any, memory: Memory) -> None:
    """Hang the answer below the request's last message, in the form in which the client will send it back."""
    part = memory.seen(_encode({"role": "assistant", "content": content})).part
    entry.parts.append(part)
    entry.columns["reply"] = add_node(entry, memory, entry.columns["tip"], part, "assistant", entry.depth)


def _note(columns: dict[str, Any], note: str) -> None:
    columns["capture_note"] = "; ".join(filter(None, [columns.get("capture_note"), note]))


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None
