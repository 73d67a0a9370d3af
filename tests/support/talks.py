"""Sessions in which anything may be said: turns of blocks, every tool with its result, every kind of block, in a store.

Answers come as one message, not as a stream, so that blocks pass as they are. Refuses to know how they are shown.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from ccproxy.records import Captured
from tests.support.entries import captured

Json = dict[str, Any]
MODEL = "claude-opus-5-5"
JSON_ANSWER = (("content-type", "application/json"),)
USAGE = {"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}


def text(words: str) -> Json:
    """Return a text block."""
    return {"type": "text", "text": words}


def use(number: int, name: str, given: Any, kind: str = "tool_use") -> Json:
    """Return a tool call."""
    return {"type": kind, "id": f"toolu_t{number}", "name": name, "input": given}


def came(number: int, content: Any, kind: str = "tool_result", **more: Any) -> Json:
    """Return a tool's result."""
    return {"type": kind, "tool_use_id": f"toolu_t{number}", "content": content, **more}


def png() -> str:
    """Return a whole image of one pixel, in base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\0\x1f\x5f\xbf"))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")).decode()


def image(data: str, media: str = "image/png") -> Json:
    """Return an image in base64."""
    return {"type": "image", "source": {"type": "base64", "media_type": media, "data": data}}


def _reminder(words: str) -> Json:
    return text(f"<system-reminder>\n{words}\n</system-reminder>")


def talk(
    turns: Sequence[tuple[list[Json], list[Json]]],
    session: str,
    *,
    first: int = 1,
    model: str = MODEL,
    headers: Sequence[tuple[str, str]] = (),
    system: str = "You are Claude Code. Working directory: /home/me/importer",
    tools: Sequence[Json] = (),
    kept: bool = True,
    usage: Json = USAGE,
) -> list[Captured]:
    """Return the exchanges of a session, a minute apart: in each the user says blocks, and the model answers with blocks.

    Where the history is not `kept`, each request holds the last user message alone."""
    history: list[Json] = []
    found = []
    for number, (asked, answered) in enumerate(turns, start=first):
        history = [*(history if kept else []), {"role": "user", "content": asked}]
        body = {
            "model": model, "max_tokens": 1000, "system": [text(system)], "messages": history, "tools": list(tools), "stream": False,
        }  # fmt: skip
        answer = {
            "id": f"msg_{number}", "type": "message", "role": "assistant", "model": model, "content": answered, "usage": usage,
            "stop_reason": "tool_use" if any(block["type"] == "tool_use" for block in answered) else "end_turn", "stop_sequence": None,
        }  # fmt: skip
        found.append(
            captured(
                number, json.dumps(body).encode(), [json.dumps(answer).encode()], query="beta=true",
                request_headers=[
                    ("content-type", "application/json"), ("user-agent", "claude-cli/2.1.330 (external, cli)"),
                    ("x-claude-code-session-id", session), ("x-claude-code-request-class", "main"), *headers,
                ],
                response_headers=JSON_ANSWER,
            )
        )  # fmt: skip
        history = [*history, {"role": "assistant", "content": answered}]
    return found


def everything(say: Any = str) -> list[tuple[list[Json], list[Json]]]:
    """Return turns with every tool and every kind of block. `say` makes each text of it, from a word that says where it stands."""
    s = say
    calls: list[tuple[str, Any, Any, Json]] = [
        ("Bash", {"command": s("command"), "description": s("about")}, s("output"), {}),
        ("Bash", {"command": s("failing")}, f"Exit code 2\n{s('trouble')}", {"is_error": True}),
        ("Edit", {"file_path": s("path"), "old_string": f"a\n{s('old')}\nz", "new_string": f"a\n{s('new')}\nz"}, s("edited"), {}),
        ("Edit", {"file_path": s("path"), "old_string": s("deleted"), "new_string": ""}, s("edited"), {}),
        (
            "MultiEdit",
            {"file_path": s("path"), "edits": [{"old_string": s("one"), "new_string": s("two")}, {"old_string": "b"}]},
            s("edited"), {},
        ),
        ("Write", {"file_path": s("path.py"), "content": s("content")}, s("written"), {}),
        ("Read", {"file_path": s("path.py"), "offset": 3, "limit": 2}, f"     3\t{s('third')}\n     4\t{s('fourth')}", {}),
        ("Read", {"file_path": s("shot.png")}, [image(png())], {}),
        ("Grep", {"pattern": s("pattern"), "path": s("path"), "output_mode": "content", s("option"): s("value")}, s("found"), {}),
        ("Glob", {"pattern": s("glob")}, s("found"), {}),
        ("LS", {"path": s("folder")}, s("listed"), {}),
        (
            "TodoWrite",
            {"todos": [{"content": s("first"), "status": "completed"}, {"content": s("second"), "status": "pending", "priority": s("high")},
                       {"content": s("third"), "status": s("status"), "id": s("id")}]},
            s("kept"), {},
        ),
        ("TaskCreate", {"subject": s("subject"), "description": s("description")}, s("made"), {}),
        ("TaskList", {}, f"#1 [completed] {s('task')}\n#2 [pending] {s('other')}", {}),
        ("Agent", {"subagent_type": s("kind"), "description": s("about"), "prompt": s("prompt")}, s("report"), {}),
        ("WebFetch", {"url": s("https://example.com"), "prompt": s("prompt")}, s("page"), {}),
        ("WebSearch", {"query": s("query")}, s("hits"), {}),
        ("NotebookEdit", {"notebook_path": s("n"), "new_source": s("source"), "cell_type": s("code"), "cell_id": s("id")}, s("edited"), {}),
        ("ExitPlanMode", {"plan": s("plan")}, s("approved"), {}),
        ("mcp__" + s("server") + "__" + s("tool"), {s("key"): s("value"), "deep": {s("inner"): [s("item")]}}, [text(s("answer"))], {}),
        (s("Unheard"), {s("key"): s("value")}, [{"type": s("odd"), s("key"): s("value")}, _reminder(s("reminder"))], {}),
        ("Bash", s("not an object"), None, {}),
        ("Edit", {"file_path": [s("list")], "edits": s("text")}, {"type": "text", "text": s("object")}, {}),
        ("TodoWrite", {"todos": [s("text"), {"content": None}, None]}, 7, {}),
    ]  # fmt: skip
    asked = [text(s("said")), _reminder(s("reminder")), image(png()), image("AAAA"), image(s("data"), s("media")),
             {"type": "image", "source": {"type": "url", "url": s("https://example.com/x.png")}},
             {"type": "document", "title": s("title"), "source": {"type": "text", "media_type": s("media"), "data": s("paper")}},
             {"type": "document", "source": {"type": "url", "url": s("https://example.com/x.pdf")}},
             {"type": s("unheard of"), s("key"): s("value")}]  # fmt: skip
    thought = [
        {"type": "thinking", "thinking": s("thinking"), "signature": s("signature")},
        {"type": "redacted_thinking", "data": s("redacted")},
        text(f"{s('answer')}\n\n```{s('py')}\n{s('fenced')}\n```\n`{s('inline')}` **{s('strong')}**\n# {s('heading')}\n| {s('table')} |"),
        {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": s("query")}},
        {"type": "web_search_tool_result", "tool_use_id": "srv_1",
         "content": [{"type": "web_search_result", "title": s("title"), "url": s("javascript:alert(1)"), "page_age": s("age")}]},
        {"type": "server_tool_use", "id": "srv_2", "name": "code_execution", "input": {"code": s("code")}},
        {"type": "code_execution_tool_result", "tool_use_id": "srv_2",
         "content": {"type": "code_execution_result", "stdout": s("stdout"), "stderr": s("stderr"), "return_code": 1, "content": []}},
    ]  # fmt: skip
    numbered = list(enumerate(calls, start=1))
    called = [use(number, name, given) for number, (name, given, _, _) in numbered]
    results = [came(number, content, **more) for number, (_, _, content, more) in numbered]
    return [(asked, [*thought, *called]), ([*results, came(99, s("orphan")), text(s("next"))], [text(s("end"))])]
