"""Charts: what is drawn, in which order and colours, and where a click leads."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from markupsafe import Markup

from dashboards import charts
from dashboards.axes import exact, places
from dashboards.colours import DARK, LIGHT, OTHER, colours
from dashboards.rendering import share
from tests.support.figures import drawn, said

DAYS = [date(2026, 11, 1), date(2026, 11, 3)]
FRAME = pl.DataFrame(
    {"day": [DAYS[0], DAYS[0], DAYS[1]], "kind": ["output", "cache read", "cache read"], "tokens": [1, 20, 300]}
)


def _columns(chart: Any) -> dict[str, list[Any]]:
    """Return what the chart shows at each place."""
    [plot] = drawn([chart])
    [hover] = [tool for tool in plot.tools if type(tool).__name__ == "HoverTool"]
    found: dict[str, list[Any]] = dict(hover.renderers[0].data_source.data)
    return found


def _bars(frame: pl.DataFrame, **more: Any) -> Any:
    return charts.bars(frame, "day", "kind", "tokens", **{"title": "Tokens", "unit": "tokens", "dark": False, **more})


def test_bars_are_stacked_in_the_order_of_measures() -> None:
    """Each day has a bar, each kind a piece of it; kinds stand in the order that they have everywhere, and are summed."""
    found = _columns(_bars(FRAME))
    assert [found[name][0] for name in ("n0", "n1")] == ["cache read", "output"]
    assert (found["s0"], found["s1"]) == ([20, 300], [1, 0])
    assert found["sum"] == ["21 tokens", "300 tokens"]
    assert found["label"] == ["Sun 1 Nov 2026", "Tue 3 Nov 2026"]
    assert found["x"][1] - found["x"][0] == 2 * 86_400_000  # a day without any leaves a gap


def test_a_click_leads_to_the_address_of_the_bar() -> None:
    """The address of each bar is what `link` makes of its place."""
    found = _columns(_bars(FRAME, link=lambda day: f"?range={day}..{day}"))
    assert found["href"] == ["?range=2026-11-01..2026-11-01", "?range=2026-11-03..2026-11-03"]
    assert "href" not in _columns(_bars(FRAME))


def test_more_series_than_six_are_one() -> None:
    """The six largest stand for themselves, the rest together as `other`, in grey."""
    frame = pl.DataFrame({"day": ["x"] * 9, "kind": list("abcdefghi"), "tokens": [9, 8, 7, 6, 5, 4, 3, 2, 1]})
    chart = _bars(frame)
    found = _columns(chart)
    assert [found[f"n{number}"][0] for number in range(7)] == [*"abcdef", OTHER]
    assert found["s6"] == [6]
    assert LIGHT.series[-1] in said([chart])


def test_a_series_that_is_called_other_is_the_rest() -> None:
    """What is named `other` already is added to the rest, and never taken for a series of its own."""
    frame = pl.DataFrame({"day": ["x", "x"], "kind": ["a", OTHER], "tokens": [1, 50]})
    found = _columns(_bars(frame))
    assert [found[f"n{number}"][0] for number in range(2)] == ["a", OTHER]


def test_a_name_keeps_its_colour_whatever_else_is_shown() -> None:
    """By a given order a name has the same colour alone and among others; two names on one chart never share one."""
    order = [f"model-{number}" for number in range(12)]
    alone = colours(["model-3"], dark=False, order=order)
    among = colours(["model-1", "model-3", OTHER], dark=False, order=order)
    assert alone == [among[1]]
    assert among[2] == LIGHT.series[-1]
    assert len(set(colours(["model-0", "model-6", "new"], dark=False, order=order))) == 3


def test_both_themes_know_the_same_measures() -> None:
    """A measure that has a colour in one theme has one in the other, at the same place."""
    assert list(LIGHT.named) == list(DARK.named)
    assert colours(["cache read"], dark=True) == [DARK.named["cache read"]]


def test_a_name_is_a_value_and_nothing_else() -> None:
    """What was captured stands in columns, which Bokeh escapes: it is in no template, in no title and in no name of a column."""
    nasty = "<img src=x onerror=alert(1)> @{x}{safe} $x"
    chart = _bars(FRAME.with_columns(kind=pl.lit(nasty)))
    [plot] = drawn([chart])
    [hover] = [tool for tool in plot.tools if type(tool).__name__ == "HoverTool"]
    assert nasty not in str(hover.tooltips)
    assert "{safe}" not in str(hover.tooltips)
    assert _columns(chart)["n0"] == [nasty, nasty]
    assert not any(nasty in str(name) for name in _columns(chart))


def test_names_in_a_legend_are_escaped() -> None:
    """A legend shows names as text."""
    chart = _bars(FRAME.with_columns(kind=pl.concat_str(pl.lit("<b>"), "kind")))
    assert "&lt;b&gt;output" in said([chart])
    assert "<b>output" not in said([chart])


def test_lines_leave_out_what_is_not_known() -> None:
    """A line has a point where there is a value, and none where there is not; what is pointed at says so."""
    frame = pl.DataFrame({
        "at": [datetime(2026, 11, 1, hour, tzinfo=UTC) for hour in (1, 2, 3)] * 2, "line": ["p50"] * 3 + ["p99"] * 3,
        "value": [1.0, None, 3.0, 10.0, 20.0, 30.0],
    })  # fmt: skip
    chart = charts.lines(
        frame, "at", "line", "value", title="Time", unit="ms", dark=False, step=timedelta(hours=1), link=str
    )
    found = _columns(chart)
    assert found["t0"] == ["1 ms", "–", "3 ms"]
    assert found["label"][0] == "1 Nov 2026, 01:00 UTC"
    [plot] = drawn([chart])
    points = [part.data_source.data["y"] for part in plot.renderers if type(part.glyph).__name__ == "Scatter"]
    assert points == [[1.0, 3.0], [10.0, 20.0, 30.0]]


@pytest.mark.parametrize("chart", ["bars", "lines"])
@pytest.mark.parametrize(
    "frame", [FRAME.clear(), FRAME.with_columns(tokens=pl.lit(None, pl.Int64)), FRAME.with_columns(tokens=0)]
)
def test_where_there_is_nothing_it_says_so(chart: str, frame: pl.DataFrame) -> None:
    """A chart of nothing keeps its title and says that there is nothing."""
    found = getattr(charts, chart)(frame, "day", "kind", "tokens", title="Tokens by day", unit="tokens", dark=False)
    assert drawn([found]) == []
    assert "Tokens by day" in said([found])
    assert "Nothing to draw" in said([found])


def test_a_limit_is_within_the_chart() -> None:
    """A line across is seen also where all bars are below it."""
    [plot] = drawn([_bars(FRAME, limit=1000.0)])
    assert plot.y_range.end > 1000


@pytest.mark.parametrize(
    ("number", "step", "wanted"),
    [
        (5, timedelta(days=1), ["1 Nov", "2 Nov", "3 Nov", "4 Nov", "5 Nov"]),
        (25, timedelta(days=1), ["1 Nov", "4 Nov", "7 Nov", "10 Nov", "13 Nov", "16 Nov", "19 Nov", "22 Nov", "25 Nov"]),
        (4, timedelta(hours=1), ["1 Nov", "01:00", "02:00", "03:00"]),
        (30, timedelta(hours=1), ["1 Nov", "03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00", "2 Nov", "03:00"]),
        (1, timedelta(days=1), ["1 Nov"]),
    ],
)  # fmt: skip
def test_labels_do_not_run_into_each_other(number: int, step: timedelta, wanted: list[str]) -> None:
    """However many bars there are, at most a dozen have labels, at round places."""
    moments = pl.Series([datetime(2026, 11, 1, tzinfo=UTC) + step * each for each in range(number)])
    assert list(places(moments, step).ticks.values()) == wanted


def test_one_bar_is_no_wall() -> None:
    """A single day takes an eighth of the width."""
    along = places(pl.Series([date(2026, 11, 1)]))
    wide = along.range()
    assert (wide.end - wide.start) / along.slot == 8


@pytest.mark.parametrize(
    ("value", "unit", "wanted"),
    [
        (1234567, "tokens", "1,234,567 tokens"),
        (1.5, "USD", "$ 1.50"),
        (0.01234, "USD", "$ 0.0123"),
        (0.8125, "share", "81.2 %"),
        (900, "ms", "900 ms"),
        (12345, "ms", "12.35 s"),
        (71.24, "tok/s", "71.2 tok/s"),
        (None, "USD", "–"),
    ],
)
def test_a_figure_is_told_in_full(value: float | None, unit: str, wanted: str) -> None:
    """What is pointed at is told exactly, with its unit."""
    assert exact(value, unit) == wanted


@pytest.mark.parametrize(
    ("value", "wanted"), [(None, "–"), (0.0, "0 %"), (0.0001, "<0.1 %"), (0.041, "4.1 %"), (0.41, "41 %")]
)
def test_a_small_share_is_not_nothing(value: float | None, wanted: str) -> None:
    """Shares below a tenth have a digit more, and what is there is never told as zero."""
    assert Markup(share(value)).striptags() == wanted
