"""Captured text never becomes markup: hostile content in every place, in the pages of sessions and in all their parts.

What a page would be to a browser is looked at: its elements, its attributes and where they lead.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest

import analysis
from ccproxy.stores.sqlite import SqliteStore
from dashboards.data import Data
from dashboards.pages import sessions as page
from tests.dashboards.conftest import view_of
from tests.support import hostile
from tests.support.entries import fill

_WORD = re.compile(r"[\w-]+")
ELEMENTS = frozenset(
    _WORD.findall(
        """style p a h1 h2 span div b i bdi code pre button details summary article section figure figcaption img table thead tbody tr
        th td form input dl dt dd ul li time"""
    )
)
ATTRIBUTES = frozenset(
    _WORD.findall(
        """class id href title style tabindex dir alt src open hidden role name value placeholder type datetime aria-label aria-hidden
        aria-sort data-href data-copy data-save data-full data-name data-fetch data-place data-here data-go data-form"""
    )
)
IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]*")


class Seen(HTMLParser):
    """What a browser would make of a page. Elements, attributes and addresses that have no business there are `wrong`."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.fetched: list[str] = []
        self.text = ""
        self._style = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Judge an element."""
        self._style = tag == "style"
        if tag not in ELEMENTS:
            self.wrong.append(f"<{tag}>")
        for name, value in attrs:
            value = value or ""
            if name not in ATTRIBUTES:
                self.wrong.append(f"{tag} {name}={value[:40]}")
            if name in ("href", "data-href") and not value.startswith("?"):
                self.wrong.append(f"{tag} {name}={value[:40]}")
            if name == "src" and not IMAGE.fullmatch(value):
                self.wrong.append(f"{tag} {name}={value[:40]}")
            if name == "style" and not re.fullmatch(
                r"(left|width):[\d.]+%;?(width:[\d.]+%)?|padding-top: 0|width: auto", value
            ):
                self.wrong.append(f"{tag} {name}={value[:40]}")
            if name == "data-fetch":
                self.fetched.append(value)

    def handle_data(self, data: str) -> None:
        """Gather text; in a style sheet there must be nothing captured."""
        if self._style and "xss" in data:
            self.wrong.append("captured text in a style sheet")
        self.text += data

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        self._style = False


@pytest.fixture(scope="module")
def hostile_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Data]:
    """Give captures that are hostile in every place."""
    path = tmp_path_factory.mktemp("hostile") / "requests.db"
    with contextlib.closing(SqliteStore(path, write=True)) as store:
        fill(store, hostile.exchanges())
    data = Data(lambda: analysis.open(path))
    yield data
    data.forget()


def _all(data: Data, **address: str) -> tuple[Seen, list[Seen]]:
    """Return what a page is, and what all its parts are, and all parts of these."""
    html, *rest = page.page(view_of(data, "?" + urlencode({"page": "sessions", **address})))
    first = Seen(str(html.object))
    waiting, seen = list(first.fetched), list[Seen]()
    if waiting:
        asks, gives = rest[-2:]
        for number, key in enumerate(waiting):
            asks.value = f"{number} {key}"
            part = Seen(json.loads(gives.value)[1])
            seen.append(part)
            waiting += part.fetched
    return first, seen


@pytest.mark.parametrize("session", [hostile.SESSION, hostile.OTHER])
@pytest.mark.parametrize("unfold", ["", "all"])
def test_a_session_is_inert(hostile_data: Data, session: str, unfold: str) -> None:
    """No element, attribute or address of a session's page, or of any part of it, comes from what was captured."""
    first, parts = _all(hostile_data, item=session, unfold=unfold)
    assert first.wrong == []
    assert [part.wrong for part in parts if part.wrong] == []
    assert hostile.MARKUP in first.text


def test_every_hostile_place_is_shown(hostile_data: Data) -> None:
    """The texts are not merely left out: each that was captured can be read on the page, as text."""
    first, parts = _all(hostile_data, item=hostile.SESSION)
    text = " ".join([first.text, *(part.text for part in parts)])
    words = """said reminder paper thinking answer fenced inline strong table query title age stdout command about output failing
    trouble path old new deleted one two content third pattern option value glob folder listed first high subject description task kind
    prompt report page hits source plan server tool key inner item Unheard odd orphan next end"""
    for word in [*words.split(), "not an object"]:
        assert word + hostile.MARKUP[:30] in text, word


def test_an_agent_is_inert_alone_and_within(hostile_data: Data) -> None:
    """An agent's name, its id in addresses and what it said are text, in the session and on its own page."""
    first, parts = _all(hostile_data, item=hostile.OTHER)
    assert any("report<script>" in part.text for part in parts)
    alone, _ = _all(hostile_data, item=hostile.OTHER, thread=f"{hostile.OTHER}/{hostile.AGENT}")
    assert alone.wrong == first.wrong == []
    assert "report<script>" in alone.text


def test_the_list_is_inert(hostile_data: Data) -> None:
    """Titles, projects, models and ids in the list are text, and links hold ids only as what they are."""
    first, _ = _all(hostile_data)
    assert first.wrong == []
    assert "title<script>" in first.text


@pytest.mark.parametrize(
    "name", ["find", "item", "sort", "at", "thread", "exchange", "project", "text", "range", "unfold"]
)
def test_an_address_is_inert(hostile_data: Data, name: str) -> None:
    """What somebody puts into an address is as little markup as what was captured."""
    for more in ({}, {"item": hostile.SESSION}):
        first, parts = _all(hostile_data, **{**more, name: hostile.EVIL})
        assert first.wrong == []
        assert [part.wrong for part in parts if part.wrong] == []
