"""Captures taken away: what an exported folder holds, how it goes on, and that others read it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from analysis import AnalysisError, Capture, QueryError, exporting
from analysis.dictionary import GRAINS
from ccproxy.records import Captured, Ending, State
from tests.support import handmade
from tests.support.captures import Places, comparable, filled, frame, opened
from tests.support.entries import exchange_id
from tests.support.handmade import MODEL, NEXT, OTHER, SESSION, answer, asked, assistant, call, result, text, user

# Exchange n begins n minutes after 8:53:20; these are of the 9th to 12th of October, one day after the other, and of the 20th.
FIRST, SECOND, THIRD, FOURTH, LATE = 1, 1000, 2500, 4000, 15000
DAYS = {FIRST: "2025-10-09", SECOND: "2025-10-10", THIRD: "2025-10-11", FOURTH: "2025-10-12", LATE: "2025-10-19"}
Told = list[tuple[int, int]]


def said(number: int, session: str = SESSION, **more: Any) -> Captured:
    """Return an exchange of that number in which hardly anything is said."""
    return asked(number, [user(text(f"ask {number}"))], answer(number, text(f"say {number}")), session=session, **more)


def files(folder: Path) -> dict[str, int]:
    """Return the files of an export by their names, and when each was written."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != exporting.MANIFEST)
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in found}


def age(folder: Path) -> None:
    """Make all files of an export look old."""
    for path in folder.rglob("*"):
        os.utime(path, ns=(1, 1))


def rewritten(folder: Path) -> set[str]:
    """Return which files were written since they were made to look old."""
    return {name for name, written in files(folder).items() if written != 1}


def of_days(*numbers: int) -> set[str]:
    """Return the days of exchanges."""
    return {DAYS[number] for number in numbers}


def days_in(names: set[str], grain: str) -> set[str]:
    """Return the days of which files of a grain are named."""
    return {name.split("/")[1].removeprefix("day=") for name in names if name.startswith(f"{grain}/")}


def same(one: Capture, other: Capture) -> None:
    """See that all frames are equal."""
    for grain in GRAINS:
        assert_frame_equal(comparable(frame(one, grain)), comparable(frame(other, grain)))


def exported(path: Path, folder: Path, **options: Any) -> dict[str, int]:
    """Export a store."""
    with opened(path) as capture:
        return capture.export(folder, **options)


@pytest.fixture
def week(tmp_path: Path) -> Path:
    """Give a store with an exchange on each of some days."""
    return filled(tmp_path / "captures.db", [said(number) for number in DAYS])


def test_an_export_of_any_way_reads_back_the_same(capture: Capture, tmp_path: Path) -> None:
    """From a store, a copy or another export: what was written is counted, and the folder holds the very frames."""
    written = capture.export(tmp_path / "taken")
    assert written == {
        "exchanges": 17, "sessions": 3, "threads": 7, "messages": 26, "blocks": 34, "tool_calls": 8, "events": 90, "prompt_parts": 5,
    }  # fmt: skip
    with opened(tmp_path / "taken") as taken:
        same(taken, capture)


def test_a_folder_has_a_file_per_grain_and_day(places: Places, tmp_path: Path) -> None:
    """The layout is hive's, days are UTC, a day without rows has no file, and a manifest says what there is."""
    with opened(places.sqlite) as capture:
        capture.export(tmp_path)
    first = {f"{grain}/day=2025-10-09/{grain}.parquet" for grain in GRAINS}
    second = {
        f"{grain}/day=2025-10-10/{grain}.parquet" for grain in GRAINS if grain not in ("tool_calls", "prompt_parts")
    }
    assert set(files(tmp_path)) == first | second
    assert json.loads((tmp_path / exporting.MANIFEST).read_text()) == {
        "schema": 1, "format": "parquet", "bodies": True, "chosen": {}, "days": {"2025-10-09": [16, 15], "2025-10-10": [1, 1]},
    }  # fmt: skip


