"""The list of sessions and one session's figures, on the handmade capture, whose figures can be worked out by hand."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

import analysis
from ccproxy.stores.sqlite import SqliteStore
from dashboards.data import Data
from dashboards.data.sessions import SORTS, below, figures, listed, session, sessions, table
from dashboards.pages import sessions as page
from dashboards.state import Filters
from tests.dashboards.conftest import NOW, view_of
from tests.support.handmade import NEXT, OTHER, SESSION


@pytest.fixture
def empty_data(tmp_path: Path) -> Iterator[Data]:
    """Give captures in which there is nothing."""
    path = tmp_path / "empty.db"
    with contextlib.closing(SqliteStore(path, write=True)):
        pass
    data = Data(lambda: analysis.open(path))
    yield data
    data.forget()


def _html(data: Data, search: str) -> str:
    return str(page.page(view_of(data, search))[0].object)


def test_a_session_has_the_figures_of_its_exchanges(handmade_data: Data) -> None:
    """A row sums up all exchanges of its session, what they cost and how much of the input was read from the cache."""
    row = sessions(handmade_data, Filters(), NOW).filter(pl.col("session_id") == SESSION).row(0, named=True)
    assert row["title"] == "Flaky importer test"
    assert (row["turns"], row["agents"], row["exchanges"], row["errors"]) == (4, 3, 11, 1)
    assert [row[f"{name}_tokens"] for name in ("input", "cache_write", "cache_read", "output")] == [90, 2750, 4200, 180]
    assert row["hit"] == pytest.approx(4200 / (90 + 2750 + 4200))
    # USD per million tokens: input 4, written for 5 minutes 5 and for an hour 8, read 0.2, output 20
    assert row["cost_usd"] == pytest.approx((90 * 4 + 2450 * 5 + 300 * 8 + 4200 * 0.2 + 180 * 20) / 1e6)
    assert row["unpriced"] == 0
    assert row["duration_ms"] == 11 * 60_000 + 170  # from minute 1 to the end of the answer of minute 12


def test_a_session_without_input_has_no_cache_hit(handmade_data: Data) -> None:
    """Where nothing could be read the share is null, not zero."""
    found = sessions(handmade_data, Filters(), NOW)
    assert found.filter(pl.col("session_id") == OTHER)["hit"].to_list() == [0.0]
    nothing = found.with_columns(pl.lit(None, pl.Float64).alias("hit"))
    assert listed(nothing, sort="-hit")["session_id"].to_list() == [NEXT, OTHER, SESSION]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        (Filters(), [NEXT, OTHER, SESSION]),
        (Filters(status="errors"), [OTHER, SESSION]),
        (Filters(text="flaky importer"), [SESSION]),
        (Filters(agent="reviewer"), [SESSION]),
        (Filters(range="2025-10-10..2025-10-10"), [NEXT]),
        (Filters(session=OTHER), [OTHER]),
        (Filters(project="nothing like it"), []),
    ],
)
def test_filters_choose_sessions_by_their_exchanges(handmade_data: Data, filters: Filters, wanted: list[str]) -> None:
    """A session is in the list where one of its exchanges is let through, and then with the figures of all of it."""
    found = listed(sessions(handmade_data, filters, NOW))
    assert found["session_id"].to_list() == wanted
    whole = sessions(handmade_data, Filters(), NOW).filter(pl.col("session_id").is_in(wanted))
    assert found.sort("session_id").equals(whole.sort("session_id"))


@pytest.mark.parametrize(
    ("find", "number"), [("FLAKY", 1), ("importer", 3), (OTHER[:13], 3), ("opus", 3), ("no such words", 0)]
)
def test_the_list_is_searched_in_all_that_names_a_session(handmade_data: Data, find: str, number: int) -> None:
    """Title, project, folder, id and models are searched, in capitals or not; a pattern is no pattern."""
    found = sessions(handmade_data, Filters(), NOW)
    assert listed(found, find=find).height == number
    assert listed(found, find=".*").is_empty()


@pytest.mark.parametrize("name", list(SORTS))
def test_every_column_sorts_both_ways(handmade_data: Data, name: str) -> None:
    """Each column sorts up and down, and what is not known stands last."""
    found = sessions(handmade_data, Filters(), NOW)
    column = SORTS[name]
    for sort in (name, f"-{name}"):
        values = listed(found, sort=sort)[column].drop_nulls().to_list()
        keys = [value.lower() if isinstance(value, str) else value for value in values]
        assert keys == sorted(keys, reverse=sort.startswith("-"))


def test_an_unknown_order_is_the_newest_first(handmade_data: Data) -> None:
    """An address with an order that there is not shows the newest session first."""
    found = sessions(handmade_data, Filters(), NOW)
    assert listed(found, sort="nonsense")["session_id"].to_list() == [NEXT, OTHER, SESSION]


def test_the_list_downloads_as_plain_columns(handmade_data: Data) -> None:
    """What is downloaded is a row a session with columns that any program reads."""
    found = table(listed(sessions(handmade_data, Filters(), NOW)))
    assert found.height == 3
    assert not any(kind.is_nested() for kind in found.schema.values())
    assert found["models"].to_list() == ["opus-5-5"] * 3


def test_a_session_is_its_exchanges_and_threads(handmade_data: Data) -> None:
    """A session knows its threads, who started whom, and their exchanges in order."""
    found = session(handmade_data, SESSION)
    assert found is not None
    assert [(row["agent"], row["turns"]) for row in found.threads] == [
        ("main", 4),
        ("Explore", 2),
        ("reviewer", 1),
        ("Explore", 1),
    ]
    assert [row["thread_id"].rsplit("/")[-1] for row in below(found.threads, f"{SESSION}/a2")] == ["a2", "a3"]
    assert len(found.of(f"{SESSION}/main")) == 5
    assert session(handmade_data, "never seen") is None


def test_the_times_of_a_session_come_to_its_wall_clock(handmade_data: Data) -> None:
    """What the model, the tools, the person and waits before another try took is the whole time of the main conversation."""
    found = session(handmade_data, SESSION)
    assert found is not None
    sums = figures(found)
    spent = sum(sums[name] for name in ("model_ms", "tools_ms", "person_ms", "retrying_ms"))
    assert spent == pytest.approx(sums["wall_ms"])
    assert (sums["turns"], sums["agents"], sums["errors"], sums["models"]) == (4, 3, 1, ["claude-opus-5-5"])
    assert [(row["kind"], row["exchanges"]) for row in sums["beside"]] == [("title", 1), ("count_tokens", 1)]
    assert sums["running"] is False
    other = session(handmade_data, OTHER)
    assert other is not None
    assert figures(other)["running"] is True


def test_the_page_lists_sessions_with_links(handmade_data: Data) -> None:
    """Each row leads to its session, by pointer and by keyboard, and the filters go along."""
    html = _html(handmade_data, "?page=sessions&range=all&provider=anthropic")
    assert html.count("<tr data-href=") == 3
    assert f'<a href="?page=sessions&amp;item={SESSION}&amp;provider=anthropic"' in html
    assert "of 3 sessions" in html
    assert 'aria-sort="descending"' in html


def test_pages_have_fifty_sessions_and_the_true_number(handmade_data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page ends after so many sessions, says how many there are, and leads on; a page beyond the last is the last."""
    monkeypatch.setattr("dashboards.data.sessions.A_PAGE", 2)
    first, last = _html(handmade_data, "?page=sessions"), _html(handmade_data, "?page=sessions&at=9999")
    assert "of 3 sessions" in first
    assert "?page=sessions&amp;at=2" in first
    assert first.count("<tr data-href=") == 2
    assert last.count("<tr data-href=") == 1
    assert "next" not in last


