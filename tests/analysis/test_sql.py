"""SQL over the views: what it gives, and that it can do nothing but read them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from analysis import AnalysisError, Capture, QueryError
from analysis.engine import Engine
from tests.support import handmade
from tests.support.captures import Places, frame, opened
from tests.support.entries import T0, exchange_id
from tests.support.handmade import MODEL, OTHER, SESSION

DAY = date(2025, 10, 9)


def test_a_query_gives_a_frame(capture: Capture) -> None:
    """Rows come as a polars frame with the types that a person expects: sums of tokens are integers, averages are numbers."""
    found = capture.sql(
        "SELECT session_id, count(*) AS n, sum(output_tokens) AS output, avg(duration_ms) AS ms FROM exchanges"
        " WHERE kind = 'main' AND state <> 'open' GROUP BY 1 ORDER BY n DESC LIMIT 2"
    )
    assert isinstance(found, pl.DataFrame)
    assert dict(found.schema) == {"session_id": pl.String, "n": pl.Int64, "output": pl.Int64, "ms": pl.Float64}
    # Of SESSION 1, 2, 8 and 10 took 200, 200, 170 and 120 ms; of OTHER 11, 13 and 14 took 170, 260 and 5000 ms.
    assert found.rows() == [(SESSION, 4, 60, 172.5), (OTHER, 3, 40, 1810.0)]


def test_values_are_bound_by_place_or_by_name(capture: Capture) -> None:
    """`?` takes values in their order, `$name` those of that name; what is bound is a value, whatever it says."""
    by_place = "SELECT count(*) AS n FROM exchanges WHERE kind = ? AND started_at > ?"
    by_name = "SELECT count(*) AS n FROM exchanges WHERE kind = $kind AND started_at > $after"
    after = datetime(2025, 10, 9, 8, 56, tzinfo=UTC)
    assert capture.sql(by_place, ["main", after]).item() == 7  # 8, 10, 11, 13, 14, 16 and 2000
    assert capture.sql(by_name, {"kind": "main", "after": after}).item() == 7
    assert capture.sql(by_place, ["' OR true --", after]).item() == 0
    assert capture.sql("SELECT $a::BIGINT AS a, $b AS b, $c AS c", {"a": 2**62, "b": None, "c": 1.5}).row(0) == (
        2**62,
        None,
        1.5,
    )


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("SELECT count(*) FROM exchanges WHERE kind = ?", None),
        ("SELECT count(*) FROM exchanges WHERE kind = ?", ["main", "title"]),
        ("SELECT count(*) FROM exchanges WHERE kind = $kind", {"other": "main"}),
        ("SELECT count(*) FROM exchanges WHERE kind = ?", [object()]),
    ],
)
def test_values_that_do_not_fit_are_refused(attached: Capture, query: str, values: Any) -> None:
    """Too few, too many, a wrong name, something that is no value: an error of the query."""
    with pytest.raises(QueryError):
        attached.sql(query, values)


def test_times_are_utc_with_microseconds(capture: Capture) -> None:
    """Times have a zone and six digits, days begin at midnight UTC, and a difference is a duration."""
    found = capture.sql(
        "SELECT started_at, ended_at - started_at AS took, started_at::DATE AS day, date_trunc('hour', started_at) AS hour"
        " FROM exchanges ORDER BY exchange_id LIMIT 1"
    )
    moment = datetime.fromtimestamp(T0 / 1e6, UTC) + timedelta(minutes=1)
    utc = pl.Datetime("us", "UTC")
    assert dict(found.schema) == {"started_at": utc, "took": pl.Duration("us"), "day": pl.Date, "hour": utc}
    assert found.row(0) == (moment, timedelta(milliseconds=200), DAY, moment.replace(minute=0, second=0))
    assert capture.sql("SELECT current_setting('TimeZone')").item() == "UTC"
    events = capture.sql("SELECT arrived_at FROM events ORDER BY exchange_id, position LIMIT 2")["arrived_at"]
    assert (events[1] - events[0]) == timedelta(milliseconds=10)


def test_a_query_sees_texts_only_where_it_asks(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """All columns are there for `*`, for their names, and for whole rows; a query that needs no text does not read any."""
    ran: list[Engine] = []
    asked = Engine.asked
    monkeypatch.setattr(
        Engine, "asked", lambda engine, *given, **named: ran.append(engine) or asked(engine, *given, **named)
    )
    texts = set(frame(capture, "blocks")["text"].drop_nulls())
    long = [
        "SELECT * FROM blocks",
        "FROM blocks",
        "SELECT text FROM blocks",
        'SELECT b."TEXT" AS text FROM blocks b',
        "SELECT b.text FROM (SELECT b FROM blocks b)",
        "SELECT columns('te.*') FROM blocks",
    ]
    for query in long:
        assert set(capture.sql(query)["text"].drop_nulls()) == texts, query
    for query in ("SELECT count(*) AS n FROM blocks", "SELECT count(node) AS n FROM blocks WHERE characters >= 0"):
        assert capture.sql(query).item() == 34
    assert capture.sql("SELECT sum(input_tokens) AS n FROM exchanges").item() == 220
    whole, lean = set(ran[: len(long)]), set(ran[len(long) :])
    assert (len(whole), len(lean), whole & lean) == (1, 1, set())


@pytest.mark.parametrize(
    "query",
    [
        "SELECT (SELECT count(*) FROM sessions) AS n",
        "WITH a AS (SELECT * FROM threads) SELECT count(*) AS n FROM a",
        "SELECT count(*) AS n FROM exchanges JOIN messages USING (exchange_id)",
        "SELECT count(*) AS n FROM blocks b, range(3) r",
        "SELECT sum(x) AS n FROM (SELECT unnest(range(5)) AS x)",
        "SELECT count(*) AS n FROM exchanges, json_each(attempts)",
        "SELECT quantile_cont(duration_ms, 0.9) AS n FROM exchanges",
        "SELECT count(*) FILTER (WHERE regexp_matches(text, 'agentId')) AS n FROM blocks",
        "VALUES (1)",
        "SELECT 1 -- and a remark",
        "/* a remark */ SELECT 1;",
        "SHOW TABLES",
        "SUMMARIZE exchanges",
    ],
)
def test_what_reads_is_let_through(attached: Capture, query: str) -> None:
    """All of DuckDB's ways to ask work over the views."""
    assert attached.sql(query).height > 0


