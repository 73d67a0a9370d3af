"""The grammar of Anthropic's stream, as its strictest client reads it.

Knows which event may follow which, and fails with a sentence. Refuses to know what an answer says.
"""

from __future__ import annotations

import json
from typing import Any

from ccproxy.protocol import sse

Payload = dict[str, Any]

# The delta that may come in a block, by the block's type, and the member of the delta that must be a text.
DELTAS = {
    "text": {"text_delta": "text"},
    "thinking": {"thinking_delta": "thinking", "signature_delta": "signature"},
    "tool_use": {"input_json_delta": "partial_json"},
}
COUNTS = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def payloads(stream: bytes) -> list[Payload]:
    """Return the payloads of a stream, whose framing must be exactly Anthropic's."""
    found = []
    for frame in stream.split(b"\n\n")[:-1]:
        name, data = frame.split(b"\n")
        payload = json.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + payload["type"].encode(), frame
        found.append(payload)
    assert not stream or stream.endswith(b"\n\n")
    decoded = [event for event in sse.Decoder().feed(stream) if isinstance(event, sse.Event)]
    assert [json.loads(event.data) for event in decoded] == found
    return found


def check(stream: bytes) -> list[Payload]:
    """Fail where a whole stream breaks the grammar. Returns its payloads without the pings."""
    events = [payload for payload in payloads(stream) if payload["type"] != "ping"]
    assert events, "nothing was said"
    _check_start(events[0])
    last = events[-1]
    if last["type"] == "error":
        assert set(last) == {"type", "error"}
        assert isinstance(last["error"]["type"], str)
        assert isinstance(last["error"]["message"], str)
        assert last["error"]["message"]
        _check_blocks(events[1:-1], whole=False)
        return events
    assert last == {"type": "message_stop"}
    _check_end(events[-2])
    _check_blocks(events[1:-2], whole=True)
    return events


def _check_start(event: Payload) -> None:
    assert event["type"] == "message_start"
    message = event["message"]
    assert message["type"] == "message"
    assert message["role"] == "assistant"
    assert message["content"] == []
    assert message["stop_reason"] is None
    assert all(type(message["usage"][name]) is int for name in COUNTS)
    assert set(message["usage"]["cache_creation"]) == {"ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"}


def _check_end(event: Payload) -> None:
    assert event["type"] == "message_delta"
    assert event["delta"]["stop_reason"] in {"end_turn", "max_tokens", "tool_use", "refusal"}
    assert event["delta"]["stop_sequence"] is None
    assert all(type(event["usage"][name]) is int and event["usage"][name] >= 0 for name in COUNTS)


def _check_blocks(events: list[Payload], *, whole: bool) -> None:
    """Fail unless blocks come one after the other, each with its own kind of deltas; the last may be open in a broken answer."""
    index, kind, signed = -1, None, False
    ids = set()
    for event in events:
        match event["type"]:
            case "content_block_start":
                assert kind is None, "a block began before the last one ended"
                index += 1
                assert event["index"] == index
                block = event["content_block"]
                kind, signed = block["type"], False
                if kind == "tool_use":
                    assert block["id"]
                    assert block["name"]
                    assert block["input"] == {}
                    assert block["id"] not in ids, "two calls have one id"
                    ids.add(block["id"])
                else:
                    assert block[kind] == ""
            case "content_block_delta":
                assert kind is not None, "a delta came outside of a block"
                assert event["index"] == index
                delta = event["delta"]
                assert delta["type"] in DELTAS[kind], f"a {delta['type']} in a block of type {kind}"
                assert delta[DELTAS[kind][delta["type"]]], "a delta says nothing"
                assert not signed, "a delta came after the signature"
                signed = delta["type"] == "signature_delta"
            case "content_block_stop":
                assert kind is not None, "a stop came outside of a block"
                assert event["index"] == index
                assert signed or kind != "thinking", "thinking ended without a signature"
                kind = None
            case other:
                raise AssertionError(f"{other} stands between the blocks")
    assert kind is None or not whole, "the last block was not stopped"
