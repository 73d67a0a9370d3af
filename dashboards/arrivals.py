"""The chart of a stream: how many events had come at which moment, where the content began, and where nothing came for long.

Refuses to know what is a long gap.
"""

from __future__ import annotations

import panel as pn
import polars as pl
from bokeh.models import ColumnDataSource, HoverTool
from bokeh.models.annotations import BoxAnnotation, Span

from dashboards.axes import Places, exact, numbers
from dashboards.colours import palette
from dashboards.figures import blank, headed

MOST_POINTS = 4000
MOST_GAPS = 40
HEIGHT = 190


def arrivals(events: pl.DataFrame, first_content: int | None, long_ms: float, *, dark: bool) -> pn.Column:
    """Return the chart of a stream's events. `first_content` is the position of the first piece of content."""
    shades = palette(dark=dark)
    line, mark, gap = shades.named["input"], shades.named["output"], shades.named["cache write 5 m"]
    end = float(events["at_ms"].max() or 0)  # type: ignore[arg-type]
    along = Places([0.0, end], [], 1.0, 0.0, whole=True)
    plot = blank(along, float(events.height), "events so far", dark=dark, height=HEIGHT)
    plot.xaxis.formatter = numbers("ms")
    plot.xaxis.axis_label = "since the start of the request"
    for at, length in _gaps(events, long_ms):
        plot.add_layout(BoxAnnotation(left=at - length, right=at, fill_color=gap, fill_alpha=0.25, line_color=None))
    if first_content is not None:
        at = events["at_ms"][first_content]
        plot.add_layout(Span(location=at, dimension="height", line_color=mark, line_width=2, line_dash="dashed"))
    step = -(-events.height // MOST_POINTS)
    shown = events.gather_every(max(step, 1))
    source = ColumnDataSource(
        {
            "x": shown["at_ms"].to_list(),
            "y": (shown["position"] + 1).to_list(),
            "kind": shown["kind"].to_list(),
            "at": [exact(value, "ms") for value in shown["at_ms"]],
            "gap": [exact(value, "ms") for value in shown["gap_ms"]],
            "bytes": [f"{value or 0:,}" for value in shown["bytes"]],
        }
    )
    plot.step("x", "y", source=source, mode="after", color=line, line_width=2)
    dots = plot.scatter("x", "y", source=source, color=line, size=4)
    tips = [("event", "@y"), ("kind", "@kind"), ("at", "@at"), ("gap", "@gap"), ("bytes", "@bytes")]
    plot.add_tools(
        HoverTool(renderers=[dots], tooltips=tips, mode="vline", line_policy="nearest", point_policy="follow_mouse")
    )
    keys = [("events so far", line)]
    if first_content is not None:
        keys.append(("first content", mark))
    if any(_gaps(events, long_ms)):
        keys.append((f"nothing for {exact(long_ms, 'ms')} or more", gap))
    note = f"one of {step} events is drawn" if step > 1 else ""
    return headed(plot, "When did its events arrive?", note, keys)


def _gaps(events: pl.DataFrame, long_ms: float) -> list[tuple[float, float]]:
    """Return end and length of the longest gaps; the wait for the first event is none."""
    long = events.filter((pl.col("gap_ms") >= long_ms) & (pl.col("position") > 0))
    return long.sort("gap_ms", descending=True).head(MOST_GAPS).select("at_ms", "gap_ms").rows()