def forbidden(folder: Path, store: Path, exported: Path) -> list[str]:
    """Return what a query must not do: to change something, to leave the views, to reach a file."""
    secret = folder / "secret.csv"
    return [
        "INSERT INTO exchanges VALUES (1)",
        "INSERT INTO store.exchanges (id) VALUES ('x')",
        "UPDATE store.exchanges SET state = 'x'",
        "DELETE FROM store.exchanges",
        "CREATE TABLE mine (x INTEGER)",
        "CREATE VIEW mine AS SELECT 1",
        "CREATE OR REPLACE VIEW exchanges AS SELECT 1",
        "CREATE TEMP MACRO m() AS 1",
        "CREATE SECRET mine (TYPE postgres)",
        "DROP VIEW exchanges",
        "ALTER VIEW exchanges RENAME TO mine",
        f"COPY exchanges TO '{folder}/out.csv'",
        f"COPY (SELECT 1) TO '{folder}/out.parquet' (FORMAT parquet)",
        f"EXPORT DATABASE '{folder}/out'",
        f"ATTACH '{folder}/out.db'",
        f"ATTACH '{store}' AS again (TYPE sqlite)",
        "DETACH store",
        "USE store",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET TimeZone = 'Europe/Berlin'",
        "RESET TimeZone",
        "PRAGMA memory_limit = '1GB'",
        "PRAGMA enable_profiling",
        "PRAGMA database_list",
        "CALL checkpoint()",
        "CHECKPOINT",
        "LOAD httpfs",
        "INSTALL httpfs",
        "BEGIN",
        "VACUUM",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "EXPLAIN ANALYZE SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP VIEW exchanges",
        "",
        ";",
        "-- nothing",
        f"SELECT * FROM sqlite_scan('{store}', 'exchanges')",
        f"SELECT * FROM main.sqlite_scan('{store}', 'exchanges')",
        f"SELECT * FROM \"SQLITE_SCAN\"('{store}', 'exchanges')",
        f"DESCRIBE SELECT * FROM sqlite_scan('{store}', 'exchanges')",
        f"WITH a AS (FROM sqlite_scan('{store}', 'exchanges')) SELECT count(*) FROM a",
        f"SELECT (SELECT count(*) FROM sqlite_scan('{store}', 'exchanges'))",
        "SELECT * FROM sqlite_query('store', 'SELECT 1')",
        "SELECT * FROM sqlite_query('store', 'DELETE FROM exchanges')",
        "SELECT * FROM postgres_query('store', 'SELECT 1')",
        "SELECT * FROM postgres_execute('store', 'SELECT 1')",
        "SELECT * FROM postgres_scan('host=127.0.0.1', 'public', 'x')",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM query_table('exchanges')",
        f"SELECT * FROM json_execute_serialized_sql(json_serialize_sql('FROM sqlite_scan(''{store}'', ''exchanges'')'))",
        f"SELECT * FROM enable_logging('QueryLog', storage = 'file', storage_config = {{'path': '{folder}/log'}})",
        f"FROM enable_profiling(format = 'json', save_location = '{folder}/profile')",
        "SELECT * FROM checkpoint()",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM duckdb_databases()",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM which_secret('x', 'postgres')",
        f"SELECT * FROM read_csv('{secret}')",
        f"SELECT * FROM read_text('{secret}')",
        f"SELECT * FROM read_blob('{secret}')",
        f"SELECT * FROM read_parquet('{secret}')",
        f"SELECT * FROM read_json('{secret}')",
        f"SELECT * FROM glob('{folder}/*')",
        f"SELECT * FROM '{secret}'",
        f'SELECT * FROM "{secret}"',
        f"SELECT * FROM '{exported}/../../{folder.name}/secret.csv'",
        f"SELECT * FROM '{exported}/../../*/secret.csv'",
    ]


