"""Headers apart and together again: the shared list and each exchange's own values."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.ingest.headers import split
from ccproxy.stores.rebuild import dump, fill, load

NAMES = st.sampled_from(["date", "Request-Id", "content-type", "anthropic-ratelimit-x", "x", "SET-COOKIE"])
HEADERS = st.lists(st.tuples(NAMES | st.text(max_size=8), st.text(max_size=12)), max_size=12)


@settings(deadline=None)
@given(HEADERS)
def test_what_is_split_comes_back(headers: list[tuple[str, str]]) -> None:
    """Template and values give the same list: names as spelled, order, repetitions, empty values."""
    record, template = split("request", headers)
    assert fill(template.text, load(dump(record.values))) == headers
    assert record.template == template.digest


def test_exchanges_share_what_does_not_change() -> None:
    """Two answers that differ in date and id only have one template."""
    first = [("date", "Mon"), ("server", "x"), ("request-id", "req_1"), ("anthropic-ratelimit-tokens-left", "5")]
    second = [("date", "Tue"), ("server", "x"), ("request-id", "req_2"), ("anthropic-ratelimit-tokens-left", "4")]
    one, other = split("response", first), split("response", second)
    assert one[1] == other[1]
    assert one[0].values == ["Mon", "req_1", "5"]
    assert other[0].values == ["Tue", "req_2", "4"]


def test_another_header_is_another_template() -> None:
    """What changes for a reason is not hidden among the values."""
    assert split("request", [("a", "1")])[1] != split("request", [("a", "2")])[1]
