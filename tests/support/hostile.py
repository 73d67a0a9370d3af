"""Captures in which every place where text can stand holds markup, scripts and addresses that would run if they got the chance.

`window.xss` is what each of them would set. Refuses to know which page shows which place.
"""

from __future__ import annotations

import json
from typing import Any

from ccproxy.records import Captured
from ccproxy.stores.sqlite import SqliteStore
from tests.support.entries import captured
from tests.support.talks import JSON_ANSWER, came, everything, talk, text, use

RUNS = "window.xss=1"
MARKUP = (
    f"<script>{RUNS}</script><img src=x onerror={RUNS}>\"'><svg onload={RUNS}></script></style></textarea></title></pre>"
    f"<iframe src=javascript:{RUNS}><a href='javascript:{RUNS}'>a</a>{{{{7*7}}}}{{% raw %}}"
)
EVIL = f"{MARKUP}\u202e\u2066 &lt;b&gt; \\u003cscript\\u003e ]]>\u2028"
SESSION = f"5e55<script>{RUNS}</script>\"'><img src=x onerror={RUNS}>"
OTHER = f"0the<img src=x onerror={RUNS}>"
AGENT = f"a1\"'><img src=x onerror={RUNS}>"
MODEL = f"claude-<img src=x onerror={RUNS}>"


def evil(word: str) -> str:
    """Return a text with everything in it."""
    return word + EVIL


def exchanges() -> list[Captured]:
    """Return a session with every tool and block, one whose title, error and compaction are hostile, and an agent of its own."""
    whole = talk(
        everything(evil), SESSION, model=MODEL, system=f"You are Claude Code. Working directory: /home/{MARKUP}/me",
        tools=[{"name": evil("tool"), "description": evil("about"), "input_schema": {evil("key"): evil("value")}}],
    )  # fmt: skip
    spawn = [use(500, "Agent", {"subagent_type": evil("kind"), "description": evil("about"), "prompt": "p"})]
    turns = [([text(evil("first"))], spawn), ([came(500, f"done\nagentId: a1\n{EVIL}")], [text(evil("end"))])]
    other = talk(turns, OTHER, first=100)
    agent = talk(
        [([text("p")], [text(evil("report"))])], OTHER, first=110, headers=[
            ("x-claude-code-request-class", "subagent"), ("x-claude-code-agent-id", AGENT), ("x-claude-code-agent-type", MARKUP),
        ],
    )  # fmt: skip
    lean = talk(
        [([text("hi")], [text("ho")])],
        OTHER,
        first=120,
        headers=[("x-claude-code-compaction", MARKUP), ("x-app", MARKUP)],
    )
    return [*whole, *other, *agent, *lean, _refused(130), _titled(131)]


def _ask(number: int, body: dict[str, Any], answer: dict[str, Any], status: int = 200) -> Captured:
    headers = [
        ("content-type", "application/json"), ("user-agent", f"claude-cli/{MARKUP}"), ("x-claude-code-session-id", OTHER),
    ]  # fmt: skip
    return captured(
        number, json.dumps(body).encode(), [json.dumps(answer).encode()], query=f"beta={RUNS}", request_headers=headers,
        response_headers=[*JSON_ANSWER, ("request-id", MARKUP)], status=status,
    )  # fmt: skip


def _refused(number: int) -> Captured:
    """Return an exchange that was answered with an error."""
    error = {"type": "error", "error": {"type": evil("kind"), "message": evil("message")}}
    body = {
        "model": MODEL,
        "max_tokens": 10,
        "messages": [{"role": "user", "content": evil("again")}, {"role": evil("role"), "content": evil("odd")}],
    }
    return _ask(number, body, error, status=400)


def _titled(number: int) -> Captured:
    """Return the exchange in which the model names the session."""
    schema = {"type": "json_schema", "schema": {"properties": {"title": {}}}}
    body = {
        "model": MODEL, "max_tokens": 10, "system": [text("You are naming a coding session.")], "tools": [],
        "output_config": {"format": schema}, "messages": [{"role": "user", "content": "name it"}],
    }  # fmt: skip
    answer = {
        "id": "msg_t", "type": "message", "role": "assistant", "model": MODEL, "stop_reason": "end_turn", "stop_sequence": None,
        "content": [text(json.dumps({"title": evil("title")}))], "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip
    return _ask(number, body, answer)


def reroute(store: SqliteStore) -> None:
    """Have every exchange be routed, by whoever and to wherever is hostile; the request that went up is hostile, too."""
    columns = {
        "provider": evil("provider"), "endpoint": evil("endpoint"), "routed_model": evil("routed"), "agent_name": evil("agent"),
        "agent_sign": evil("sign"), "losses": json.dumps([evil("loss")]),
    }  # fmt: skip
    store.db.execute(f"UPDATE exchanges SET {', '.join(f'{name} = ?' for name in columns)}", list(columns.values()))
    sent = json.dumps({"model": evil("sent")}).encode()
    store.db.execute("INSERT INTO bodies SELECT id, 'sent', 'raw', ?, ? FROM exchanges", (sent, len(sent)))
