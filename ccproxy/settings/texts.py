"""The table of settings for people: `config.yaml.example`, and the table of the README.

Refuses to know more than the table says.
"""

from __future__ import annotations

from ccproxy.settings.declaring import Setting
from ccproxy.settings.names import sections
from ccproxy.settings.tree import SETTINGS

_EXAMPLE_HEAD = """\
# The settings of ccproxy. It reads config.yaml in the folder where it starts, else in the user's configuration folder.
# A config.yaml in the former with none of the names at the left margin below is another program's, and passed over.
#
# Every setting stands here with its default: to change it, remove the # in front of its name.
# What counts first: the command line, the environment, a file .env in the folder where ccproxy starts, then this file.
# Durations: 600, 90s, 10m, 1h30m, 250ms. Sizes: 1024, 50MB, 1 GiB. A relative path starts from this file's folder.
# Lists: [a, b], or a text with commas, as in the environment.
"""


def example() -> str:
    """Return the text of `config.yaml.example`."""
    lines = [_EXAMPLE_HEAD]
    opened: set[str] = set()
    for row in SETTINGS:
        for section in sections([row.key]):
            lines += [] if section in opened else [f"{_indent(section)}{section.rpartition('.')[2]}:"]
            opened.add(section)
        lines += [_indent(row.key) + line for line in _example_lines(row)] + [""]
    return "\n".join(lines)


def _example_lines(row: Setting) -> tuple[str, str, str]:
    default = (row.shown or row.default or "none").replace("`", "")
    written = f"[{row.default}]" if row.kind.item else row.default or '""'
    return (
        f"# {row.help}",
        f"# Environment: {row.env}. Default: {default}.",
        f"#{row.key.rpartition('.')[2]}: {written}",
    )


def _indent(key: str) -> str:
    return "  " * key.count(".")


def table() -> str:
    """Return the README's table of settings, as Markdown."""
    head = "| key | environment | default | meaning |\n|---|---|---|---|\n"
    return head + "".join(
        f"| `{row.key}` | `{row.env}` | {row.shown or (f'`{row.default}`' if row.default else 'none')} | {row.help} |\n"
        for row in SETTINGS
    )