def test_days_end_at_midnight_utc(tmp_path: Path) -> None:
    """The last microsecond of a day belongs to it, the next one to the next day."""
    last, first = said(1), said(2)
    midnight = int(datetime(2025, 10, 10, tzinfo=UTC).timestamp() * 1e6)
    for one, start in ((last, midnight - 1), (first, midnight)):
        one.opened_at = start
    exported(filled(tmp_path / "captures.db", [last, first]), tmp_path / "taken")
    for day, number in (("2025-10-09", 1), ("2025-10-10", 2)):
        found = pl.read_parquet(
            tmp_path / "taken" / "exchanges" / f"day={day}" / "exchanges.parquet", hive_partitioning=False
        )
        assert found["exchange_id"].to_list() == [exchange_id(number)]


@pytest.mark.parametrize("grain", GRAINS)
def test_other_engines_read_it(places: Places, grain: str) -> None:
    """Plain polars finds every row by the folders' names, with the dictionary's types, and prunes by day; files are in order."""
    lazy = pl.scan_parquet(places.parquet / grain / "**/*.parquet", hive_partitioning=True, try_parse_hive_dates=True)
    assert dict(lazy.collect_schema()) == GRAINS[grain].schema(bodies=True) | {"day": pl.Date()}
    with places.open("parquet") as capture:
        assert_frame_equal(lazy.drop("day").sort(GRAINS[grain].order).collect(), frame(capture, grain))
    for path in (places.parquet / grain).glob("*/*.parquet"):
        rows = pl.read_parquet(path, hive_partitioning=False)
        assert_frame_equal(rows, rows.sort(GRAINS[grain].order))
        assert pl.read_parquet_metadata(path)["ccproxy.schema"] == "1"


def test_json_lines_hold_the_same(attached: Capture, tmp_path: Path) -> None:
    """As JSONL each row is an object with all columns; times are text with six digits."""
    attached.export(tmp_path, format="jsonl")
    for grain in GRAINS:
        expected = frame(attached, grain)
        lines = [
            line for path in sorted((tmp_path / grain).glob("*/*.jsonl")) for line in path.read_text().splitlines()
        ]
        found = [json.loads(line) for line in lines]
        assert len(found) == expected.height
        assert all(list(row) == expected.columns for row in found)
        key = GRAINS[grain].order[-1]
        assert sorted(str(row[key]) for row in found) == sorted(str(value) for value in expected[key])
    first = json.loads((tmp_path / "exchanges/day=2025-10-09/exchanges.jsonl").read_text().partition("\n")[0])
    row = frame(attached, "exchanges").row(0, named=True)
    assert first["exchange_id"] == exchange_id(1)
    assert [datetime.fromisoformat(first[name]) for name in ("started_at", "ended_at")] == [
        row["started_at"],
        row["ended_at"],
    ]
    sessions = (tmp_path / "sessions/day=2025-10-10/sessions.jsonl").read_text()
    assert json.loads(sessions)["models"] == [MODEL]


def test_csv_holds_the_same(attached: Capture, tmp_path: Path) -> None:
    """As CSV every value that is no list reads back, line breaks and quotation marks in texts included."""
    attached.export(tmp_path, format="csv")
    for grain in GRAINS:
        expected = frame(attached, grain)
        schema = {name: pl.String() if isinstance(kind, pl.List) else kind for name, kind in expected.schema.items()}
        texts = {name: pl.String() if isinstance(kind, pl.Datetime) else kind for name, kind in schema.items()}
        found = pl.concat(pl.read_csv(path, schema=texts) for path in (tmp_path / grain).glob("*/*.csv"))
        moments = [
            pl.col(name).str.to_datetime(time_unit="us", time_zone="UTC")
            for name in schema
            if schema[name] != texts[name]
        ]
        lists = [pl.col(name).list.join(" ") for name, kind in expected.schema.items() if isinstance(kind, pl.List)]
        assert_frame_equal(found.with_columns(moments).sort(GRAINS[grain].order), expected.with_columns(lists))


class Stopped(Exception):
    """How a test interrupts."""


