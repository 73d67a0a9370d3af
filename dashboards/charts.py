"""Charts, all in one look: the title says the question, axes have units, at most six series and then `other`.

Frames in, Bokeh figures out, coloured for the theme that is shown. Refuses to know what the figures mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import panel as pn
import polars as pl
from bokeh.models import ColumnDataSource, CustomJS, HoverTool, NumeralTickFormatter, TapTool
from bokeh.plotting import figure

MOST_SERIES = 6
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a theme. `series` in the order in which they are used; what has a meaning has a name."""

    ink: str
    quiet: str
    line: str
    surface: str
    series: tuple[str, ...]
    named: dict[str, str]


LIGHT = Palette(
    "#1d1f21", "#63676c", "#dcdcd7", "#fcfcfb", ("#1f5fbf", "#7a5ea8", "#2c8c86", "#a3672c", "#8a8f98", "#b5577d", "#c9ccd0"),
    {"cache read": "#1c7a43", "cache write 5 m": "#c48a1a", "cache write 1 h": "#8f5a00", "input": "#1f5fbf", "output": "#7a5ea8",
     "error": "#b3261e", "model": "#1f5fbf", "tools": "#8a8f98", "person": "#dcdcd7"},
)  # fmt: skip
DARK = Palette(
    "#e4e6e8", "#9aa1a8", "#363b40", "#16181a", ("#7db0f5", "#b79ee6", "#63c2bb", "#d9a066", "#8a9199", "#e08bb0", "#4a5057"),
    {"cache read": "#6fc98f", "cache write 5 m": "#e0b15a", "cache write 1 h": "#a97d2a", "input": "#7db0f5", "output": "#b79ee6",
     "error": "#f28b82", "model": "#7db0f5", "tools": "#8a9199", "person": "#363b40"},
)  # fmt: skip


def palette(*, dark: bool) -> Palette:
    """Return the colours of a theme."""
    return DARK if dark else LIGHT


def colours(names: Sequence[str], *, dark: bool) -> list[str]:
    """Return a colour for each name: its own where it has a meaning, else the next of the series; `other` is always the last."""
    found, free = palette(dark=dark), iter(palette(dark=dark).series[:-1] * 4)
    return [found.series[-1] if name == OTHER else found.named.get(name) or next(free) for name in names]


def bars(
    frame: pl.DataFrame,
    x: str,
    series: str,
    value: str,
    *,
    title: str,
    unit: str,
    dark: bool,
    link: str = "",
    height: int = 220,
) -> pn.pane.Bokeh:
    """Return stacked bars: a bar for each `x` (text, date or time), a piece for each `series`, as high as `value`.

    `link` is an address with `{x}`: a click on a bar goes there.
    """
    wide, names = _wide(frame, x, series, value)
    labels = [_label(item) for item in wide[x]]
    source = ColumnDataSource({"x": labels, **{name: wide[name].fill_null(0).to_list() for name in names}})
    plot = _figure(title, unit, dark, height, x_range=labels)
    shades = colours(names, dark=dark)
    parts = plot.vbar_stack(
        names,
        x="x",
        width=0.8,
        color=shades,
        source=source,
        legend_label=[str(name) for name in names],
        line_color=None,
    )
    for name, part in zip(names, parts, strict=True):
        plot.add_tools(HoverTool(renderers=[part], tooltips=[("", "@x"), (name, f"@{{{name}}}{{0,0.[0000]}} {unit}")]))
    _thin(plot, len(labels))
    if link:
        _clicks(plot, source, link)
    return _pane(plot, dark, legend=len(names) > 1)


def lines(
    frame: pl.DataFrame,
    x: str,
    series: str,
    value: str,
    *,
    title: str,
    unit: str,
    dark: bool,
    height: int = 220,
    points: bool = True,
) -> pn.pane.Bokeh:
    """Return a line for each `series` over `x` (times or numbers)."""
    names = _most(frame, series, value)
    plot = _figure(title, unit, dark, height, x_axis_type="datetime" if frame.schema[x].is_temporal() else "auto")
    for name, shade in zip(names, colours(names, dark=dark), strict=True):
        part = frame.filter(pl.col(series) == name).sort(x).drop_nulls(value)
        source = ColumnDataSource({"x": part[x].to_list(), "y": part[value].to_list()})
        drawn = plot.line("x", "y", source=source, color=shade, line_width=2, legend_label=str(name))
        if points:
            drawn = plot.scatter("x", "y", source=source, color=shade, size=5, legend_label=str(name))
        times = frame.schema[x].is_temporal()
        tip = ("", "@x{%F %R}") if times else (x, "@x{0,0.[00]}")
        plot.add_tools(
            HoverTool(
                renderers=[drawn],
                tooltips=[tip, (str(name), f"@y{{0,0.[0000]}} {unit}")],
                formatters={"@x": "datetime"} if times else {},
            )
        )
    return _pane(plot, dark, legend=len(names) > 1)


