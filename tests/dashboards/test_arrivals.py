"""The chart of a stream: its points, its mark, and its gaps."""

from __future__ import annotations

import panel as pn
import polars as pl
import pytest
from bokeh.models import BoxAnnotation, GlyphRenderer, Span

from dashboards.arrivals import MOST_POINTS, arrivals


def _events(number: int, slow: dict[int, float]) -> pl.DataFrame:
    gaps = [slow.get(place, 10.0) for place in range(number)]
    frame = pl.DataFrame(
        {"position": range(number), "gap_ms": gaps, "kind": ["text_delta"] * number, "bytes": [100] * number}
    )
    return frame.with_columns(pl.col("gap_ms").cum_sum().alias("at_ms"))


def _drawn(chart: pn.Column) -> tuple[dict[str, list[object]], list[Span], list[BoxAnnotation], str]:
    head, pane = chart.objects
    plot = pane.object
    source = plot.select(GlyphRenderer)[0].data_source.data
    return source, list(plot.select(Span)), list(plot.select(BoxAnnotation)), str(head.object)


@pytest.mark.parametrize("dark", [False, True])
def test_events_first_content_and_gaps_are_drawn(dark: bool) -> None:
    """Each event is a point at its time; the first content is marked, and so is each gap that is long."""
    source, spans, gaps, head = _drawn(arrivals(_events(5, {0: 900.0, 3: 700.0}), 1, 500.0, dark=dark))
    assert (source["x"], source["y"]) == ([900.0, 910.0, 920.0, 1620.0, 1630.0], [1, 2, 3, 4, 5])
    assert [span.location for span in spans] == [910.0]
    assert [(gap.left, gap.right) for gap in gaps] == [(920.0, 1620.0)]
    for words in ("events so far", "first content", "nothing for 500 ms or more"):
        assert words in head


def test_a_stream_without_content_has_no_mark() -> None:
    """Nothing is marked where there is nothing: neither content nor gaps."""
    _, spans, gaps, head = _drawn(arrivals(_events(1, {}), None, 500.0, dark=False))
    assert (spans, gaps) == ([], [])
    assert "first content" not in head


def test_many_events_are_thinned() -> None:
    """Of very many events some are drawn, and the chart says so."""
    source, _, _, head = _drawn(arrivals(_events(3 * MOST_POINTS, {}), 0, 500.0, dark=False))
    assert len(source["x"]) == MOST_POINTS
    assert "one of 3 events is drawn" in head