def test_where_nothing_fits_the_page_says_how_to_see_all(handmade_data: Data) -> None:
    """Words that are in no session lead back to all of them."""
    assert "Show all sessions" in _html(handmade_data, "?page=sessions&find=nothing+like+it")
    assert "Take the filters away" in _html(handmade_data, "?page=sessions&project=nothing")


def test_an_empty_store_says_how_to_fill_it(empty_data: Data) -> None:
    """Without any session the page says which command brings one, and what to tell a client of one's own."""
    said = "".join(str(part.object) for part in page.page(view_of(empty_data, "?page=sessions")))
    assert "ccproxy run -- claude" in said
    assert "export ANTHROPIC_BASE_URL=http://localhost:" in said


def test_a_session_that_is_gone_says_so(handmade_data: Data) -> None:
    """An address with an id that is not in the captures leads back to the list."""
    html = _html(handmade_data, "?page=sessions&item=gone")
    assert "There is no session of that id" in html
    assert "?page=sessions" in html


def test_a_folder_of_parquet_shows_the_same_session(handmade_store: Path, handmade_data: Data, tmp_path: Path) -> None:
    """What was exported is read as the store is: figures, time line and every message."""
    with analysis.open(handmade_store) as capture:
        capture.export(tmp_path / "out")
    exported = Data(lambda: analysis.open(tmp_path / "out"))
    search = f"?page=sessions&item={SESSION}"
    assert _html(exported, search) == _html(handmade_data, search)
    exported.forget()


def test_a_folder_without_texts_shows_figures(handmade_store: Path, tmp_path: Path) -> None:
    """Where texts were left out, the page says so and still shows the figures and the time line."""
    with analysis.open(handmade_store) as capture:
        capture.export(tmp_path / "out", bodies=False)
    exported = Data(lambda: analysis.open(tmp_path / "out"))
    html = _html(exported, f"?page=sessions&item={SESSION}")
    assert "What was said cannot be shown." in html
    assert 'class="timeline"' in html
    assert "Fix the flaky importer test" not in html
    exported.forget()


def test_a_session_answers_again_within_moments(handmade_store: Path) -> None:
    """Within three seconds the same answer is given without asking the store."""
    at = [0.0]
    data = Data(lambda: analysis.open(handmade_store), lambda: at[0])
    first = sessions(data, Filters(), datetime(2025, 10, 10, tzinfo=UTC))
    assert sessions(data, Filters(), datetime(2025, 10, 10, tzinfo=UTC)) is first
    at[0] = 4.0
    assert sessions(data, Filters(), datetime(2025, 10, 10, tzinfo=UTC)) is not first
    data.forget()
