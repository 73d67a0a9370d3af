"""An empty figure in our look, what happens where it is pointed at or clicked, and its title with the legend.

What was captured comes in as values of columns, and Bokeh escapes these; the template escapes titles and names. Refuses to know
what is drawn.
"""

from __future__ import annotations

import panel as pn
from bokeh.models import ColumnDataSource, CustomJS, HoverTool, TapTool
from bokeh.plotting import figure

from dashboards import rendering
from dashboards.axes import Places, numbers
from dashboards.colours import palette
from dashboards.view import pane

_GO = (
    "const at = source.selected.indices[0]; if (at === undefined) return; source.selected.indices = [];"
    " history.pushState({}, '', source.data.href[at]); dispatchEvent(new PopStateEvent('popstate'));"
)


def blank(along: Places, top: float, unit: str, *, dark: bool, height: int) -> figure:
    """Return an empty figure whose numbers go up to `top`."""
    shades = palette(dark=dark)
    plot = figure(
        height=height, sizing_mode="stretch_width", toolbar_location=None, tools="", background_fill_alpha=0, border_fill_alpha=0,
        outline_line_color=None, min_border_left=68, min_border_right=8, min_border_top=6, min_border_bottom=28,
        x_range=along.range(), y_range=(0, top * 1.05 or 1),
    )  # fmt: skip
    along.dress(plot.xaxis[0])
    plot.yaxis.axis_label = unit
    plot.yaxis.formatter = numbers(unit)
    plot.yaxis.ticker.desired_num_ticks = 4
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


def point(plot: figure, source: ColumnDataSource, along: Places, shades: list[str], *, dark: bool, whole: bool) -> None:
    """Let the pointer anywhere at a place tell its figures, and their sum with `whole`; a click there goes to its `href`."""
    slot = plot.vbar(
        x="x", bottom=0, top=plot.y_range.end, width=along.slot, source=source, fill_alpha=0, line_color=None,
        hover_fill_color=palette(dark=dark).quiet, hover_fill_alpha=0.12, hover_line_color=None,
        nonselection_fill_alpha=0, selection_fill_alpha=0, nonselection_line_color=None, selection_line_color=None,
    )  # fmt: skip
    cell = '<td style="text-align: right; padding: 0'
    rows = "".join(
        f'<tr><td style="padding: 0 16px 0 0"><span style="display: inline-block; width: 9px; height: 9px; margin-right: 6px;'
        f' background: {shade}"></span>@n{number}</td>{cell}">@t{number}</td></tr>'
        for number, shade in reversed(list(enumerate(shades)))
    )
    total = f'<tr><td></td>{cell}; border-top: 1px solid">@sum</td></tr>' if whole and len(shades) > 1 else ""
    tip = (
        '<div style="font-size: 12px; line-height: 1.5; white-space: nowrap"><b>@label</b>'
        f'<table style="border-spacing: 0; font-variant-numeric: tabular-nums">{rows}{total}</table></div>'
    )
    plot.add_tools(
        HoverTool(
            renderers=[slot], tooltips=tip, point_policy="follow_mouse", attachment="horizontal", show_arrow=False
        )
    )
    if "href" in source.data:
        plot.add_tools(TapTool(renderers=[slot]))
        source.selected.js_on_change("indices", CustomJS(args={"source": source}, code=_GO))


def headed(plot: figure, title: str, note: str, keys: list[tuple[str, str]]) -> pn.Column:
    """Return a figure below its title and legend: pairs of a name and its colour."""
    head = pane(rendering.render("chart.html", title=title, note=note, keys=keys if len(keys) > 1 else []))
    return pn.Column(
        head, pn.pane.Bokeh(plot, sizing_mode="stretch_width", margin=0), sizing_mode="stretch_width", margin=0
    )


def nothing(title: str, height: int) -> pn.Column:
    """Return what stands where there is nothing to draw: as high as a chart, so that nothing jumps."""
    head = pane(rendering.render("chart.html", title=title, note="", keys=[]))
    said = pane('<p class="quiet">Nothing to draw in this range.</p>')
    return pn.Column(head, said, sizing_mode="stretch_width", margin=0, min_height=height)
