"""HTML from templates, in which everything is escaped; and how figures are written.

The one way for captured text into a page. Units are lighter, thousands separated, times exact on hover. Refuses to know where values
come from.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup, escape

FOLDER = resources.files("dashboards") / "templates"
CSS = (FOLDER / "theme.css").read_text("utf-8")
SCRIPT = "\n".join((FOLDER / name).read_text("utf-8") for name in ("page.js", "parts.js"))
_HALF = re.compile("[\ud800-\udfff]")
NOTHING = Markup('<span class="none">–</span>')


def tokens(value: float | None) -> Markup:
    """Return a number of tokens, short: 950, 12 k, 4.1 M; the exact one on hover."""
    if value is None:
        return NOTHING
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return Markup('<span class="n" title="{:,.0f}">{}<i> {}</i></span>').format(
                value, _three(value / size), unit
            )
    return Markup('<span class="n">{:,.0f}</span>').format(value)


def _three(value: float) -> str:
    return f"{value:.1f}" if abs(value) < 9.95 else f"{value:.0f}"


def count(value: float | None) -> Markup:
    """Return a whole number."""
    return NOTHING if value is None else Markup('<span class="n">{:,.0f}</span>').format(value)


def usd(value: float | None) -> Markup:
    """Return an amount of money; small ones with more digits; unknown ones say so."""
    if value is None:
        return Markup('<span class="none" title="no price is known for the model">$ ?</span>')
    digits = 2 if abs(value) >= 1 or value == 0 else 3 if abs(value) >= 0.1 else 4
    return Markup('<span class="n" title="$ {:.6f}"><i>$ </i>{:,.{}f}</span>').format(value, value, digits)


def duration(ms: float | None) -> Markup:
    """Return a time span: 640 ms, 2.4 s, 13.2 min, 3.1 h."""
    if ms is None:
        return NOTHING
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")):
        if abs(ms) >= size:
            return Markup('<span class="n" title="{:,.0f} ms">{}<i> {}</i></span>').format(ms, _three(ms / size), unit)
    return Markup('<span class="n">{:.0f}<i> ms</i></span>').format(ms)


def size(value: float | None) -> Markup:
    """Return a number of bytes: 310 B, 3.1 kB, 4.0 MB."""
    if value is None:
        return NOTHING
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(value) >= limit:
            return Markup('<span class="n" title="{:,.0f} bytes">{}<i> {}</i></span>').format(
                value, _three(value / limit), unit
            )
    return Markup('<span class="n">{:,.0f}<i> B</i></span>').format(value)


def percent(share: float | None) -> Markup:
    """Return a share as per cent."""
    return NOTHING if share is None else Markup('<span class="n">{:.0f}<i> %</i></span>').format(share * 100)


def share(value: float | None) -> Markup:
    """Return a small share as per cent: with a digit more below 10 %, and never 0 where there is something."""
    if value is None or value == 0 or value >= 0.1:
        return percent(value)
    return Markup('<span class="n">{}<i> %</i></span>').format("<0.1" if value < 0.0005 else f"{value * 100:.1f}")


def rate(value: float | None) -> Markup:
    """Return tokens per second."""
    return NOTHING if value is None else Markup('<span class="n">{:.0f}<i> tok/s</i></span>').format(value)


def moment(value: datetime | None, form: str = "time") -> Markup:
    """Return a time in the viewer's zone, which the browser knows; exact on hover. `form`: time, date, full."""
    if value is None:
        return NOTHING
    value = value.astimezone(UTC)
    shown = {"time": "%H:%M:%S", "date": "%Y-%m-%d", "full": "%Y-%m-%d %H:%M:%S"}[form]
    return Markup('<time class="n" datetime="{}" data-form="{}" title="{} UTC">{}</time>').format(
        value.isoformat(), form, value.strftime("%Y-%m-%d %H:%M:%S.%f"), value.strftime(shown)
    )


def pretty(value: Any) -> str:
    """Return a value as readable JSON; a text that is JSON as that; any other as it is."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return str(value)
    return json.dumps(value, indent=2, ensure_ascii=False)


def short(model: str | None) -> str:
    """Return a model's name without what all names have."""
    return (model or "–").removeprefix("claude-")


def plural(number: int, word: str) -> str:
    """Return `1 turn`, `2 turns`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def environment() -> jinja2.Environment:
    """Return the templates. What is not known to them is an error, not an empty text."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("dashboards", "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    filters = (tokens, count, usd, duration, size, percent, share, rate, moment, pretty, short, plural)
    found.filters |= {filter_.__name__: filter_ for filter_ in filters}
    return found


_TEMPLATES = environment()


def render(template: str, **values: object) -> str:
    """Render a template of `templates/`."""
    return whole(_TEMPLATES.get_template(template).render(**values))


def whole(text: str) -> str:
    """Return a text that can be sent: halves of characters, which JSON can spell and UTF-8 cannot, are replaced."""
    return _HALF.sub("\ufffd", text)


def escaped(text: str) -> str:
    """Return a text that is safe inside markup."""
    return str(escape(text))