def test_nothing_but_reading_is_let_through(capture: Capture, tmp_path: Path, places: Places) -> None:
    """Whatever would change something, read a file, or go past the views is an error of the query, and leaves no trace."""
    (tmp_path / "secret.csv").write_text("secret\n1\n")
    before = places.sqlite.read_bytes()
    for query in forbidden(tmp_path, places.sqlite, places.parquet):
        with pytest.raises(QueryError):
            capture.sql(query)
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]
    assert places.sqlite.read_bytes() == before
    assert capture.sql("SELECT count(*) AS n FROM exchanges").item() == 17


def test_parameters_open_no_way_out(capture: Capture, places: Places) -> None:
    """A value that is bound is never a name, a file or a query."""
    for query in ("SELECT * FROM read_text(?)", "SELECT * FROM query(?)", "SELECT * FROM sqlite_scan(?, 'exchanges')"):
        with pytest.raises(QueryError):
            capture.sql(query, [str(places.sqlite)])


def test_an_error_says_where_in_the_query(capture: Capture) -> None:
    """What is wrong is told with the line and a mark under the place; a name that nearly fits is suggested."""
    with pytest.raises(QueryError) as wrong:
        capture.sql("SELECT model\nFROM exchanges\nWHERE knid = 'main'")
    said = str(wrong.value)
    assert 'Referenced column "knid" not found' in said
    assert '"kind"' in said
    assert "LINE 3: WHERE knid = 'main'\n              ^" in said
    with pytest.raises(
        QueryError, match=r'syntax error at or near "SELEKT"\nLINE 1: SELEKT model FROM exchanges\n        \^'
    ):
        capture.sql("SELEKT model FROM exchanges")
    with pytest.raises(QueryError, match=r'Did you mean "exchanges"\?\nLINE 1: SELECT \* FROM exchange\n {22}\^'):
        capture.sql("SELECT * FROM exchange")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT 1 AS a, 2 AS a", "two columns have one name"),
        ("SELECT [INTERVAL 1 DAY] AS a", "a frame has no type for a"),
        ("SELECT union_value(x := 1) AS a", "a frame has no type for a"),
        ("SELECT 'a'::INTEGER AS a", "Could not convert string 'a'"),
        ("SELECT 170141183460469231731687303715884105727 AS a", "out of range"),
        ("SELECT '\ud83d' AS a", "half a character"),
    ],
)
def test_what_no_frame_can_hold_is_an_error_of_the_query(attached: Capture, query: str, said: str) -> None:
    """A query whose rows cannot be a frame is refused in a sentence, by the same error."""
    with pytest.raises(QueryError, match=said):
        attached.sql(query)
    assert issubclass(QueryError, AnalysisError)


