"""When a request goes up once more."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccproxy.web.retrying import Retries, retry_after
from ccproxy.wire import ResponseHead
from tests.support.proxy import Proxy, client, request
from tests.support.standin import Answer, StandIn, error_answer, json_answer


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], None),
        ([(b"Retry-After", b"3")], 3.0),
        ([(b"retry-after", b" 0.5 ")], 0.5),
        ([(b"retry-after-ms", b"250"), (b"retry-after", b"9")], 0.25),
        ([(b"retry-after", b"Thu, 01 Jan 1970 00:01:40 GMT")], 90.0),
        ([(b"retry-after", b"Thu, 01 Jan 1970 00:00:01 GMT")], 0.0),
        ([(b"retry-after", b"soon")], None),
        ([(b"retry-after", b"-1")], None),
        ([(b"retry-after", b"inf")], None),
        ([(b"retry-after", b"")], None),
    ],
)
def test_how_long_a_provider_asks_to_wait(headers: list[tuple[bytes, bytes]], seconds: float | None) -> None:
    """Seconds, milliseconds and dates are understood; nonsense asks for nothing."""
    assert retry_after(headers, now=10.0) == seconds


def test_what_was_sent_is_not_sent_again_by_itself() -> None:
    """Only where no connection came about is there a next attempt, at most as often as allowed, after growing waits."""
    rules = Retries(3)
    waits = [rules.after_failure("connect", tried) for tried in (1, 2, 3, 4)]
    assert waits == [0.2, 0.4, 0.8, None]
    for kind in ("no_answer", "response_header_timeout", "broken_stream", "idle_timeout", "bad_answer", "proxy"):
        assert rules.after_failure(kind, 1) is None
    assert Retries(0).after_failure("connect", 1) is None
    assert rules.after_answer(ResponseHead(529, []), 1, 0.0) is None


def test_named_statuses_are_tried_again_unless_the_provider_says_no() -> None:
    """A status of the list is retried after what `retry-after` asks for; never against `x-should-retry`, nor after an hour."""
    rules = Retries(2, frozenset({429, 529}))
    assert rules.after_answer(ResponseHead(529, []), 1, 0.0) == 0.2
    assert rules.after_answer(ResponseHead(429, [(b"retry-after", b"7")]), 2, 0.0) == 7.0
    assert rules.after_answer(ResponseHead(429, [(b"retry-after", b"3600")]), 1, 0.0) is None
    assert rules.after_answer(ResponseHead(529, [(b"x-should-retry", b"false")]), 1, 0.0) is None
    assert rules.after_answer(ResponseHead(500, []), 1, 0.0) is None
    assert rules.after_answer(ResponseHead(529, []), 3, 0.0) is None


async def test_a_provider_that_is_down_is_tried_again_and_each_attempt_is_on_record(tmp_path: Path) -> None:
    """Three more attempts by default, each on the exchange's row with its cause; then 502."""
    async with Proxy("http://127.0.0.1:9", tmp_path) as proxy, client() as http:
        got = await http.post(f"{proxy.url}/v1/messages", json=request())
        assert got.status_code == 502
        (row,) = await proxy.ended()
        attempts = proxy.attempts(row)
        assert [one["kind"] for one in attempts] == ["connect"] * 3
        assert [one["wait_ms"] for one in attempts] == [200, 400, 800]
        assert all("cannot connect to 127.0.0.1:9" in one["error"] for one in attempts)
        assert (row["state"], row["error_kind"], row["duration_ms"] > 1400) == ("failed", "connect", True)


async def test_named_statuses_reach_the_provider_again_and_the_client_sees_the_last_answer(tmp_path: Path) -> None:
    """The same bytes go up again, after the time that was asked for; the client sees one answer, the store all attempts."""
    busy = error_answer(529, "overloaded_error", "busy", headers=(("retry-after-ms", "20"),))
    answers: list[Answer] = [busy, busy, json_answer({"ok": True})]
    environ = {"ANTHROPIC_RETRY_STATUSES": "429,529"}
    async with StandIn(answers) as up, Proxy(up.url, tmp_path, environ=environ) as proxy, client() as http:
        got = await http.post(f"{proxy.url}/v1/messages", json=request(stream=False))
        assert got.json() == {"ok": True}
        (row,) = await proxy.ended()
        assert [(one["kind"], one["status"], one["wait_ms"]) for one in proxy.attempts(row)] == [
            ("status", 529, 20)
        ] * 2
        assert (row["state"], row["status"]) == ("complete", 200)
        assert len({one.body for one in up.requests}) == 1
        assert len(up.requests) == 3


async def test_errors_are_passed_on_at_once_by_default(tmp_path: Path) -> None:
    """429, 500 and 529 go to the client as they are, which repeats them by itself; retries can be turned off altogether."""
    async with client() as http:
        errors = [error_answer(status, "api_error", "no") for status in (429, 500, 529)]
        async with StandIn(errors) as up, Proxy(up.url, tmp_path / "a") as proxy:
            for status in (429, 500, 529):
                assert (await http.post(f"{proxy.url}/v1/messages", json=request())).status_code == status
            assert [row["attempts"] for row in await proxy.ended(3)] == [None] * 3
        async with Proxy("http://127.0.0.1:9", tmp_path / "b", environ={"ANTHROPIC_MAX_RETRIES": "0"}) as proxy:
            assert (await http.post(f"{proxy.url}/v1/messages", json=request())).status_code == 502
            assert (await proxy.ended())[0]["attempts"] is None
