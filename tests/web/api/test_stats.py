"""`GET /api/stats`: counts and tokens by day and model, and what the store holds."""

from __future__ import annotations

from tests.support.api import Api, exchange, user
from tests.support.entries import captured


async def test_nothing_captured_yet(api: Api) -> None:
    """Before the first capture every figure is empty, and that is no error."""
    assert await api.json("/api/stats") == {"exchanges": {}, "usage": [], "store": None}


async def test_tokens_by_day_and_model(api: Api) -> None:
    """All kinds of tokens are added up for each model and day, newest day first; states are counted."""
    await api.fill([
        exchange(1, [user("x")]), exchange(2, [user("x")]), exchange(3, [user("x")], None),
        exchange(2000, [user("x")], status=500), captured(2001, b"", method="GET", path="/v1/models"),
    ])  # fmt: skip
    found = await api.json("/api/stats")
    assert found["exchanges"] == {"complete": 3, "open": 2}
    rows = [(row["day"], row["model"], row["exchanges"], row["errors"]) for row in found["usage"]]
    assert rows == [
        ("2025-10-10", None, 1, 0),
        ("2025-10-10", "claude-test-1", 1, 1),
        ("2025-10-09", "claude-opus-4", 1, 0),
        ("2025-10-09", "claude-test-1", 2, 0),
    ]
    used = found["usage"][-1]
    assert (used["input_tokens"], used["output_tokens"]) == (22, 180)
    assert (used["cache_read_tokens"], used["cache_write_tokens"]) == (1400, 80)
    assert found["store"]["bytes"] > 0
    assert found["store"]["nodes"] == 2


async def test_a_filter_narrows_the_figures(api: Api) -> None:
    """The filters are those of the list; the store's own figures stay those of the whole."""
    await api.fill([exchange(1, [user("apes")]), exchange(2, [user("bees")], session="t", status=429)])
    for query in ("session=t", "q=bees", "status=4xx", "until=1&session=t"):
        found = await api.json(f"/api/stats?{query}")
        assert sum(found["exchanges"].values()) == sum(row["exchanges"] for row in found["usage"])
        assert sum(found["exchanges"].values()) == (0 if "until" in query else 1)
        assert found["store"]["nodes"] > 2
    assert '"status"' in await api.problem("/api/stats?status=x", 400)
