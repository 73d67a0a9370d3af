"""What all tabs of this process share, and the document of each of them.

`panel serve dashboards` and `ccproxy serve` show the same. Refuses to know what is in it.
"""

from __future__ import annotations

import functools
import sys
from urllib.parse import urlencode

import panel as pn

import analysis
from analysis.configured import Configuration, configuration_of_dump
from dashboards.app import document
from dashboards.data import Data
from dashboards.live import Live

CHILD = "--child"  # says that a parent holds our standard input, whose first line are its settings
THREADS = 4  # in which pages are made, so that one that takes long holds up no other

pn.config.nthreads = THREADS


@functools.cache
def configuration() -> Configuration:
    """Return what the settings say, read once a process: those of the parent, where there is one, else the user's own."""
    return configuration_of_dump(sys.stdin.buffer.readline()) if CHILD in sys.argv[1:] else analysis.configuration()


@functools.cache
def shared() -> tuple[Data, Live]:
    """Return the captures and the live view, which all tabs share: both only read."""
    found = configuration()
    return Data(lambda: analysis.open(settings=found.settings)), Live(found)


def tab() -> pn.Template:
    """Return the document of the tab that is being opened."""
    data, live = shared()
    given = {name: values[-1].decode("utf-8", "replace") for name, values in (pn.state.session_args or {}).items()}
    dark = (pn.state.cookies or {}).get("ccproxy-theme") == "dark"
    return document(data, live, "?" + urlencode(given), dark=dark)