def test_an_export_that_was_stopped_goes_on(week: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after the first day, it goes on with the others; at the end it holds what one that was not stopped does."""
    monkeypatch.setattr(exporting, "AT_ONCE", 1)
    told: Told = []

    def once(done: int, everything: int) -> None:
        """Stop after the first pass."""
        told.append((done, everything))
        raise Stopped

    with pytest.raises(Stopped):
        exported(week, tmp_path / "taken", progress=once)
    assert days_in(set(files(tmp_path / "taken")), "exchanges") == of_days(FIRST)
    age(tmp_path / "taken")
    exported(week, tmp_path / "taken", progress=lambda done, everything: told.append((done, everything)))
    # The day before a new one is written again: tools of it may have been answered since.
    assert days_in(rewritten(tmp_path / "taken"), "exchanges") == of_days(*DAYS)
    assert told == [(1, 5), (1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    exported(week, tmp_path / "whole")
    assert set(files(tmp_path / "taken")) == set(files(tmp_path / "whole"))
    with opened(tmp_path / "taken") as taken, opened(week) as capture:
        same(taken, capture)


@pytest.mark.parametrize("writes", [0, 1, 4])
def test_an_export_that_was_stopped_early_goes_on(
    week: Path, tmp_path: Path, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it was stopped within the first days, in the middle of a file, which is then not there."""
    left = writes
    write = exporting._WRITERS["parquet"]

    def failing(found: pl.DataFrame, path: Path) -> None:
        """Write some files, then half a one."""
        nonlocal left
        if not left:
            path.write_bytes(b"PAR1 half")
            raise Stopped
        left -= 1
        write(found, path)

    with monkeypatch.context() as patch:
        patch.setitem(exporting._WRITERS, "parquet", failing)
        with pytest.raises(Stopped):
            exported(week, tmp_path / "taken")
    assert len(files(tmp_path / "taken")) == writes
    exported(week, tmp_path / "taken")
    with opened(tmp_path / "taken") as taken, opened(week) as capture:
        same(taken, capture)


def test_what_has_not_changed_is_not_written_again(week: Path, tmp_path: Path) -> None:
    """Repeated, an export writes nothing, and says so."""
    folder = tmp_path / "taken"
    exported(week, folder)
    age(folder)
    told: Told = []
    assert exported(week, folder, progress=lambda *numbers: told.append(numbers)) == dict.fromkeys(GRAINS, 0)
    assert rewritten(folder) == set()
    assert told == []


@pytest.mark.parametrize(("new", "written"), [(LATE + 1, [LATE]), (THIRD + 1, [SECOND, THIRD]), (FIRST + 1, [FIRST])])
def test_days_with_something_new_are_written_again(
    week: Path, tmp_path: Path, new: int, written: Sequence[int]
) -> None:
    """A new exchange, also of an old day, has that day and the one before written again, and nothing else."""
    folder = tmp_path / "taken"
    exported(week, folder)
    age(folder)
    filled(week, [said(new)])
    assert exported(week, folder)["exchanges"] == len(written) + 1
    for grain in ("exchanges", "messages", "blocks", "events"):
        assert days_in(rewritten(folder), grain) == of_days(*written)
    assert days_in(rewritten(folder), "sessions") == of_days(FIRST)  # the day on which the one session began
    with opened(folder) as taken, opened(week) as capture:
        same(taken, capture)


def test_an_exchange_that_has_ended_since_is_written_again(tmp_path: Path) -> None:
    """What ran when it was exported is taken again when it has ended, also where other days have come since."""
    path, folder = tmp_path / "captures.db", tmp_path / "taken"
    running = asked(FIRST, [user(text("ask"))], None)
    filled(path, [running, said(THIRD), said(LATE)])
    exported(path, folder)
    age(folder)
    running.ended_at, running.ending = (
        running.opened_at + 5000,
        Ending(State.FAILED, error="gone", error_kind="connect"),
    )
    filled(path, [running])
    exported(path, folder)
    assert days_in(rewritten(folder), "exchanges") == of_days(FIRST)
    with opened(folder) as taken, opened(path) as capture:
        assert frame(taken, "exchanges")["state"].to_list() == ["failed", "complete", "complete"]
        same(taken, capture)


def test_a_tool_that_is_answered_on_the_next_day_is_written_again(tmp_path: Path) -> None:
    """A call of yesterday gets its result in yesterday's file."""
    path, folder = tmp_path / "captures.db", tmp_path / "taken"
    bash = call("Bash", 1, command="sleep")
    filled(path, [asked(FIRST, [user(text("wait"))], answer(FIRST, bash))])
    exported(path, folder)
    later = [user(text("wait")), assistant(bash), user(result(1, "done"))]
    filled(path, [asked(SECOND, later, answer(SECOND, text("Good.")))])
    exported(path, folder)
    with opened(folder) as taken, opened(path) as capture:
        assert frame(taken, "tool_calls")["result"].to_list() == ["done"]
        same(taken, capture)


@pytest.mark.parametrize(
    ("chosen", "numbers"),
    [
        ({"session": OTHER}, [11, 13, 14, 15, 16]),
        ({"session": "none"}, []),
        ({"since": datetime(2025, 10, 10, tzinfo=UTC)}, [2000]),
        ({"until": datetime(2025, 10, 9, 8, 56, 20, tzinfo=UTC)}, [1, 2]),
        ({"since": datetime(2025, 10, 9, 8, 56, 20), "until": datetime(2025, 10, 9, 8, 57, 20, 1)}, [3, 4]),  # noqa: DTZ001
        ({"model": "OPUS"}, [*range(1, 17), 2000]),
        ({"model": "%"}, []),
        ({"session": SESSION, "since": datetime(2025, 10, 9, 9, 1, 20, tzinfo=UTC), "model": "claude"}, [8, 9, 10, 12]),
    ],
)
def test_only_what_is_chosen_is_taken(
    attached: Capture, tmp_path: Path, chosen: dict[str, Any], numbers: list[int]
) -> None:
    """By time, session and model, alone and together: exchanges, and all that came with them."""
    written = attached.export(tmp_path, **chosen)
    assert written["exchanges"] == len(numbers)
    with opened(tmp_path) as taken:
        exchanges = frame(taken, "exchanges")
        assert exchanges["exchange_id"].to_list() == handmade.ids(*numbers)
        for grain in ("messages", "tool_calls", "events"):
            mine = frame(attached, grain).filter(pl.col("exchange_id").is_in(handmade.ids(*numbers)))
            assert_frame_equal(frame(taken, grain), mine)
        assert set(frame(taken, "sessions")["session_id"]) == set(exchanges["session_id"])
        assert set(frame(taken, "threads")["thread_id"]) == set(exchanges["thread_id"].drop_nulls())
        assert set(frame(taken, "blocks")["node"]) == set(frame(taken, "messages")["node"])
        assert set(frame(taken, "prompt_parts")["preamble"]) == set(exchanges["preamble"].drop_nulls())
    assert json.loads((tmp_path / exporting.MANIFEST).read_text())["chosen"] == {
        name: str(value) for name, value in chosen.items()
    }


@pytest.mark.parametrize(
    "other",
    [
        {"format": "csv"},
        {"bodies": False},
        {"session": NEXT},
        {"since": datetime(2025, 1, 1, tzinfo=UTC)},
        {"model": "x"},
    ],
)
def test_an_export_of_another_kind_is_refused(attached: Capture, tmp_path: Path, other: dict[str, Any]) -> None:
    """What is chosen otherwise does not go into the same folder, and nothing is changed there."""
    attached.export(tmp_path)
    age(tmp_path)
    with pytest.raises(
        AnalysisError, match=rf"{tmp_path} holds an export of another kind \(see {exporting.MANIFEST} in it\)"
    ):
        attached.export(tmp_path, **other)
    assert rewritten(tmp_path) == set()


def test_a_folder_of_somebody_else_is_refused(attached: Capture, tmp_path: Path) -> None:
    """Into a folder that holds something else nothing is written; nor where the manifest cannot be understood."""
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(AnalysisError, match=f"{tmp_path} holds something else already"):
        attached.export(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    for content in ("{", "[]", '{"schema": 1}', '{"schema": 1, "format": "parquet", "bodies": true}'):
        (tmp_path / exporting.MANIFEST).write_text(content)
        with pytest.raises(AnalysisError, match="is damaged; export into another folder"):
            attached.export(tmp_path)


@pytest.mark.parametrize("form", ["xml", "Parquet", "", "json"])
def test_a_format_that_there_is_not_is_refused(attached: Capture, tmp_path: Path, form: str) -> None:
    """The sentence has the formats that there are, and no folder is made."""
    with pytest.raises(AnalysisError, match=f'there is no format "{form}"; there are parquet, jsonl, csv'):
        attached.export(tmp_path / "taken", format=form)
    assert not (tmp_path / "taken").exists()


def test_without_bodies_there_are_no_texts(attached: Capture, tmp_path: Path) -> None:
    """An export without texts opens as any other, says so where texts are asked for, and has none in its files."""
    attached.export(tmp_path, bodies=False)
    with opened(tmp_path) as taken:
        for grain in GRAINS:
            assert_frame_equal(frame(taken, grain, bodies=False), frame(attached, grain, bodies=False))
        assert list(taken.sql("SELECT * FROM blocks").columns) == list(GRAINS["blocks"].schema())
        assert taken.sql("SELECT count(*) AS n FROM exchanges WHERE query LIKE '%beta%'").item() == 16
        with pytest.raises(QueryError, match='"text" not found'):
            taken.sql("SELECT text FROM blocks")
        for ask in (lambda: taken.blocks(bodies=True), lambda: taken.export(tmp_path / "again")):
            with pytest.raises(
                AnalysisError, match="was exported without texts, inputs and results; open the store for them"
            ):
                ask()
        assert taken.export(tmp_path / "again", bodies=False)["blocks"] == 34
    assert all(b"pytest -x" not in path.read_bytes() for path in tmp_path.rglob("*.parquet"))


def test_progress_is_told_in_exchanges(week: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each pass it is told how many of how many are done; days that are far apart are not read in one."""
    told: Told = []
    exported(week, tmp_path / "one", progress=lambda *numbers: told.append(numbers))
    assert told == [(4, 5), (5, 5)]
    told.clear()
    monkeypatch.setattr(exporting, "AT_ONCE", 2)
    exported(week, tmp_path / "two", progress=lambda *numbers: told.append(numbers))
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_an_empty_store_is_an_export_without_rows(empty: Capture, tmp_path: Path) -> None:
    """Where nothing was captured yet a folder is made that opens, and takes what comes later."""
    assert empty.export(tmp_path / "taken") == dict.fromkeys(GRAINS, 0)
    with opened(tmp_path / "taken") as taken:
        assert repr(taken).endswith("0 exchanges, nothing captured yet>")


@pytest.mark.parametrize("place", ["file/below", "file", "/proc/none/of/it"])
def test_a_folder_that_cannot_be_written_is_one_sentence(attached: Capture, tmp_path: Path, place: str) -> None:
    """Where no folder can be made the sentence has the file and the reason."""
    (tmp_path / "file").write_text("a file")
    with pytest.raises(
        AnalysisError, match=r"cannot be (written|read): (Not a directory|File exists|No such file or directory)"
    ):
        attached.export(tmp_path / place)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_that_cannot_be_written_is_one_sentence(attached: Capture, tmp_path: Path) -> None:
    """Where a single file's place is taken the sentence has its name, and the export goes on when that is mended."""
    in_the_way = tmp_path / "blocks" / "day=2025-10-09" / "blocks.parquet"
    in_the_way.mkdir(parents=True)
    exporting.Manifest("parquet", True, {}).write(tmp_path)
    with pytest.raises(AnalysisError, match=f"{in_the_way} cannot be written: Is a directory"):
        attached.export(tmp_path)
    in_the_way.rmdir()
    attached.export(tmp_path)
    with opened(tmp_path) as taken:
        same(taken, attached)
