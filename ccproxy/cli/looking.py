"""`ccproxy show` and `search`: what is in the store, for eyes on a terminal and for pipes.

Refuses to compute anything that the store does not say.
"""

from __future__ import annotations

import contextlib
import json
from datetime import datetime
from typing import Any

import click

from ccproxy.cli.tailing import tokens_in
from ccproxy.cli.terminal import clean, clean_line, count, json_text, milliseconds, tokens, write_bytes
from ccproxy.errors import StoreError
from ccproxy.ingest.encodings import ContentDecoder
from ccproxy.settings import Settings
from ccproxy.stores import choosing
from ccproxy.stores.contract import Record, Store
from ccproxy.stores.routes import is_routed, losses

_SIDES = {"request": "request", "sent": "sent", "raw": "response"}
_NONE = {
    "request": "this exchange has no request body on record",
    "sent": "this request was not translated: it went up as the client sent it, but for the model's name where it was routed",
    "raw": "this exchange has no response body on record",
}
_SIGNS = {
    "spawn": "the call that started it",
    "definition": "its definition file",
    "hint_header": "a header of the client",
    "system_prompt": "its system prompt",
}


def show(settings: Settings, exchange_id: str, form: str | None) -> None:
    """Print one exchange: readable, or as the bytes or the JSON that `form` names."""
    with contextlib.closing(choosing.open_store(settings.storage)) as store:
        row = store.exchange(exchange_id)
        if form in _SIDES:
            body = store.body(row["id"], _SIDES[form])
            if body is None:
                raise StoreError(_NONE[form])
            write_bytes(body)
        elif form == "response":
            reply = _reply(store, row)
            if reply is None:
                raise StoreError("this exchange has no answer on record")
            click.echo(json_text(reply))
        elif form == "json":
            click.echo(json_text(_everything(store, row)))
        else:
            click.echo(clean(_readable(store, row)))


def _reply(store: Store, row: Record) -> Any:
    """Return the message that came back, as built of its stream, or whatever else came back; None where nothing did."""
    if not row["reply"]:
        return _body(store, row, "response")
    message = json.loads(store.conversation(row["reply"])[-1])
    head = {"id": row["message_id"], "type": "message", "model": row["response_model"]}
    stop = {"stop_reason": row["stop_reason"], "stop_sequence": row["stop_sequence"]}
    return {**head, **message, **stop, "usage": json.loads(row["usage"] or "null")}


def _body(store: Store, row: Record, side: str) -> Any:
    """Return a body as the JSON value that it is, else as text; None where there is none."""
    body = store.body(row["id"], side)
    if body is None:
        return None
    encodings = [value for name, value in store.headers(row["id"], side) or [] if name.lower() == "content-encoding"]
    decoder = ContentDecoder(",".join(encodings))
    plain = decoder.feed(body)
    body = body if decoder.problem else plain
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")


def _everything(store: Store, row: Record) -> Record:
    plain = {name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()}
    return {
        **plain,
        "usage": json.loads(row["usage"] or "null"),
        "attempts": json.loads(row.get("attempts") or "[]"),
        "losses": losses(row),
        "request_headers": store.headers(row["id"], "request"),
        "request": _body(store, row, "request"),
        "sent": _body(store, row, "sent"),
        "response_headers": store.headers(row["id"], "response"),
        "response": _reply(store, row),
    }


def _readable(store: Store, row: Record) -> str:
    began = datetime.fromtimestamp(row["started_at"] / 1e6).astimezone()
    query = f"?{row['query']}" if row["query"] else ""
    outcome = f"{row['state']} {row['status'] or ''}".strip()
    facts = [
        ("exchange", row["id"]),
        ("time", f"{began:%Y-%m-%d %H:%M:%S.%f} {began.tzname()}"),
        ("request", f"{row['method']} {row['path']}{query}, {count(row['request_bytes'], 'byte')}"),
        ("outcome", f"{outcome}, {count(row['response_bytes'], 'byte')}"),
        ("error", row["error"]),
        ("before", _attempts_phrase(row)),
        ("demoted", "a stream was asked for in the place of one message" if row.get("demoted") else None),
        ("note", row["capture_note"]),
        ("model", row["requested_model"]),
        ("routed to", _route_phrase(row)),
        *(("lost", loss) for loss in losses(row)),
        ("answered by", row["response_model"] if row["response_model"] != row["requested_model"] else None),
        ("kind", f"{row['kind']} (by {row['kind_sign']})"),
        ("session", row["session_id"]),
        ("agent", _agent_phrase(row)),
        ("client", " ".join(filter(None, [row["client"], row["client_version"], row["entrypoint"]])) or None),
        ("tokens", _tokens_phrase(row)),
        ("times", _times_phrase(row)),
        ("stop reason", row["stop_reason"]),
        ("request id", row["request_id"]),
    ]
    lines = [f"{name:>12}  {clean_line(value)}" for name, value in facts if value]
    messages = store.conversation(row["tip"])
    if messages:
        lines += ["", f"--- last of {count(len(messages), 'message')} sent", _message_text(messages[-1])]
    if row["reply"]:
        lines += ["", "--- answer", _message_text(store.conversation(row["reply"])[-1])]
    return "\n".join(lines)


