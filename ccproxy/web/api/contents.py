"""What is in an exchange, made of what the store has: its row, its bodies, its headers, the events of its answer.

Refuses to change a byte of what was captured, but for the content encoding, which it undoes where a body is to be read.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, TypeVar

import msgspec

from ccproxy.ingest.encodings import ContentDecoder
from ccproxy.protocol.surrogates import decoded, without_halves
from ccproxy.stores.contract import Record, Store
from ccproxy.stores.routes import is_routed, losses
from ccproxy.web.api.answering import NotFoundError
from ccproxy.web.api.shapes import Answer, Content, Exchange, Headers, StreamEvent, Summary

S = TypeVar("S", bound=Summary)
_BYTES, _JSON = "application/octet-stream", "application/json"
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:\s*;[ -~]*)?", re.ASCII)
_ENDINGS = {_JSON: "json", "text/event-stream": "sse", "text/plain": "txt", "text/html": "html"}
_PACKED = {
    "gzip": ("application/gzip", ".gz"),
    "x-gzip": ("application/gzip", ".gz"),
    "zstd": ("application/zstd", ".zst"),
}
_validate = msgspec.json.Decoder().decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_entries = msgspec.json.Decoder(list[msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class Download:
    """A body as a file."""

    data: bytes
    content_type: str
    name: str


def summary(row: Record) -> Summary:
    """Return a row without what is in its exchange."""
    return _shaped(row, Summary)


def _shaped(row: Record, shape: type[S]) -> S:
    """Return a row in its shape; columns that an older store lacks are null."""
    attempts = row.get("attempts")
    shaped = msgspec.convert({**row, "attempts": None, "losses": None}, shape, strict=False)
    shaped.attempts = list(_entries(attempts)) if attempts else None
    shaped.losses = losses(row) or None
    shaped.routed = is_routed(row)
    return shaped


def whole(store: Store, row: Record, included: frozenset[str]) -> Exchange:
    """Return all that is known of an exchange, with what is to be included."""
    nodes = {name: row[name].hex() if row.get(name) else None for name in ("tip", "reply", "preamble")}
    found = _shaped({**row, **nodes, "usage": None}, Exchange)
    found.usage = msgspec.Raw(row["usage"]) if row["usage"] else None
    if "request" in included:
        found.request = _content(store, row, "request")
    if "sent" in included:
        found.sent = _content(store, row, "sent")
    if "response" in included:
        found.response = _answer(store, row)
    if "headers" in included:
        found.headers = Headers(store.headers(row["id"], "request"), store.headers(row["id"], "response"))
    if "events" in included:
        found.timeline = _timeline(store, row)
    return found


def _content(store: Store, row: Record, side: str) -> Content | None:
    body = store.body(row["id"], side)
    if body is None:
        return None
    return Content(len(body), *_readable(_unpacked(body, _encoding(store, row, side))))


def _answer(store: Store, row: Record) -> Answer | None:
    content = _content(store, row, "response")
    return Answer(content.bytes, content.form, content.content, _message(store, row)) if content else None


def _message(store: Store, row: Record) -> dict[str, Any] | None:
    """Return the message that the answer came to, with what the API puts around its content."""
    if not row["reply"]:
        return None
    message = decoded(_members, store.conversation(row["reply"])[-1])
    head = {"id": row["message_id"], "type": "message", "model": row["response_model"]}
    stop = {"stop_reason": row["stop_reason"], "stop_sequence": row["stop_sequence"]}
    return {**head, **message, **stop, "usage": msgspec.Raw(row["usage"]) if row["usage"] else None}


def _encoding(store: Store, row: Record, side: str) -> str:
    return ",".join(_values(store, row, side, "content-encoding"))


def _values(store: Store, row: Record, side: str, wanted: str) -> list[str]:
    return [value for name, value in store.headers(row["id"], side) or [] if name.lower() == wanted]


def _unpacked(body: bytes, encoding: str) -> bytes:
    """Undo a content encoding; what does not decode was recorded decoded, or is damaged, and stays."""
    decoder = ContentDecoder(encoding)
    plain = decoder.feed(body)
    return body if decoder.problem else plain


def _readable(body: bytes) -> tuple[str, Any]:
    """Return in which form a body can stand in JSON, and it in that form."""
    try:
        decoded(_validate, body)
        return "json", msgspec.Raw(_without_halves(body))
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass
    try:
        return "text", body.decode()
    except UnicodeDecodeError:
        return "base64", base64.b64encode(body).decode()


def _without_halves(body: bytes) -> bytes:
    return without_halves(body) if rb"\ud" in body.lower() else body


def _timeline(store: Store, row: Record) -> list[StreamEvent] | None:
    line = store.timeline(row["id"])
    if line is None:
        return None
    arrivals = [at / 1000 for at in accumulate(line.arrivals)]
    return [StreamEvent(*event) for event in zip(arrivals, line.kinds, line.sizes, strict=True)]


def download(store: Store, row: Record, side: str) -> Download:
    """Return the exact bytes of one side, with the type that they have as they are."""
    body = store.body(row["id"], side)
    if body is None:
        untranslated = "this request was not translated: it went up as the client sent it"
        raise NotFoundError(untranslated if side == "sent" else f"this exchange has no {side} body on record")
    encoding = _encoding(store, row, side)
    kind = next(iter(_values(store, row, side, "content-type")), _JSON if side == "sent" else "")
    kind = kind if _MEDIA_TYPE.fullmatch(kind) else _BYTES
    ending = f".{_ENDINGS.get(kind.partition(';')[0].strip().lower(), 'bin')}"
    if encoding and _unpacked(body, encoding) is not body:
        kind, packed = _PACKED.get(encoding.strip().lower(), (_BYTES, ".packed"))
        ending += packed
    return Download(body, kind, f"{row['id']}.{side}{ending}")
