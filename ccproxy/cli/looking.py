"""`ccproxy tail`, `show` and `search`: what is in the store, for eyes on a terminal.

Knows how a figure is written. Refuses to compute anything that the store does not say.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click

from ccproxy.errors import StoreError
from ccproxy.settings import Settings
from ccproxy.stores.contract import Record, Store
from ccproxy.stores.sqlite import SqliteStore

POLL_S = 0.1
CONTROL = {code: None for code in range(32) if code not in (9, 10)} | {127: None, **dict.fromkeys(range(128, 160))}
STATE_SIGNS = {"open": "…", "client_left": "left", "interrupted": "died", "failed": "fail"}
COLUMNS = "    time      id            status  model                     agent             in   cached     out   first   total"


def tail(settings: Settings, count_: int, *, follow: bool) -> None:
    """Print the newest exchanges, oldest first, and with `follow` each one that begins or ends from then on."""
    with contextlib.closing(_wait_for_store(settings) if follow else SqliteStore(settings.storage.db_path)) as store:
        rows = store.exchanges(limit=count_)[::-1] if count_ else []
        if not rows and not follow:
            click.echo("nothing is captured yet", err=True)
            return
        click.echo(COLUMNS.lstrip())
        for row in rows:
            click.echo(line(row))
        if follow:
            with contextlib.suppress(KeyboardInterrupt):
                _follow(store, rows)


def _wait_for_store(settings: Settings) -> Store:
    told = False
    while True:
        try:
            return SqliteStore(settings.storage.db_path)
        except StoreError:
            if not told:
                click.echo(f"waiting for the first capture in {settings.storage.db_path}", err=True)
                told = True
            time.sleep(POLL_S * 5)


def _follow(store: Store, rows: Sequence[Record]) -> None:
    """Print what changes. Only exchanges that were running, or are newer than all, can change."""
    shown = {row["id"]: row["state"] for row in rows}
    newest = max(shown, default="")
    while True:
        sys.stdout.flush()
        time.sleep(POLL_S)
        running = [key for key, state in shown.items() if state == "open"]
        since = min([*running, newest]) if shown else None
        for row in reversed(store.exchanges(limit=1000, changed_since=since)):
            if row["id"] in shown and shown[row["id"]] == row["state"]:
                continue
            if row["id"] in shown or row["id"] > newest or not shown:
                click.echo(line(row))
            shown[row["id"]] = row["state"]
            newest = max(newest, row["id"])
        shown = {key: state for key, state in shown.items() if state == "open" or key == newest}


def line(row: Record) -> str:
    """Return one exchange as one line."""
    began = datetime.fromtimestamp(row["started_at"] / 1e6).astimezone()
    status = STATE_SIGNS.get(row["state"]) or str(row["status"] or "-")
    if row["state"] == "complete" and row["api_error"]:
        status += "!"
    agent = row["agent_type"] or row["kind"]
    model = row["response_model"] or row["requested_model"] or f"{row['method']} {row['path']}"
    return clean(
        f"{began:%H:%M:%S}  {row['id'][-12:]}  {status:>6}  {_cut(model, 24):<24}  {_cut(agent, 14):<14}"
        f"  {tokens(_input(row)):>7} {tokens(row['cache_read_tokens']):>8} {tokens(row['output_tokens']):>7}"
        f" {milliseconds(row['first_token_ms'] or row['first_byte_ms']):>7} {milliseconds(row['duration_ms']):>7}"
    )


def _input(row: Record) -> int | None:
    """Return all tokens that went in: uncached, written to the cache and read from it."""
    parts = [row[name] for name in ("input_tokens", "cache_read_tokens", "cache_write_tokens")]
    return sum(part or 0 for part in parts) if any(part is not None for part in parts) else None


def tokens(number: int | None) -> str:
    """Return a number of tokens, short: 950, 12.3k, 1.2M."""
    if number is None:
        return "-"
    if number < 10_000:
        return str(number)
    return f"{number / 1000:.1f}k" if number < 1_000_000 else f"{number / 1e6:.1f}M"


def milliseconds(value: float | None) -> str:
    """Return a time, short: 85ms, 1.24s, 3m07s."""
    if value is None:
        return "-"
    if value < 1000:
        return f"{value:.0f}ms"
    if value < 120_000:
        return f"{value / 1000:.2f}s"
    return f"{int(value // 60_000)}m{int(value % 60_000 // 1000):02d}s"


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def totals(rows: Iterable[Record]) -> str:
    """Return the sums over exchanges, as a phrase."""
    listed = list(rows)
    read = sum(row["cache_read_tokens"] or 0 for row in listed)
    into = sum(_input(row) or 0 for row in listed)
    out = sum(row["output_tokens"] or 0 for row in listed)
    return f"{tokens(into)} tokens in ({tokens(read)} from the cache), {tokens(out)} out"


def show(settings: Settings, exchange_id: str, form: str | None) -> None:
    """Print one exchange: readable, or as the bytes or the JSON that `form` names."""
    with contextlib.closing(SqliteStore(settings.storage.db_path)) as store:
        row = store.exchange(exchange_id)
        if form in ("request", "raw"):
            side = "request" if form == "request" else "response"
            body = store.body(row["id"], side)
            if body is None:
                raise StoreError(f"no {side} body of this exchange was captured")
            sys.stdout.buffer.write(body)
            sys.stdout.buffer.flush()
        elif form == "response":
            click.echo(json.dumps(_reply(store, row), indent=2, ensure_ascii=False))
        elif form == "json":
            click.echo(json.dumps(_everything(store, row), indent=2, ensure_ascii=False))
        else:
            click.echo(clean(_readable(store, row)))


def _reply(store: Store, row: Record) -> Any:
    """Return the message that came back: the body where it is one, else what was built of the stream."""
    if row["reply"]:
        message = json.loads(store.conversation(row["reply"])[-1])
        head = {"id": row["message_id"], "type": "message", "model": row["response_model"]}
        tail_ = {"stop_reason": row["stop_reason"], "stop_sequence": row["stop_sequence"]}
        return {**head, **message, **tail_, "usage": json.loads(row["usage"] or "null")}
    body = store.body(row["id"], "response")
    if body is None:
        raise StoreError("no response body of this exchange was captured")
    try:
        return json.loads(body)
    except ValueError:
        return {"text": body.decode("utf-8", "replace")}


def _everything(store: Store, row: Record) -> Record:
    plain = {name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()}
    request = store.body(row["id"], "request")
    return {
        **plain,
        "usage": json.loads(row["usage"] or "null"),
        "request_headers": store.headers(row["id"], "request"),
        "request": _json_or_text(request),
        "response_headers": store.headers(row["id"], "response"),
        "response": _reply(store, row) if row["reply"] or row["response_bytes"] else None,
    }


def _json_or_text(body: bytes | None) -> Any:
    if body is None:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")


def _readable(store: Store, row: Record) -> str:
    began = datetime.fromtimestamp(row["started_at"] / 1e6).astimezone()
    query = f"?{row['query']}" if row["query"] else ""
    outcome = f"{row['state']} {row['status'] or ''}".strip()
    facts = [
        ("exchange", row["id"]),
        ("time", f"{began:%Y-%m-%d %H:%M:%S.%f} {began.tzname()}"),
        ("request", f"{row['method']} {row['path']}{query}, {row['request_bytes']} bytes"),
        ("outcome", f"{outcome}, {row['response_bytes']} bytes"),
        ("error", row["error"]),
        ("note", row["capture_note"]),
        ("model", row["requested_model"]),
        ("answered by", row["response_model"] if row["response_model"] != row["requested_model"] else None),
        ("kind", f"{row['kind']} (by {row['kind_sign']})"),
        ("session", row["session_id"]),
        ("agent", " ".join(filter(None, [row["agent_type"], row["agent_id"]])) or None),
        ("client", " ".join(filter(None, [row["client"], row["client_version"], row["entrypoint"]])) or None),
        ("tokens", _tokens_phrase(row)),
        ("times", _times_phrase(row)),
        ("stop reason", row["stop_reason"]),
        ("request id", row["request_id"]),
    ]
    lines = [f"{name:>12}  {value}" for name, value in facts if value]
    messages = store.conversation(row["tip"])
    if messages:
        lines += ["", f"--- last of {count(len(messages), 'message')} sent", message_text(messages[-1])]
    if row["reply"]:
        lines += ["", "--- answer", message_text(store.conversation(row["reply"])[-1])]
    return "\n".join(lines)


def _tokens_phrase(row: Record) -> str | None:
    if row["output_tokens"] is None and row["input_tokens"] is None:
        return None
    return (
        f"{tokens(_input(row))} in ({tokens(row['cache_read_tokens'])} from the cache, "
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


def message_text(raw: bytes) -> str:
    """Return a message as text, each content block under its kind."""
    message = json.loads(raw)
    content = message.get("content") if isinstance(message, dict) else message
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
        error = " error" if block.get("is_error") else ""
        return f"[{kind}{error}] {message_text(json.dumps({'content': block['content']}).encode())}"
    return f"[{kind}] {json.dumps({k: v for k, v in block.items() if k != 'type'}, ensure_ascii=False)}"


def search(settings: Settings, words: str, limit: int) -> None:
    """Print the blocks in which all words stand."""
    with contextlib.closing(SqliteStore(settings.storage.db_path)) as store:
        found = store.search(words, limit=limit)
    if not found:
        click.echo(f"nothing captured contains all of: {words}", err=True)
    for hit in found:
        began = datetime.fromtimestamp((hit.started_at or 0) / 1e6).astimezone()
        where = f"{began:%Y-%m-%d %H:%M:%S}  {hit.exchange[-12:]}" if hit.exchange else "-"
        kind = " ".join(filter(None, [hit.role, hit.type, hit.tool_name]))
        click.echo(clean(f"{where}  {kind}: {' '.join(hit.snippet.split())}"))


def clean(text: str) -> str:
    """Return text without control characters: what was captured must not speak to the terminal."""
    return text.translate(CONTROL)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
