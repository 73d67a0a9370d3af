"""The tabs events and raw of an exchange: when the pieces of its answer came, and the exact bytes of both sides.

What is shown may be cut, and says so; what is copied and downloaded is whole. Refuses to know how it is fetched.
"""

from __future__ import annotations

import codecs
from typing import Any

import panel as pn
import polars as pl

from dashboards import downloads
from dashboards.arrivals import arrivals
from dashboards.data import answer, copies
from dashboards.data import exchange as data
from dashboards.view import View

SHOWN = 200_000  # bytes of a body
A_PAGE = 200  # events
LONG_MS = 500.0  # a gap that is marked is at least that long,
LONG_TIMES = 5  # and so many times the median
Row = dict[str, Any]


def events(view: View, row: Row) -> list[pn.viewable.Viewable]:
    """Return the events of a stream, with a chart."""
    frame = data.events(view.data, row["exchange_id"])
    if frame.is_empty():
        sentence = "The answer was no stream, or none came: there are no times of events."
        return [view.html("absence.html", title="No events", sentence=sentence)]
    first = min(view.route.number("from", 0), frame.height - 1)
    content, long_ms = first_content(frame, row["first_token_ms"]), long_gap(frame)
    said = answer.events(data.body(view.data, row["exchange_id"], "response").plain)
    table = view.html(
        "exchange_events.html", events=frame.slice(first, A_PAGE).to_dicts(), first=first, last=min(first + A_PAGE, frame.height),
        earlier=max(0, first - A_PAGE), number=frame.height, first_content=content, long_ms=long_ms,
        said=said if len(said) == frame.height else [],
    )  # fmt: skip
    fetch = downloads.downloads(
        view, f"events-{row['exchange_id'][-12:]}", lambda: data.events(view.data, row["exchange_id"])
    )
    return [arrivals(frame, content, long_ms, dark=view.dark), table, fetch]


def first_content(frame: pl.DataFrame, first_token_ms: float | None) -> int | None:
    """Return the position of the event that brought the first piece of content."""
    if first_token_ms is None:
        return None
    found = frame.filter(pl.col("at_ms") >= first_token_ms - 0.0005)["position"]
    return int(found[0]) if found.len() else None


def long_gap(frame: pl.DataFrame) -> float:
    """Return from which length on a gap is marked."""
    median = frame.filter(pl.col("position") > 0)["gap_ms"].median()
    return max(LONG_MS, LONG_TIMES * float(median or 0))  # type: ignore[arg-type]


def raw(view: View, row: Row) -> list[pn.viewable.Viewable]:
    """Return the bodies as text, and what fetches them whole; where the request was translated, what went up as well."""
    exchange, name = row["exchange_id"], row["exchange_id"][-12:]
    titles = _titles(view, row)

    def of(side: str) -> tuple[list[tuple[str, str]], data.Body]:
        """Return headers and body of a side."""
        return data.headers(view.data, exchange, side)[0], data.body(view.data, exchange, side)

    def curl() -> str:
        """Return the command for curl."""
        found, body = of("request")
        return copies.curl(row, found, body.raw or b"", f"request-{name}.json")

    def everything() -> str:
        """Return all of it as JSON."""
        facts = {column: row[column] for column in row if column not in ("tries", "lost")}
        sides = {side: of(side) for side in titles}
        return copies.document(facts, {side: (found, body.plain) for side, (found, body) in sides.items()})

    found: list[pn.viewable.Viewable] = [
        downloads.row(
            downloads.copy("copy as cURL", curl),
            downloads.copy("copy as JSON", everything),
            downloads.file("download as JSON", f"exchange-{name}.json", lambda: everything().encode()),
            label="the whole exchange:",
        )
    ]
    for side, title in titles.items():
        body = data.body(view.data, exchange, side)
        found.append(_shown(view, title, body))
        if body.raw:
            ending = "txt" if side == "response" else "json"
            found.append(_fetch(view, exchange, side, f"{side}-{name}.{ending}"))
    return found


def _titles(view: View, row: Row) -> dict[str, str]:
    """Return what the bodies that there are are called."""
    if not row["endpoint"]:
        return {"request": "Request", "response": "Response"}
    response = {"response": f"Response, as {row['provider']} sent it"}
    if data.body(view.data, row["exchange_id"], "sent").raw is None:
        return {"request": "Request", **response}
    sent = f"Request, as it went up to {row['provider']}"
    return {"request": "Request, as the client sent it", "sent": sent, **response}


def _shown(view: View, title: str, body: data.Body) -> pn.pane.HTML:
    """Return the beginning of a body, in whole characters; what is no UTF-8 is replaced."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    shown = decoder.decode(body.plain[:SHOWN], final=len(body.plain) <= SHOWN)
    return view.html(
        "exchange_raw.html", title=title, body=body, shown=shown, raw_bytes=len(body.raw or b""),
        plain_bytes=len(body.plain), shown_bytes=min(SHOWN, len(body.plain)),
    )  # fmt: skip


def _fetch(view: View, exchange: str, side: str, filename: str) -> pn.Row:
    return downloads.row(
        downloads.copy(
            "copy what went up" if side == "sent" else f"copy the {side}",
            lambda: data.body(view.data, exchange, side).text,
        ),
        downloads.file("download its exact bytes", filename, lambda: data.body(view.data, exchange, side).raw or b""),
    )
