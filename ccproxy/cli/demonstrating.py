"""`ccproxy demo`: makes the demo, and says what to look at.

What it is goes to standard output, how far it is to standard error; with `quiet` the path alone is printed, for programs. Refuses to touch
a store with captures in it.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator

import click

from ccproxy.cli.terminal import clean_line, echo
from ccproxy.errors import ConfigError
from ccproxy.settings import Settings
from ccproxy.stores import choosing

STEPS = 100


def demo(settings: Settings, *, chosen: bool, again: bool, quiet: bool) -> None:
    """Make the demo where it is missing, in the store of the settings where that was `chosen`, else in its usual place."""
    from ccproxy import demo as demonstration  # noqa: PLC0415 (a whole proxy comes with it, which takes a while)

    if chosen and settings.storage.db_type == choosing.POSTGRES:
        raise ConfigError("the demo is a file; `ccproxy db copy --db demo.db --to URL` brings it into a database")
    path = settings.storage.db_path if chosen else demonstration.default_path(settings)
    with _shown(quiet) as progress:
        made = demonstration.make(path, again=again, progress=progress)
    if quiet:
        echo(str(path))
        return
    place = shlex.quote(clean_line(str(path)))
    echo(f"{place} {'has' if made else 'had'} a made-up week of Claude Code in it{' now' if made else ' already'}.")
    opened = f'analysis.open("{clean_line(str(path))}")' if chosen else "analysis.demo()"
    echo("")
    for command, use in (
        (f"ccproxy tail --db {place}", "the newest exchanges, a line each"),
        (f"ccproxy search --db {place} advisory lock", "what was said, and what tools did"),
        (f'ccproxy sql --db {place} "SELECT model, count(*) FROM exchanges GROUP BY 1"', "ask it anything"),
        (f"import analysis; cap = {opened}", "in Python or Jupyter"),
    ):
        echo(f"  {command}\n      {use}")


@contextlib.contextmanager
def _shown(quiet: bool) -> Iterator[Callable[[float], None] | None]:
    """Show how far it is, where somebody looks."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=STEPS, label="playing a week", file=sys.stderr) as bar:
        yield lambda share: bar.update(max(0, int(share * STEPS) - bar.pos))
        bar.update(STEPS - bar.pos)
