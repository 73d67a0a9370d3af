"""A captured request, taken apart: who asked, for what, and which nodes and parts it comes to.

The packed body is checked here, before anything is stored: what it would not give back byte for byte is kept whole.
Refuses to know the answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ccproxy.errors import StoreError
from ccproxy.ingest import headers as header_lists
from ccproxy.ingest.blocks import blocks_of
from ccproxy.ingest.encodings import ContentDecoder
from ccproxy.ingest.memory import Memory
from ccproxy.protocol.anatomy import is_billing_line, read_anatomy
from ccproxy.protocol.fragment import closed
from ccproxy.protocol.parts import RequestParts, digest, json_value, node_digest, take_apart
from ccproxy.records import Body, Captured, Entry, Node, Part, Preamble, PreamblePart, State
from ccproxy.stores import compression, rebuild

BEGINNING_BYTES = 1 << 22  # of a body that is not whole, so much is looked at


@dataclass(slots=True)
class _Pieces:
    """What a request comes to, while it is being put together."""

    billing_line: str | None = None
    preamble: list[Part] = field(default_factory=list)
    messages: list[Part] = field(default_factory=list)
    spelled: list[bytes] = field(default_factory=list)  # each of them as it stands in the body, the billing line first


def request_entry(captured: Captured, memory: Memory) -> Entry:
    """Return the entry of an exchange as far as its request goes; its state is open."""
    opening = captured.opening
    names = {name.lower(): value for name, value in opening.headers}
    decoder = ContentDecoder(None if opening.plain else names.get("content-encoding"))
    body = decoder.feed(captured.request) if decoder.encoded else captured.request
    parts = take_apart(body)
    entry = Entry(captured.id, _columns(captured, parts if parts.reason is None else _beginning(body)))
    note = decoder.problem or (parts.reason if captured.request and opening.method == "POST" else None)
    entry.columns["capture_note"] = note
    headers, template = header_lists.split("request", opening.headers)
    entry.headers.append(headers)
    entry.parts.append(template)
    pieces = _pieces(parts, memory, entry)
    entry.columns["billing_line"] = pieces.billing_line
    if captured.request:
        entry.bodies.append(_body(captured.request, pieces, encoded=decoder.encoded))
    if captured.sent_body:
        entry.bodies.append(_sent_body(captured.sent_body, captured.request))
    return entry


def _beginning(body: bytes) -> RequestParts:
    """Return what a body that broke off, or was cut for the record, says in what there is of it."""
    whole = closed(body[:BEGINNING_BYTES].decode("utf-8", "replace")) if body.lstrip()[:1] == b"{" else None
    return take_apart(whole.encode()) if whole else RequestParts()


def _columns(captured: Captured, parts: RequestParts) -> dict[str, object]:
    opening = captured.opening
    anatomy = read_anatomy(opening.method, opening.path, opening.headers, parts)
    sending = captured.sending
    return {
        "id": captured.id,
        "writer": captured.writer,
        "state": State.OPEN,
        "started_at": captured.opened_at,
        "method": opening.method,
        "path": opening.path,
        "query": opening.query,
        "client_address": opening.client_address,
        "provider": sending.provider or opening.provider,
        "endpoint": sending.endpoint,
        "kind": anatomy.kind,
        "kind_sign": anatomy.kind_sign,
        "requested_model": anatomy.model,
        "routed_model": sending.model or anatomy.model,
        "stream": int(anatomy.stream),
        "demoted": int(sending.demoted),
        "max_tokens": anatomy.max_tokens,
        "effort": anatomy.effort,
        "thinking": anatomy.thinking,
        "session_id": anatomy.session_id,
        "agent_id": anatomy.agent_id,
        "parent_agent_id": anatomy.parent_agent_id,
        "agent_type": anatomy.agent_type,
        "agent_name": sending.agent,
        "agent_sign": sending.sign,
        "prompt_id": anatomy.prompt_id,
        "client": anatomy.client,
        "client_version": anatomy.client_version,
        "entrypoint": anatomy.entrypoint,
        "user_agent": next((value for name, value in opening.headers if name.lower() == "user-agent"), None),
        "account_id": anatomy.account_id,
        "device_id": anatomy.device_id,
        "cwd": anatomy.cwd,
        "retry_count": anatomy.retry_count,
        "tool_durations": anatomy.tool_durations,
        "compaction": anatomy.compaction,
        "request_bytes": len(captured.request),
        "response_bytes": 0,
    }


def _pieces(parts: RequestParts, memory: Memory, entry: Entry) -> _Pieces:
    """Name every part of a request, and add to the entry what the store may not know yet."""
    pieces = _Pieces()
    members: list[PreamblePart] = []
    for kind, raws in (("tool", parts.tools), ("system", parts.system)):
        for raw in raws:
            if kind == "system" and pieces.billing_line is None and is_billing_line(raw):
                pieces.billing_line = raw.decode("utf-8", "replace")
                pieces.spelled.insert(0, raw)
                continue
            seen = memory.seen(raw)
            pieces.preamble.append(seen.part)
            pieces.spelled.append(raw)
            members.append(PreamblePart(len(members), kind, seen.role or None, seen.part.digest))
    if members:
        key = digest(b"preamble" + b"".join(member.part for member in members))  # no node's digest
        entry.preamble = Preamble(key, tuple(members))
        entry.columns["preamble"] = key
    parent: bytes | None = None
    for depth, raw in enumerate(parts.messages):
        seen = memory.seen(raw, marked=True)
        pieces.messages.append(seen.part)
        parent = add_node(entry, memory, parent, seen.part, seen.role, depth)
    entry.columns["tip"] = parent
    entry.depth = len(parts.messages)
    pieces.spelled += parts.messages
    entry.parts += [*pieces.preamble, *pieces.messages]
    return pieces


def add_node(entry: Entry, memory: Memory, parent: bytes | None, part: Part, role: str, depth: int) -> bytes:
    """Add a message in its place to the entry, where it is new, and return its digest."""
    key = node_digest(parent, part.digest)
    if memory.is_new(key):
        entry.nodes.append(Node(key, parent, role, depth, part.digest, blocks_of(json_value(part.text))))
    return key


def _body(raw: bytes, pieces: _Pieces, *, encoded: bool) -> Body:
    texts = rebuild.reference(
        pieces.billing_line, [part.text for part in pieces.preamble], [part.text for part in pieces.messages]
    )
    if texts and not encoded:
        packed = rebuild.pack(raw, pieces.spelled, texts)
        if len(packed) < len(raw) and _gives_back(raw, packed, texts):
            return Body("request", "parts", packed, len(raw))
    encoding, data = compression.compress(raw)
    return Body("request", encoding, data, len(raw))


def _sent_body(raw: bytes, request: bytes) -> Body:
    """Return the translated body as stored: most of it stands in the client's own."""
    if request:
        patch = compression.patch(raw, request)
        if len(patch) < len(raw) and compression.apply(patch, request) == raw:
            return Body("sent", "request", patch, len(raw))
    encoding, data = compression.compress(raw)
    return Body("sent", encoding, data, len(raw))


def _gives_back(raw: bytes, packed: bytes, texts: list[bytes]) -> bool:
    try:
        return rebuild.unpack(packed, texts) == raw
    except StoreError:
        return False