def _route_phrase(row: Record) -> str | None:
    """Say where a routed request went."""
    if not is_routed(row):
        return None
    return ", ".join(filter(None, [f"{row['routed_model']} at {row['provider']}", row.get("endpoint")]))


def _agent_phrase(row: Record) -> str | None:
    """Say which agent asked, and what gave it away."""
    name, sign = row.get("agent_name"), row.get("agent_sign")
    known = f"{name} (by {_SIGNS.get(sign, sign)})" if name and sign else name
    others = [each for each in (row["agent_type"], row["agent_id"]) if each != name]
    return " ".join(filter(None, [known, *others])) or None


def _attempts_phrase(row: Record) -> str | None:
    """Say what was tried in vain before."""
    attempts = json.loads(row.get("attempts") or "[]")
    causes = [str(one["status"] or one["error"] or one["kind"]) for one in attempts]
    return f"{count(len(attempts), 'attempt')} in vain: {', '.join(dict.fromkeys(causes))}" if attempts else None


def _tokens_phrase(row: Record) -> str | None:
    if row["output_tokens"] is None and row["input_tokens"] is None:
        return None
    return (
        f"{tokens(tokens_in(row))} in ({tokens(row['cache_read_tokens'])} from the cache, "
        f"{tokens(row['cache_write_tokens'])} written to it), {tokens(row['output_tokens'])} out"
    )


def _times_phrase(row: Record) -> str | None:
    if row["duration_ms"] is None:
        return None
    phrase = f"first byte {milliseconds(row['first_byte_ms'])}, first token {milliseconds(row['first_token_ms'])}"
    phrase += f", total {milliseconds(row['duration_ms'])}"
    if row["gap_max_ms"] is not None:
        phrase += f"; longest gap {milliseconds(row['gap_max_ms'])}"
    if row["tokens_per_second"] is not None:
        phrase += f"; {row['tokens_per_second']:.0f} tokens/s"
    return phrase


def _message_text(raw: bytes) -> str:
    """Return a message as text, each content block under its kind."""
    message = json.loads(raw)
    return _content_text(message.get("content") if isinstance(message, dict) else message)


def _content_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return json.dumps(content, ensure_ascii=False)
    return "\n".join(_block_text(block) for block in content)


def _block_text(block: Any) -> str:
    if not isinstance(block, dict):
        return str(block)
    kind = block.get("type")
    if kind == "text":
        return str(block.get("text", ""))
    if kind == "thinking":
        return f"[thinking] {block.get('thinking', '')}"
    if "input" in block:
        return f"[{kind} {block.get('name', '')}] {json.dumps(block['input'], ensure_ascii=False)}"
    if "content" in block:
        return f"[{kind}{' error' if block.get('is_error') else ''}] {_content_text(block['content'])}"
    return f"[{kind}] {json.dumps({k: v for k, v in block.items() if k != 'type'}, ensure_ascii=False)}"


def search(settings: Settings, words: str, limit: int) -> None:
    """Print the blocks in which all words stand, best first, one line each."""
    with contextlib.closing(choosing.open_store(settings.storage)) as store:
        found = store.search(words.encode("utf-8", "replace").decode(), limit=limit)
    if not found:
        click.echo(f"nothing captured contains all of: {clean_line(words)}", err=True)
    for hit in found:
        began = datetime.fromtimestamp((hit.started_at or 0) / 1e6).astimezone()
        where = f"{began:%Y-%m-%d %H:%M:%S}  {hit.exchange[-12:]}" if hit.exchange else "-"
        kind = " ".join(filter(None, [hit.role, hit.type, hit.tool_name]))
        click.echo(f"{where}  {clean_line(kind)}: {clean_line(hit.snippet)}")
