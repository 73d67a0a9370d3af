"""Buttons that fetch something whole: a table as CSV or Parquet, a body as a file, a text into the clipboard.

It is made when the button is pressed, and goes through the open connection: nothing is cut, and no address gives it away. Panel's
own button for files cannot be pressed by keyboard, and copies nothing. Refuses to know what is fetched.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from itertools import count
from typing import Any

import panel as pn
import polars as pl

from dashboards import rendering
from dashboards.data import TroubleError
from dashboards.view import View, pane

CSS = """
:host { margin: 0; }
.bk-btn.bk-btn-default, .bk-btn.bk-btn-default:active { font: 12px/1.5 var(--sans); color: var(--accent) !important;
  background: none !important; border: 0; padding: 0 6px;
  box-shadow: none; min-height: 0; }
.bk-btn.bk-btn-default:hover { background: none !important; text-decoration: underline; }
.bk-btn.bk-btn-default:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; border-radius: 3px; }
"""
# Says what arrives: `number:sort:content`, sort being `bytes` (in base64), `text`, or `wrong`.
_SCRIPT = """
const say = word => { button.label = word; setTimeout(() => { button.label = label; }, 1500); };
const arrived = new Promise((done, failed) => {
  const once = () => {
    carrier.properties.value.change.disconnect(once);
    const [, sort, content] = carrier.value.match(/^[0-9]+:([a-z]+):([^]*)$/);
    carrier.value = "";
    if (sort === "wrong") failed(); else done(content);
  };
  carrier.properties.value.change.connect(once);
});
if (act === "copy") {
  if (!navigator.clipboard) { say("only with https or on localhost"); return; }
  const blob = arrived.then(text => new Blob([text], { type: "text/plain" }));
  const written = window.ClipboardItem ? navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })])
    : arrived.then(text => navigator.clipboard.writeText(text));
  written.then(() => say("copied"), () => say("not copied"));
} else {
  arrived.then(content => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([Uint8Array.from(atob(content), letter => letter.charCodeAt(0))]));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    say("downloaded");
  }, () => say("not downloaded"));
}
"""
_numbers = count(1)


def downloads(view: View, name: str, make: Callable[[], pl.DataFrame]) -> pn.Row:
    """Return a small row that downloads a table as CSV or Parquet. `name` is the file's, without its ending."""
    day = f"{view.now:%Y-%m-%d}"
    return row(
        file("CSV", f"ccproxy-{name}-{day}.csv", lambda: _csv(make())),
        file("Parquet", f"ccproxy-{name}-{day}.parquet", lambda: _parquet(make())),
        label="download",
    )


def file(label: str, filename: str, make: Callable[[], bytes]) -> pn.Row:
    """Return a button that downloads what `make` gives."""
    return _button(label, "download", filename, lambda: f"bytes:{base64.b64encode(make()).decode()}")


def copy(label: str, make: Callable[[], str]) -> pn.Row:
    """Return a button that copies what `make` gives, whole."""
    return _button(label, "copy", "", lambda: f"text:{rendering.whole(make())}")


def row(*buttons: pn.Row, label: str = "") -> pn.Row:
    """Return buttons beside each other."""
    said = [pane(f'<span class="quiet" style="font-size: 12px">{rendering.escaped(label)}</span>')] if label else []
    for part in said:
        part.sizing_mode = None
    return pn.Row(*said, *buttons, margin=(4, 0))


def _button(label: str, act: str, filename: str, make: Callable[[], str]) -> pn.Row:
    carrier = pn.widgets.TextInput(visible=False, margin=0)
    trouble = pane("")
    trouble.sizing_mode = None
    button = pn.widgets.Button(label=label, stylesheets=[CSS], margin=0)

    def answer(_event: object) -> None:
        """Give what was asked for, or say why not."""
        try:
            carrier.value, trouble.object = f"{next(_numbers)}:{make()}", ""
        except TroubleError as error:
            carrier.value, trouble.object = (
                f"{next(_numbers)}:wrong:",
                f'<span class="bad">{rendering.escaped(str(error))}</span>',
            )

    button.jscallback(
        args={"carrier": carrier, "act": act, "name": filename, "button": button, "label": label}, clicks=_SCRIPT
    )
    button.on_click(answer)
    return pn.Row(button, carrier, trouble, margin=0)


def _csv(frame: pl.DataFrame) -> bytes:
    """Return a table as CSV; what CSV cannot hold stands in it as JSON."""
    nested = [name for name, kind in frame.schema.items() if kind.is_nested()]
    return frame.with_columns(pl.col(nested).map_elements(_json, pl.String) if nested else []).write_csv().encode()


def _json(value: Any) -> str:
    return rendering.pretty(value.to_list() if isinstance(value, pl.Series) else value)


def _parquet(frame: pl.DataFrame) -> bytes:
    whole = io.BytesIO()
    frame.write_parquet(whole)
    return whole.getvalue()
