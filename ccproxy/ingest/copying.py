"""From one store into another: each exchange with all that hangs on it, taken apart anew as when it was captured.

What a row says is taken over as it is; parts, nodes and packed bodies are made of the exact bytes, so they are right for the
store they go to. Works between any two stores, and goes on where it was interrupted. Refuses to copy what still runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from ccproxy.errors import StoreSweptError
from ccproxy.ingest.encodings import ContentDecoder
from ccproxy.ingest.memory import Memory
from ccproxy.ingest.request import add_node, request_entry
from ccproxy.ingest.response import add_response
from ccproxy.records import Body, Captured, Ending, Entry, Heading, Opening, State, Timeline
from ccproxy.stores import compression
from ccproxy.stores.contract import Record, Store

PAGE = 500
BATCH = 50


def copy(source: Store, target: Store) -> Iterator[str]:
    """Copy every exchange that has ended, oldest first; yield the id of each that is in the target now, old or new."""
    memory = Memory(target.part)
    for ids in _batches(source):
        missing = [exchange for exchange in ids if not target.named(exchange)]
        try:
            _put(source, target, missing, memory)
        except StoreSweptError:  # somebody sweeps in the target meanwhile: what it was known to have may be gone
            memory.forget()
            _put(source, target, missing, memory)
        yield from ids


def _put(source: Store, target: Store, ids: list[str], memory: Memory) -> None:
    if ids:
        target.write([entry_of(source, source.exchange(exchange), memory) for exchange in ids], [])
        memory.trim()


def _batches(source: Store) -> Iterator[list[str]]:
    """Yield the ids of what has ended, oldest first, a few at a time."""
    ids: list[str] = []
    before: str | None = None
    while rows := source.exchanges(limit=PAGE, before=before):
        before = rows[-1]["id"]
        ids += [row["id"] for row in rows if row["state"] != State.OPEN]
    ids.reverse()
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]


def entry_of(source: Store, row: Record, memory: Memory) -> Entry:
    """Return an exchange of `source` as an entry for the store whose memory this is."""
    captured = _captured(source, row)
    entry = request_entry(captured, memory)
    add_response(entry, captured, memory)
    made = {name: entry.columns.get(name) for name in ("tip", "reply", "preamble")}
    for name in ("tip", "reply"):
        if row[name] is not None and made[name] != row[name]:
            made[name] = _line(source, row[name], entry, memory)
            if name == "reply":
                entry.bodies = [_against_reply(body, entry, captured) for body in entry.bodies]
    entry.columns = {**row, **made}
    entry.timeline = _runs(source.timeline(row["id"]))
    return entry


def _captured(source: Store, row: Record) -> Captured:
    exchange, at = row["id"], row["started_at"]
    asked, answered = source.headers(exchange, "request") or [], source.headers(exchange, "response")
    request, response = source.body(exchange, "request") or b"", source.body(exchange, "response")
    plain = _is_plain(asked, request)
    opening = Opening(row["method"], row["path"], row["query"], asked, row["provider"], row["client_address"], plain)
    captured = Captured(exchange, row["writer"], at, opening, request, at)
    captured.sent_body = source.body(exchange, "sent") or b""
    if answered is not None:
        captured.heading = Heading(row["status"] or 0, answered, _is_plain(answered, response or b""))
        captured.head_at = at
    captured.chunks = [(at, response)] if response else []
    captured.ended_at = row["ended_at"]
    captured.ending = Ending(State(row["state"]), row["status"])
    return captured


def _is_plain(headers: list[tuple[str, str]], body: bytes) -> bool:
    """Tell whether a body was recorded decoded, whatever its headers say."""
    named = ",".join(value for name, value in headers if name.lower() == "content-encoding")
    decoder = ContentDecoder(named)
    decoder.feed(body[:1000])
    return decoder.encoded and decoder.problem is not None


def _line(source: Store, node: bytes, entry: Entry, memory: Memory) -> bytes | None:
    """Add the line of messages down to a node of the source, where the bytes alone did not bring it about."""
    parent: bytes | None = None
    for depth, raw in enumerate(source.conversation(node)):
        seen = memory.seen(raw)
        entry.parts.append(seen.part)
        parent = add_node(entry, memory, parent, seen.part, seen.role, depth)
    return parent


def _against_reply(body: Body, entry: Entry, captured: Captured) -> Body:
    """Return the answer's bytes as packed against the message that they came to, which was just added; other sides as they are."""
    if body.side != "response":
        return body
    raw = b"".join(data for _, data in captured.chunks)
    patch = compression.patch(raw, entry.parts[-1].text)
    if len(patch) < len(raw) and compression.apply(patch, entry.parts[-1].text) == raw:
        return Body("response", "reply", patch, len(raw))
    return Body("response", *compression.compress(raw), len(raw))


def _runs(timeline: Timeline | None) -> Timeline | None:
    """Return a timeline as it is written: with kinds as [kind, how many in a row]."""
    if timeline is None:
        return None
    kinds: list[object] = [[kind, len(list(same))] for kind, same in groupby(timeline.kinds)]
    return Timeline(timeline.arrivals, kinds, timeline.sizes)  # type: ignore[arg-type]