def _wide(frame: pl.DataFrame, x: str, series: str, value: str) -> tuple[pl.DataFrame, list[str]]:
    """Return a column for each series, the largest first, and those beyond MOST_SERIES as one."""
    names = _most(frame, series, value)
    named = frame.with_columns(
        pl.when(pl.col(series).is_in(names)).then(pl.col(series)).otherwise(pl.lit(OTHER)).alias(series)
    )
    grouped = named.group_by(x, series).agg(pl.col(value).sum()).sort(x)
    wide = grouped.pivot(on=series, index=x, values=value, aggregate_function="sum").sort(x)
    return wide, [name for name in [*names, OTHER] if name in wide.columns]


def _most(frame: pl.DataFrame, series: str, value: str) -> list[str]:
    sums = frame.group_by(series, maintain_order=True).agg(pl.col(value).sum())
    names: list[str] = (
        sums.sort(value, descending=True, nulls_last=True, maintain_order=True)[series].cast(pl.String).to_list()
    )
    fixed = [name for name in LIGHT.named if name in names]  # the same measure has the same order everywhere
    return [*fixed, *(name for name in names if name not in fixed)][:MOST_SERIES]


def _label(value: object) -> str:
    return f"{value:%Y-%m-%d %H:%M}".removesuffix(" 00:00") if hasattr(value, "strftime") else str(value)


def _figure(title: str, unit: str, dark: bool, height: int, **options: object) -> figure:
    shades = palette(dark=dark)
    plot = figure(
        title=title, height=height, sizing_mode="stretch_width", toolbar_location=None, tools="", background_fill_alpha=0,
        border_fill_alpha=0, outline_line_color=None, min_border_right=16, **options,
    )  # fmt: skip
    plot.title.text_color, plot.title.text_font_size, plot.title.text_font_style = shades.ink, "13px", "normal"
    plot.yaxis.axis_label = unit
    plot.yaxis.formatter = NumeralTickFormatter(format="0.[00]a")
    for axis in (*plot.xaxis, *plot.yaxis):
        axis.axis_line_color = axis.major_tick_line_color = shades.line
        axis.minor_tick_line_color = None
        axis.major_label_text_color = axis.axis_label_text_color = shades.quiet
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size = axis.major_label_text_font_size = "11px"
    plot.xgrid.grid_line_color = None
    plot.ygrid.grid_line_color = shades.line
    plot.ygrid.grid_line_alpha = 0.6
    return plot


def _thin(plot: figure, number: int) -> None:
    """Keep labels of bars from running into each other."""
    if number > 12:
        plot.xaxis.major_label_orientation = 0.9
    if number > 40:
        plot.xaxis.major_label_text_font_size = "0px"


def _clicks(plot: figure, source: ColumnDataSource, link: str) -> None:
    tap = TapTool()
    code = (
        "const at = source.selected.indices[0]; if (at === undefined) return; source.selected.indices = [];"
        " const go = link.replace('{x}', encodeURIComponent(source.data.x[at])); history.pushState({}, '', go);"
        " dispatchEvent(new PopStateEvent('popstate'));"
    )
    source.selected.js_on_change("indices", CustomJS(args={"source": source, "link": link}, code=code))
    plot.add_tools(tap)


def _pane(plot: figure, dark: bool, *, legend: bool) -> pn.pane.Bokeh:
    if plot.legend:
        shades, box = palette(dark=dark), plot.legend[0]
        box.visible = legend
        box.label_text_color, box.label_text_font_size = shades.quiet, "11px"
        box.background_fill_alpha = box.border_line_alpha = 0
        box.orientation, box.padding, box.spacing, box.glyph_width, box.glyph_height = "horizontal", 0, 12, 10, 10
        plot.add_layout(box, "above")
    return pn.pane.Bokeh(plot, sizing_mode="stretch_width", margin=(8, 0))
