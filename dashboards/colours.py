"""What colour a thing has: the same measure has the same one in every chart, in either theme.

Knows names of measures, not what they mean. Refuses to know how a chart is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

OTHER = "other"


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a theme. `series` in the order in which they are used, the last for `other`; what has a meaning has a name."""

    ink: str
    quiet: str
    line: str
    surface: str
    series: tuple[str, ...]
    named: dict[str, str]


# In the order in which they stand in every chart: kinds of tokens, spans of time, percentiles, content of the window, causes.
LIGHT = Palette(
    "#1d1f21", "#63676c", "#dcdcd7", "#fcfcfb", ("#1f5fbf", "#7a5ea8", "#2c8c86", "#a3672c", "#b5577d", "#5d7287", "#c9ccd0"),
    {
        "cache read": "#1c7a43", "cache write 5 m": "#c48a1a", "cache write 1 h": "#8f5a00", "input": "#1f5fbf", "output": "#7a5ea8",
        "waiting": "#7fa6dd", "thinking": "#7a5ea8", "answering": "#1f5fbf", "tools": "#8a8f98", "you": "#dcdcd7", "retrying": "#b3261e",
        "p10": "#a3672c", "p50": "#2c8c86", "p90": "#1f5fbf", "p99": "#7a5ea8",
        "system": "#4f5459", "MCP tools": "#b9bec4", "memory": "#b5577d", "reminders": "#dc9fb8", "you said": "#1f5fbf",
        "it said": "#7fa6dd", "tool calls": "#d9b48f", "tool results": "#a3672c", "images": "#2c8c86",
        "tools changed": "#1f5fbf", "system prompt changed": "#7fa6dd", "message changed": "#7a5ea8", "model changed": "#2c8c86",
        "effort or thinking changed": "#b5577d", "rewind": "#a3672c", "compaction": "#d9b48f", "5 minutes had passed": "#5d7287",
        "1 hour had passed": "#a5b3c0", "not known": "#3d4043",
        "error": "#b3261e",
    },
)  # fmt: skip
DARK = Palette(
    "#e4e6e8", "#9aa1a8", "#363b40", "#16181a", ("#7db0f5", "#b79ee6", "#63c2bb", "#d9a066", "#e08bb0", "#8fa7bf", "#4a5057"),
    {
        "cache read": "#6fc98f", "cache write 5 m": "#e0b15a", "cache write 1 h": "#a97d2a", "input": "#7db0f5", "output": "#b79ee6",
        "waiting": "#44658f", "thinking": "#b79ee6", "answering": "#7db0f5", "tools": "#8a9199", "you": "#363b40", "retrying": "#f28b82",
        "p10": "#d9a066", "p50": "#63c2bb", "p90": "#7db0f5", "p99": "#b79ee6",
        "system": "#c3c8cd", "MCP tools": "#565d64", "memory": "#e08bb0", "reminders": "#84526a", "you said": "#7db0f5",
        "it said": "#44658f", "tool calls": "#7d6243", "tool results": "#d9a066", "images": "#63c2bb",
        "tools changed": "#7db0f5", "system prompt changed": "#44658f", "message changed": "#b79ee6", "model changed": "#63c2bb",
        "effort or thinking changed": "#e08bb0", "rewind": "#d9a066", "compaction": "#7d6243", "5 minutes had passed": "#8fa7bf",
        "1 hour had passed": "#566677", "not known": "#d5d9dd",
        "error": "#f28b82",
    },
)  # fmt: skip


def palette(*, dark: bool) -> Palette:
    """Return the colours of a theme."""
    return DARK if dark else LIGHT


def colours(names: Sequence[str], *, dark: bool, order: Sequence[str] = ()) -> list[str]:
    """Return a colour for each name: its own where it has a meaning; else by its place in `order`, which is the same for all charts
    that show such names; else the next that is free. `other` is always the last."""
    found = palette(dark=dark)
    free = list(found.series[:-1])
    given = {name: found.named[name] for name in names if name in found.named}
    others = [name for name in names if name not in given and name != OTHER]
    for name in sorted(others, key=lambda name: order.index(name) if name in order else len(order)):
        wanted = free[order.index(name) % len(free)] if name in order else free[0]
        given[name] = next((shade for shade in [wanted, *free] if shade not in given.values()), wanted)
    return [found.series[-1] if name == OTHER else given[name] for name in names]
