"""The log line of a failed forward."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ccproxy.web.failure import failure_fields, failure_line
from ccproxy.wire import RequestHead
from tests.support.proxy import Proxy, client, request

KEYS = ["request_id", "model", "stream", "body_bytes", "has_thinking", "anthropic_beta", "query", "elapsed", "ctx_err"]


def test_the_line_has_all_nine_fields() -> None:
    """Each field is one `key=value`, quoted where a value is not one word; secrets in the query are masked."""
    head = RequestHead("POST", b"/v1/messages", b"beta=true&api_key=secret", [(b"anthropic-beta", b"one, two")])
    body = b'{"model":"claude-opus-4-8","stream":true,"thinking":{"type":"adaptive"},"messages":[]}'
    line = failure_line(failure_fields("id-1", head, body, 1.23456, "connect"))
    assert re.findall(r"(\w+)=", re.sub(r"query=\S+", "query=", line)) == KEYS
    assert "model=claude-opus-4-8 stream=true body_bytes=86 has_thinking=true" in line
    assert 'anthropic_beta="one, two"' in line
    assert "elapsed=1.235s ctx_err=connect" in line
    assert "secret" not in line


def test_a_body_that_says_nothing_gives_dashes() -> None:
    """Garbage has no model and no flags, and a line all the same; nothing in it can begin a second one."""
    line = failure_line(failure_fields("id-2", RequestHead("GET", b"/v1/models", b"", []), b"\xff", 0, "connect"))
    assert "model=- stream=false body_bytes=1 has_thinking=false anthropic_beta=- query=-" in line
    nasty = failure_line(
        failure_fields("id-3", RequestHead("POST", b"/", b"", []), json.dumps({"model": "a\nb c"}).encode(), 0, "x")
    )
    assert "\n" not in nasty
    assert 'model="a\\nb c"' in nasty


async def test_a_failed_forward_leaves_one_line(tmp_path: Path) -> None:
    """The log has exactly one such line for a failed forward, with the id under which `show` finds the exchange."""
    async with Proxy("http://127.0.0.1:9", tmp_path) as proxy, client() as http:
        await http.post(f"{proxy.url}/v1/messages?beta=true", json=request())
        (row,) = await proxy.ended()
        await proxy.stop()
        lines = [line for line in proxy.said().splitlines() if "forward failed" in line]
        assert len(lines) == 1
        assert f"request_id={row['id']} model=claude-opus-4-8" in lines[0]
        assert "query=beta=true" in lines[0]
