"""How the tables and charts of these notebooks look: the same colours everywhere, and pictures that need no internet.

Every notebook imports it first. Refuses to know what is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from html import escape
from typing import Any

import altair as alt
import polars as pl
from IPython import get_ipython

INK, QUIET, LINE, FAINT, ACCENT, RED = (
    "#1d1f21",
    "#63676c",
    "#dcdcd7",
    "#efefec",
    "#1f5fbf",
    "#b3261e",
)
TOKENS = {
    "cache read": "#1c7a43",
    "cache write": "#c48a1a",
    "input": "#1f5fbf",
    "output": "#7a5ea8",
}
CACHE = {"hit": "#1c7a43", "partial": "#c48a1a", "miss": RED}
TIME = {
    "waiting": "#7fa6dd",
    "thinking": "#7a5ea8",
    "answering": "#1f5fbf",
    "tools": "#8a8f98",
    "person": LINE,
    "retrying": RED,
}
CONTENT = {
    "system and tools": "#4f5459",
    "MCP tools": "#b9bec4",
    "memory and reminders": "#b5577d",
    "you": "#1f5fbf",
    "Claude": "#7fa6dd",
    "tool results": "#a3672c",
}
PERCENTILES = {"p50": "#2c8c86", "p90": "#1f5fbf", "p99": "#7a5ea8"}
OTHERS = (
    "#1f5fbf",
    "#7a5ea8",
    "#2c8c86",
    "#a3672c",
    "#b5577d",
    "#5d7287",
)  # for names without a colour of their own

ROWS, CHARACTERS = 20, 90  # as much of a frame, and of a text in it, as is shown


def series(column: str, colours: Mapping[str, str]) -> dict[str, Any]:
    """Return how a column is encoded whose values have these colours: they are stacked as they are listed."""
    colours = colours or {"nothing": LINE}  # a legend of nothing cannot be drawn
    shades = alt.Scale(domain=list(colours), range=list(colours.values()))
    return {
        "color": alt.Color(f"{column}:N", scale=shades, sort=list(colours)),
        "order": alt.Order(f"color_{column}_sort_index:Q"),
    }


def distinct(names: pl.Series) -> dict[str, str]:
    """Return a colour for each of up to six names that have none of their own."""
    return dict(zip(names.unique().drop_nulls().sort(), OTHERS, strict=False))


def table(frame: pl.DataFrame) -> str:
    """Return the first rows of a frame as HTML: texts without quotes, numbers with separators, moments to the second."""
    shown = frame.head(ROWS)
    sides = ["right" if kind.is_numeric() else "left" for kind in frame.dtypes]
    columns = [_column(column) for column in shown]
    rows = [
        _row("th", sides, map(escape, frame.columns)),
        *(_row("td", sides, row) for row in zip(*columns, strict=True)),
    ]
    more = frame.height - ROWS
    note = f"and {more:,} more rows" if more > 0 else "" if frame.height else "no rows"
    return f"<table>{''.join(rows)}</table><div style='color: {QUIET}'>{note}</div>"


def _row(tag: str, sides: list[str], cells: Iterable[str]) -> str:
    shown = (
        f"<{tag} style='text-align: {side}'>{cell}</{tag}>"
        for side, cell in zip(sides, cells, strict=True)
    )
    return f"<tr>{''.join(shown)}</tr>"


def _column(column: pl.Series) -> list[str]:
    decimals = 0
    if column.dtype.is_float():  # as many as the column needs, but for what is beyond the fourth
        decimals = max(
            (len(f"{value:.4f}".rstrip("0").partition(".")[2]) for value in column.drop_nulls()),
            default=0,
        )
    return [_cell(value, decimals) for value in column]


def _cell(value: Any, decimals: int) -> str:
    match value:
        case None:
            return f"<span style='color: {QUIET}'>–</span>"
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return f"{value:,.{decimals}f}"
        case datetime():
            return f"<span style='white-space: nowrap'>{value:%a %d %b %H:%M:%S}</span>"
        case pl.Series():
            value = ", ".join(map(str, value))
    text = str(value)
    return escape(text if len(text) <= CHARACTERS else text[:CHARACTERS] + "…")


def _settings() -> Iterator[tuple[str, Any]]:
    yield (
        "axis",
        {
            "labelColor": QUIET,
            "titleColor": QUIET,
            "titleFontWeight": "normal",
            "gridColor": FAINT,
            "domainColor": LINE,
            "tickColor": LINE,
            "labelLimit": 320,
        },
    )
    yield (
        "legend",
        {"title": None, "orient": "top", "labelColor": INK, "symbolType": "square", "offset": 4},
    )
    yield "text", {"color": QUIET, "fontSize": 10}
    yield (
        "title",
        {"anchor": "start", "fontSize": 15, "fontWeight": 600, "color": INK, "offset": 12},
    )
    yield (
        "view",
        {"continuousWidth": 640, "continuousHeight": 260, "discreteWidth": 640, "stroke": None},
    )
    yield "font", "DejaVu Sans, Helvetica, Arial, sans-serif"


@alt.theme.register("notebook", enable=True)
def theme() -> alt.theme.ThemeConfig:
    """Return how charts look where they do not say it themselves."""
    return alt.theme.ThemeConfig({"background": "white", "config": dict(_settings())})


# Pictures are drawn here, by vl-convert: the page that shows them fetches nothing.
alt.renderers.enable("png", ppi=144)
if shell := get_ipython():
    shell.display_formatter.formatters["text/html"].for_type(pl.DataFrame, table)
