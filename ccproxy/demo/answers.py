"""What stands around an answer of the API: its ids, its headers, its limits, its errors.

A client with a key is told of requests and tokens per minute, one with a subscription of the windows of 5 hours and 7 days. Refuses
to know how an answer is sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from ccproxy.demo.caching import Counted
from ccproxy.demo.chance import Chance
from ccproxy.demo.replies import Refused, Spoken
from ccproxy.demo.week import SECOND, utc

Headers = list[tuple[str, str]]

WINDOW_S = 5 * 3600
WEEK_S = 7 * 24 * 3600
ALLOWANCE = 420_000.0  # weighted tokens in a window
ALLOWANCE_WEEK = 2_400_000.0
LIMITS = {"requests": 4000, "input-tokens": 2_000_000, "output-tokens": 400_000}  # a minute, for a key
FULL_NAMES = {"claude-haiku-4-5": "claude-haiku-4-5-20251001"}
_REASONS = {200: "OK", 400: "Bad Request", 429: "Too Many Requests", 529: "Overloaded"}


@dataclass(slots=True)
class _Window:
    """A stretch of time in which only so much may be used."""

    seconds: int
    allowance: float
    began: int = 0
    used: float = 0.0

    def use(self, amount: float, at: int) -> None:
        """Count what was used."""
        if at >= self.resets:
            self.began, self.used = at - at % (3600 * SECOND), 0.0
        self.used += amount

    @property
    def resets(self) -> int:
        """When it begins anew."""
        return self.began + self.seconds * SECOND

    @property
    def share(self) -> float:
        """How much of it is used."""
        return min(0.99, self.used / self.allowance)


@dataclass(slots=True)
class Answers:
    """Makes the surroundings of one answer after the other. `request_id` is that of the newest."""

    chance: Chance
    request_id: str = ""
    _windows: tuple[_Window, _Window] = field(
        default_factory=lambda: (_Window(WINDOW_S, ALLOWANCE), _Window(WEEK_S, ALLOWANCE_WEEK))
    )

    def message(
        self, spoken: Spoken, model: str, counted: Counted, output: int, thought: int, at: int
    ) -> dict[str, Any]:
        """Return the message as the API gives it to a request that does not stream."""
        calls = any(block["type"] == "tool_use" for block in spoken.blocks)
        stop = spoken.stop_reason or ("tool_use" if calls else "end_turn")
        for window in self._windows:
            window.use(counted.input + 0.1 * counted.read + 1.25 * counted.written + 5 * output, at)
        return {
            "model": FULL_NAMES.get(model, model),
            "id": f"msg_01{self.chance.letters(22)}",
            "type": "message",
            "role": "assistant",
            "content": list(spoken.blocks),
            "stop_reason": stop,
            "stop_sequence": "</block>" if stop == "stop_sequence" else None,
            "usage": {
                "input_tokens": counted.input,
                "cache_creation_input_tokens": counted.written,
                "cache_read_input_tokens": counted.read,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": counted.written_5m,
                    "ephemeral_1h_input_tokens": counted.written_1h,
                },
                "output_tokens": output,
                "output_tokens_details": {"thinking_tokens": thought},
                "service_tier": "standard",
            },
        }

    def error(self, refused: Refused, asked: dict[str, str], at: int) -> tuple[Headers, bytes]:
        """Return headers and body of an error."""
        headers = [*self._headers("application/json", asked, at), *refused.headers]
        error = {"type": refused.error, "message": refused.sentence}
        body = {"type": "error", "error": error, "request_id": self.request_id}
        return headers, json.dumps(body, separators=(",", ":")).encode()

    def stream(self, asked: dict[str, str], at: int) -> Headers:
        """Return the headers of a stream."""
        return [*self._headers("text/event-stream; charset=utf-8", asked, at), ("cache-control", "no-cache")]

    def plain(self, asked: dict[str, str], at: int) -> Headers:
        """Return the headers of a JSON answer."""
        return self._headers("application/json", asked, at)

    def _headers(self, kind: str, asked: dict[str, str], at: int) -> Headers:
        self.request_id = f"req_011C{self.chance.letters(20)}"
        return [
            ("date", utc(at).strftime("%a, %d %b %Y %H:%M:%S GMT")),
            ("content-type", kind),
            ("request-id", self.request_id),
            *(self._key_limits(at) if "x-api-key" in asked else self._unified(at)),
            ("anthropic-organization-id", "00000000-1111-4222-8333-444444444444"),
            ("x-envoy-upstream-service-time", str(round(self.chance.between(60, 900)))),
            ("server", "cloudflare"),
            ("cf-ray", f"{self.chance.hex(16)}-FRA"),
        ]

    def _key_limits(self, at: int) -> Headers:
        found: Headers = []
        for name, limit in LIMITS.items():
            left = round(limit * self.chance.between(0.82, 0.99))
            found += [
                (f"anthropic-ratelimit-{name}-limit", str(limit)),
                (f"anthropic-ratelimit-{name}-remaining", str(left)),
                (f"anthropic-ratelimit-{name}-reset", utc(at + SECOND).strftime("%Y-%m-%dT%H:%M:%SZ")),
            ]
        return found

    def _unified(self, at: int) -> Headers:
        short, long = self._windows
        for window in self._windows:
            window.use(0, at)
        return [
            ("anthropic-ratelimit-unified-status", "allowed_warning" if short.share > 0.75 else "allowed"),
            *self._window("5h", short),
            *self._window("7d", long),
            ("anthropic-ratelimit-unified-representative-claim", "five_hour"),
            ("anthropic-ratelimit-unified-fallback-percentage", "0.5"),
            ("anthropic-ratelimit-unified-reset", str(short.resets // SECOND)),
            ("anthropic-ratelimit-unified-overage-status", "rejected"),
        ]

    def _window(self, name: str, window: _Window) -> Headers:
        return [
            (f"anthropic-ratelimit-unified-{name}-status", "allowed_warning" if window.share > 0.75 else "allowed"),
            (f"anthropic-ratelimit-unified-{name}-reset", str(window.resets // SECOND)),
            (f"anthropic-ratelimit-unified-{name}-utilization", f"{window.share:.2f}"),
        ]


def head(status: int, headers: Headers, length: int | None) -> bytes:
    """Return the status line and the header lines of an answer; without a length the body comes in chunks."""
    framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}", *(f"{name}: {value}" for name, value in headers), framing]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
