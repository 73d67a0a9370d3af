"""Charts, all in one look: the title says the question, axes have units, at most six series and then `other`.

Frames in, figures out, coloured for the theme that is shown. Refuses to know what the figures mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import panel as pn
import polars as pl
from bokeh.models import BoxAnnotation, ColumnDataSource, Span

from dashboards.axes import Places, exact, places
from dashboards.colours import OTHER, colours, palette
from dashboards.figures import blank, headed, nothing, point

MOST_SERIES = 6
HEIGHT = 190
Link = Callable[[Any], str]

__all__ = ["bars", "colours", "lines", "pair", "palette"]


def bars(
    frame: pl.DataFrame,
    x: str,
    series: str,
    value: str,
    *,
    title: str,
    unit: str,
    dark: bool,
    link: Link | None = None,
    order: Sequence[str] = (),
    shown: Callable[[str], str] = str,
    step: timedelta | None = None,
    limit: float | None = None,
    mark: float | None = None,
    note: str = "",
    height: int = HEIGHT,
) -> pn.Column:
    """Return stacked bars: a bar for each `x` (text, number, date or time), a piece for each `series`, as high as `value`.

    `unit` is what `axes.exact` knows (USD, ms, share, tok/s), else a word. `link` gives the address of a bar's `x`: a click goes
    there. `order` says how series stand and are coloured where they have no colour of their own; `shown` makes a name shorter.
    `step` is how long a bar lasts, where `x` is a time. `limit` is drawn as a line across, and `mark` is the number among `x` that
    is looked at. `note` stands by the title.
    """
    wide, names = _wide(frame, x, series, value, order)
    if not names:
        return nothing(title, height)
    shades, along = colours(names, dark=dark, order=order), places(wide[x], step)
    source = _source(wide, names, shown, unit, along, [link(item) for item in wide[x]] if link else None)
    plot = blank(along, max([*source.data["top"], limit or 0.0]), unit, dark=dark, height=height)
    stacked = [f"s{number}" for number in range(len(names))]
    plot.vbar_stack(stacked, x="x", width=along.width, color=shades, source=source, line_color=None)
    if limit is not None:
        plot.add_layout(Span(location=limit, dimension="width", line_color=palette(dark=dark).ink, line_dash="dashed"))
    if mark is not None:
        band = BoxAnnotation(left=mark - along.slot / 2, right=mark + along.slot / 2, fill_alpha=0.16, line_color=None)
        band.fill_color, band.level = palette(dark=dark).series[0], "underlay"
        plot.add_layout(band)
    point(plot, source, along, shades, dark=dark, whole=True)
    return headed(plot, title, note, list(zip(map(shown, names), shades, strict=True)))


def lines(
    frame: pl.DataFrame,
    x: str,
    series: str,
    value: str,
    *,
    title: str,
    unit: str,
    dark: bool,
    link: Link | None = None,
    order: Sequence[str] = (),
    shown: Callable[[str], str] = str,
    step: timedelta | None = None,
    note: str = "",
    height: int = HEIGHT,
    points: bool = True,
) -> pn.Column:
    """Return a line for each `series` over `x`, of the largest ones; what is null is left out. The rest is as in `bars`."""
    wide, names = _wide(frame.drop_nulls(value), x, series, value, order, rest=False)
    if not names:
        return nothing(title, height)
    shades, along = colours(names, dark=dark, order=order), places(wide[x], step)
    source = _source(wide, names, shown, unit, along, [link(item) for item in wide[x]] if link else None)
    top = max(value for number in range(len(names)) for value in source.data[f"s{number}"])
    plot = blank(along, 1.0 if unit == "share" else top, unit, dark=dark, height=height)
    for name, shade in zip(names, shades, strict=True):
        known = wide[name].is_not_null().to_list()
        at = [spot for spot, there in zip(along.spots, known, strict=True) if there]
        line = ColumnDataSource({"x": at, "y": wide[name].drop_nulls().to_list()})
        plot.line("x", "y", source=line, color=shade, line_width=2)
        if points:
            plot.scatter("x", "y", source=line, color=shade, size=5)
    point(plot, source, along, shades, dark=dark, whole=False)
    return headed(plot, title, note, list(zip(map(shown, names), shades, strict=True)))


def pair(*charts: pn.viewable.Viewable) -> pn.Row:
    """Return charts beside each other, on one line, however many lines their legends take."""
    for chart in charts:
        chart.align = "end"
    return pn.Row(*charts, sizing_mode="stretch_width", margin=0, styles={"gap": "32px"})


def _wide(
    frame: pl.DataFrame, x: str, series: str, value: str, order: Sequence[str], *, rest: bool = True
) -> tuple[pl.DataFrame, list[str]]:
    """Return a column for each series, and with `rest` one for those beyond MOST_SERIES; and their names in order."""
    named = frame.with_columns(pl.col(series).cast(pl.String).fill_null("–"))
    names = _most(named, series, value, order)
    among = pl.col(series).is_in(names)
    folded = pl.when(among).then(pl.col(series)).otherwise(pl.lit(OTHER)).alias(series)
    named = named.with_columns(folded) if rest else named.filter(among)
    if not names or named.is_empty():
        return named, []
    grouped = named.group_by(x, series).agg(pl.col(value).sum())
    sums = grouped.group_by(series).agg(pl.col(value).sum()).filter(pl.col(value) != 0)[series].to_list()
    wide = grouped.pivot(on=series, index=x, values=value, aggregate_function="first").sort(x)
    return wide, [*names, *([OTHER] if OTHER in sums else [])]


def _most(frame: pl.DataFrame, series: str, value: str, order: Sequence[str]) -> list[str]:
    """Return the series that are shown: the largest, in the order that is known of them, else the largest first."""
    sums = frame.group_by(series, maintain_order=True).agg(pl.col(value).sum())
    sums = sums.filter((pl.col(value) != 0) & (pl.col(series) != OTHER))
    names: list[str] = sums.sort(value, descending=True, nulls_last=True, maintain_order=True)[series].to_list()
    rank = {name: place for place, name in enumerate([*palette(dark=False).named, *order])}
    return sorted(names[:MOST_SERIES], key=lambda name: rank.get(name, len(rank)))


def _source(
    wide: pl.DataFrame, names: list[str], shown: Callable[[str], str], unit: str, along: Places, links: list[str] | None
) -> ColumnDataSource:
    """Return what is drawn: for each series its numbers, its name and its exact figures, in columns with names of our own."""
    columns: dict[str, list[Any]] = {"x": along.spots, "label": along.labels}
    for number, name in enumerate(names):
        columns[f"s{number}"] = wide[name].fill_null(0).to_list()
        columns[f"n{number}"] = [shown(name)] * wide.height
        columns[f"t{number}"] = [exact(each, unit) for each in wide[name]]
    columns["top"] = [sum(values) for values in zip(*(columns[f"s{n}"] for n in range(len(names))), strict=True)]
    columns["sum"] = [exact(each, unit) for each in columns["top"]]
    return ColumnDataSource({**columns, **({"href": links} if links is not None else {})})