def test_columns_may_be_called_anything(attached: Capture) -> None:
    """Names with spaces and quotation marks stay as they are, also those of sums and spans."""
    found = attached.sql("""SELECT sum(1) AS "a ""b"" c", INTERVAL 2 SECOND AS "took", 1.5 AS d, sum(0.5) AS "e" """)
    assert found.rows(named=True) == [
        {'a "b" c': 1, "took": timedelta(seconds=2), "d": Decimal("1.5"), "e": Decimal("0.5")}
    ]


def test_threads_may_ask_at_once(places: Places) -> None:
    """Eight threads with several queries each, the first ones of all included, get what one alone gets."""
    queries = [
        "SELECT model, count(*) AS n, sum(input_tokens) AS t FROM exchanges GROUP BY 1",
        "SELECT * FROM blocks ORDER BY node, position",
        "SELECT tool_name, count(*) AS n FROM tool_calls GROUP BY 1 ORDER BY 1",
        "SELECT * FROM threads ORDER BY thread_id",
        "SELECT count(*) AS n FROM events",
    ]
    with opened(places.sqlite) as alone:
        expected = [alone.sql(query) for query in queries]
        body = alone.body(exchange_id(1), "request")

    def work(capture: Capture, number: int) -> list[pl.DataFrame]:
        """Ask everything, each thread beginning with another query."""
        turned = [*queries[number % 5 :], *queries[: number % 5]]
        found = dict(zip(turned, [capture.sql(query) for query in turned], strict=True))
        assert capture.body(exchange_id(1), "request") == body
        assert capture.exchanges().collect().height == 17
        return [found[query] for query in queries]

    with opened(places.sqlite) as capture, ThreadPoolExecutor(8) as pool:
        for found in pool.map(work, [capture] * 8, range(8)):
            for one, other in zip(found, expected, strict=True):
                assert_frame_equal(one, other)


def test_a_query_and_a_frame_agree(capture: Capture) -> None:
    """What SQL says of a view is what polars says of the frame."""
    by_sql = capture.sql(
        "SELECT thread_id, sum(cache_read_tokens) AS n FROM exchanges GROUP BY 1 ORDER BY 1 NULLS FIRST"
    )
    by_frame = (
        capture.exchanges().group_by("thread_id").agg(n=pl.col("cache_read_tokens").sum()).sort("thread_id").collect()
    )
    assert_frame_equal(by_sql.with_columns(pl.col("n").fill_null(0)), by_frame)
    assert capture.sql("SELECT DISTINCT model FROM exchanges").rows() == [(MODEL,)]
    assert capture.sql("SELECT exchange_id FROM exchanges ORDER BY 1")["exchange_id"].to_list() == handmade.ids(
        *range(1, 17), 2000
    )
