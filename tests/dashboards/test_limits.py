"""What answers say of rate limits, read from their headers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dashboards.data.limits import Limit, limits, read
from dashboards.state import Filters
from tests.dashboards.conftest import NOW, view_of
from tests.support.entries import exchange_id
from tests.support.figures import data_of, said
from tests.support.handmade import answer, asked, main_hint, text, user

KEY = [
    ("Anthropic-RateLimit-Input-Tokens-Limit", "2000"),
    ("anthropic-ratelimit-input-tokens-remaining", "500"),
    ("anthropic-ratelimit-input-tokens-reset", "2025-10-09T09:40:00Z"),
]
SUBSCRIPTION = [
    ("anthropic-ratelimit-unified-status", "allowed"),
    ("anthropic-ratelimit-unified-5h-utilization", "0.25"),
    ("anthropic-ratelimit-unified-5h-status", "allowed_warning"),
    ("anthropic-ratelimit-unified-5h-reset", "1760004000"),
    ("anthropic-ratelimit-unified-7d_opus-utilization", "0.5"),
]


def test_limits_of_a_key_are_read() -> None:
    """A key's limit has what is left of how much, the part that is used, and when it begins anew."""
    anew = datetime(2025, 10, 9, 9, 40, tzinfo=UTC)
    assert read(KEY) == {False: [Limit("input tokens", 0.75, 500, 2000, anew, None)]}


def test_limits_of_a_subscription_are_read() -> None:
    """A subscription's windows have the part that is used, when they begin anew, and the provider's word."""
    anew = datetime(2025, 10, 9, 10, 0, tzinfo=UTC)
    wanted = [
        Limit("5 hours", 0.25, None, None, anew, "allowed_warning"),
        Limit("7 days opus", 0.5, None, None, None, None),
    ]
    assert read(SUBSCRIPTION) == {True: wanted}


@pytest.mark.parametrize("value", ["", "soon", "nan", "1e300", "-", "<b>"])
def test_nonsense_in_a_header_is_not_known(value: str) -> None:
    """What cannot be read is null, and never a failure."""
    headers = [(name, value) for name, _ in [*KEY, *SUBSCRIPTION]]
    for each in (limit for found in read(headers).values() for limit in found):
        assert each.resets_at is None
        assert each.used is None or each.used == each.used  # no NaN


def test_nothing_is_said_where_headers_say_nothing() -> None:
    """Headers of any other kind are no limits."""
    assert read([("content-type", "text/plain"), ("anthropic-ratelimit-requests-reset", "x")]) == {}


def test_the_newest_answer_of_each_kind_is_taken(tmp_path: Path) -> None:
    """A subscription and a key beside each other are both told, each by its newest answer, and the page shows them."""
    hello = [user(text("Hello"))]
    heads = {1: KEY, 2: SUBSCRIPTION, 3: [*KEY[:1], ("anthropic-ratelimit-input-tokens-remaining", "1000")], 4: []}
    exchanges = [
        asked(number, hello, answer(number, text("Hi.")), *main_hint(),
              response_headers=[("content-type", "text/event-stream"), *more])
        for number, more in heads.items()
    ]  # fmt: skip
    with data_of(tmp_path, exchanges) as data:
        found = limits(data, Filters(), NOW)
        assert [(each.exchange_id, each.subscription) for each in found] == [
            (exchange_id(2), True),
            (exchange_id(3), False),
        ]
        assert found[1].limits[0].left == 1000
        view = view_of(data, "?page=latency")
        html = said([view.html("latency_errors.html", rows=[], limits=found, now=NOW)])
    assert "allowed_warning" in html
    assert "5 hours" in html
    assert f"item={exchange_id(2)}" in html
