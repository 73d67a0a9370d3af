"""A request body, taken apart without being rebuilt.

Knows where messages, system blocks and tools stand in a `POST /v1/messages` body, and how two spellings of the same part
are recognised as one. The parts are the body's own bytes; nothing is re-serialised. Refuses to judge: a body that is not
such a request gives no parts and a reason, and is nobody's error here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ccproxy.protocol.surrogates import decoded

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_any = msgspec.json.Decoder().decode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode

DIGEST_BYTES = 16  # 128 bits: no accidental collision below about 10**18 parts, at half the key size of SHA-256


@dataclass(frozen=True, slots=True)
class RequestParts:
    """The members of a request body as raw JSON, in the body's own order.

    `fields` holds every top-level member but the three lists. `system` has one entry per block; a system prompt that is a
    plain string counts as one entry, the JSON string. `reason` says why there are no parts, when there are none.
    """

    messages: list[bytes] = field(default_factory=list)
    system: list[bytes] = field(default_factory=list)
    tools: list[bytes] = field(default_factory=list)
    fields: dict[str, bytes] = field(default_factory=dict)
    reason: str | None = None

    def value(self, name: str) -> Any:
        """Return the decoded top-level member `name`, or None where it is missing or not JSON."""
        return json_value(self.fields.get(name))


def json_value(raw: bytes | None) -> Any:
    """Return the value that a piece of JSON stands for, or None where there is none."""
    if raw is None:
        return None
    try:
        return decoded(_decode_any, raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def take_apart(body: bytes) -> RequestParts:
    """Split a request body into its parts. Never raises: what is not understood is told in `reason`."""
    if not body:
        return RequestParts(reason="the body is empty")
    try:
        members = decoded(_decode_object, body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return RequestParts(reason=f"the body is not a JSON object: {error}")
    fields = {name: bytes(raw) for name, raw in members.items()}
    lists = {name: _entries(fields.pop(name, None)) for name in ("messages", "system", "tools")}
    return RequestParts(lists["messages"], lists["system"], lists["tools"], fields)


def _entries(raw: bytes | None) -> list[bytes]:
    if raw is None or raw == b"null":
        return []
    if raw[:1] != b"[":
        return [raw]
    try:
        return [bytes(entry) for entry in decoded(_decode_list, raw)]
    except (msgspec.DecodeError, ValueError, RecursionError):
        return [raw]


def digest(data: bytes) -> bytes:
    """Return the digest under which a normalised part is known."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


def node_digest(parent: bytes | None, message: bytes) -> bytes:
    """Return the digest of a message in its place: below `parent`, or at the root of a conversation."""
    return digest((parent or b"") + message)


def normalised(raw: bytes) -> bytes:
    """Return the canonical form of a part: sorted keys, no spaces, no `cache_control`, string content as one text block.

    Two spellings of one part (the client moves `cache_control`, and switches between string and list content) give the
    same bytes. What is not JSON stays as it is.
    """
    try:
        value = decoded(_decode_any, raw)
        return _encode_sorted(_normal_part(value))
    except (msgspec.DecodeError, ValueError, RecursionError, TypeError):
        return raw


def _normal_part(part: Any) -> Any:
    if isinstance(part, str):
        return {"text": part, "type": "text"}
    if not isinstance(part, dict):
        return part
    kept = {key: value for key, value in part.items() if key != "cache_control"}
    content = kept.get("content")
    if isinstance(content, str):
        kept["content"] = [{"text": content, "type": "text"}]
    elif isinstance(content, list):
        kept["content"] = [_normal_part(block) if isinstance(block, dict) else block for block in content]
    return kept
