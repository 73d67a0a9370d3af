"""One exchange: facts, neighbours, bytes and events, and the tabs that show them, on the handmade capture."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import panel as pn
import pytest

import analysis
from analysis.dictionary import EXCHANGES
from dashboards.data import Data
from dashboards.data import exchange as data
from dashboards.pages import exchange as page
from dashboards.pages import exchange_bytes
from tests.dashboards.conftest import view_of
from tests.support import handmade
from tests.support.handmade import ids

CAPTURED = {one.id: one for one in handmade.exchanges()}
NONE = data.Neighbours("", "", 0, 0)


def _one(source: Data, number: int) -> dict[str, Any]:
    found = data.one(source, ids(number)[0])
    assert found is not None
    return found


def _tab(source: Data, number: int, tab: str, **args: str) -> list[pn.viewable.Viewable]:
    """Return the panes of a tab."""
    return page.page(
        view_of(source, "?" + urlencode({"page": "exchanges", "item": ids(number)[0], "tab": tab, **args}))
    )


def _html(panes: list[pn.viewable.Viewable]) -> str:
    return "".join(str(part.object) for pane in panes for part in pane.select(pn.pane.HTML))


def _part(panes: list[pn.viewable.Viewable], key: str) -> str:
    """Return a part that comes when it is asked for."""
    asks, gives = panes[-2:]
    asks.value = f"1 {key}"
    return str(json.loads(gives.value)[1])


@pytest.fixture(scope="module")
def folder_data(handmade_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Data]:
    """Give the handmade capture as a folder of Parquet."""
    folder = tmp_path_factory.mktemp("parquet") / "out"
    with analysis.open(handmade_store) as capture:
        capture.export(folder)
    source = Data(lambda: analysis.open(folder))
    yield source
    source.forget()


def test_an_exchange_has_its_facts(handmade_data: Data) -> None:
    """Columns, cost, title, agent and what was tried before are there; an unknown id, and one that is no id, have none."""
    row = _one(handmade_data, 13)
    assert (row["input_tokens"], row["title"], row["agent"], row["stop_sequence"]) == (60, "Hello there", "main", "###")
    assert [(one["kind"], one["wait_ms"]) for one in row["tries"]] == [("connect", 500.0)]
    assert (_one(handmade_data, 5)["agent"], _one(handmade_data, 7)["agent"]) == ("reviewer", None)
    assert data.one(handmade_data, "nothing") is data.one(handmade_data, "'; DROP TABLE x") is None


@pytest.mark.parametrize(
    ("number", "found"),
    [
        (1, ("", 2, 1, 5)), (8, (2, 10, 3, 5)), (12, (10, "", 5, 5)), (3, ("", 4, 1, 2)), (2000, ("", "", 1, 1)),
    ],
)  # fmt: skip
def test_neighbours_are_those_of_the_thread(handmade_data: Data, number: int, found: tuple[Any, ...]) -> None:
    """Previous and next are of the same thread, by time; what stands beside conversations has none."""
    before, after = (ids(one)[0] if one else "" for one in found[:2])
    assert data.neighbours(handmade_data, _one(handmade_data, number)) == data.Neighbours(before, after, *found[2:])
    assert data.neighbours(handmade_data, _one(handmade_data, 7)) == NONE


@pytest.mark.parametrize("number", [1, 10, 13, 14, 2000])
def test_bytes_are_exact(handmade_data: Data, number: int) -> None:
    """Both bodies are given back as they passed."""
    exchange = ids(number)[0]
    captured = CAPTURED[exchange]
    assert data.body(handmade_data, exchange, "request").raw == captured.request
    response = data.body(handmade_data, exchange, "response")
    assert (response.raw or b"") == b"".join(chunk for _, chunk in captured.chunks)


PACKED = gzip.compress(b"words", mtime=0)  # without the time, which would be another one in each process


@pytest.mark.parametrize(
    ("raw", "encoding", "plain"),
    [
        (b'{"a": 1}', "", b'{"a": 1}'), (PACKED, "gzip", b"words"), (zlib.compress(b"words"), "Deflate ", b"words"),
        (b"event: a", "gzip", b"event: a"), (b"\x1b\x02", "br", None), (b"broken", "gzip", None),
    ],
    ids=["plain", "gzip", "deflate", "not packed", "br", "broken"],
)  # fmt: skip
def test_content_encodings_are_undone(raw: bytes, encoding: str, plain: bytes | None) -> None:
    """gzip and deflate are unpacked for reading; what is not known here, or broken, is told as that."""
    assert data.decoded(raw, encoding) == plain


def test_a_folder_of_parquet_says_that_it_has_no_bytes(folder_data: Data) -> None:
    """Its facts and events are shown; request, headers and bytes say that a folder has none."""
    assert "01 " not in _html(_tab(folder_data, 1, "overview"))
    for tab in ("request", "headers", "raw", "compare"):
        assert "an exported folder has no bodies" in _html(_tab(folder_data, 2, tab)), tab
    assert "first content" in _html(_tab(folder_data, 1, "events"))


def test_the_overview_has_all_facts() -> None:
    """Every column of exchanges stands in a group, or in the table of tokens."""
    shown = {column for _, columns in page.GROUPS for column in columns} | {column for _, column, _, _ in page._USAGE}
    assert {column.name for column in EXCHANGES.columns} - shown == {
        "model",
        "cache_write_tokens",
        "context_tokens",
        "web_searches",
    }


def test_tokens_are_told_by_kind(handmade_data: Data) -> None:
    """Reading, writing for 5 minutes and for an hour, input and output stand apart with what they cost."""
    parts = {part.name: part for part in page.usage(_one(handmade_data, 6), dark=False)}
    assert {name: part.tokens for name, part in parts.items()} == {
        "cache read": 0, "cache write 1 h": 300, "cache write 5 m": 0, "input": 10, "output": 20,
    }  # fmt: skip
    row = _one(handmade_data, 6)
    assert parts["cache write 1 h"].usd == row["cache_write_usd"] > 0 == parts["cache write 5 m"].usd
    mixed = page.usage(
        row | {"cache_write_tokens": 500, "cache_write_1h_tokens": 300, "cache_write_5m_tokens": 200}, dark=True
    )
    assert [(part.tokens, part.note) for part in mixed[1:3]] == [(300, "both"), (200, "with the line above")]
    unknown = page.usage(dict.fromkeys(row), dark=False)
    assert all(part.tokens is None for part in unknown)


@pytest.mark.parametrize("tab", list(page.TABS))
def test_every_tab_of_every_exchange_can_be_shown(handmade_data: Data, tab: str) -> None:
    """Whatever an exchange is, running, failed, refused or odd, its tabs are there."""
    for exchange in CAPTURED:
        html = _html(page.page(view_of(handmade_data, f"?page=exchanges&item={exchange}&tab={tab}")))
        assert f">{tab}</a>" in html


def test_the_request_is_taken_apart(handmade_data: Data) -> None:
    """Messages, system, tools and parameters each have their place, their number and their texts."""
    panes = _tab(handmade_data, 2, "request")
    html = _html(panes)
    for words in (
        'messages <span class="n">3</span>',
        'system <span class="n">2</span>',
        'tools <span class="n">3</span>',
        "Fix the flaky importer test",
    ):
        assert words in html
    assert "1 failed" in _part(panes, "part2")
    tools = _tab(handmade_data, 2, "request", part="tools")
    assert "Bash it" in _html(tools)
    assert "&#34;type&#34;: &#34;object&#34;" in _part(tools, "part0")
    assert "/home/me/importer" in _html(_tab(handmade_data, 2, "request", part="system"))
    parameters = _html(_tab(handmade_data, 13, "request", part="parameters"))
    for words in ("thinking", "adaptive", "output_config", "metadata", "device-1", "max_tokens"):
        assert words in parameters


def test_half_a_character_can_be_shown_and_copied(handmade_data: Data) -> None:
    """A text that JSON can spell and UTF-8 cannot is shown with a sign in its place."""
    panes = _tab(handmade_data, 13, "request")
    part = "".join(_part(panes, f"part{number}") for number in range(3))
    assert "half\ufffd" in part
    assert "&lt;b&gt;&amp;amp;" in part
    _html(panes).encode()


def test_the_response_is_shown(handmade_data: Data) -> None:
    """The message, its usage, and what went wrong are there."""
    html = _html(_tab(handmade_data, 8, "response"))
    assert "Mended." in html
    assert "cache_read_input_tokens" in html
    refused = _html(_tab(handmade_data, 10, "response"))
    assert "Overloaded" in refused
    assert "overloaded_error" in refused


def test_the_first_content_and_long_gaps_are_found(handmade_data: Data) -> None:
    """The first piece of content is the third event, 130 ms after the start; events come every 10 ms, so none is late."""
    frame = data.events(handmade_data, ids(1)[0])
    assert frame.height == 9
    place = exchange_bytes.first_content(frame, _one(handmade_data, 1)["first_token_ms"])
    assert (place, frame["at_ms"][place]) == (2, 130.0)
    assert exchange_bytes.first_content(frame, None) is exchange_bytes.first_content(frame, 1e9) is None
    assert exchange_bytes.long_gap(frame) == exchange_bytes.LONG_MS
    html = _html(_tab(handmade_data, 1, "events"))
    assert "message_start" in html
    assert "1–9" in html


def test_what_was_not_routed_is_told(handmade_data: Data) -> None:
    """It says plainly that the request went to the provider unchanged, and what was tried before."""
    html = _html(_tab(handmade_data, 13, "routing"))
    assert "The request went to the provider unchanged, as the client sent it." in html
    assert "Connection refused" in html
    assert "What it cost" not in html


def test_display_limits_are_told(handmade_data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a body is cut for showing, it says how much is shown of how much, and cuts no character in two."""
    monkeypatch.setattr(exchange_bytes, "SHOWN", 25)
    html = _html(_tab(handmade_data, 1, "raw"))
    assert "are shown; copy and download have all of it" in html
    view = view_of(handmade_data, "?page=exchanges")
    body = data.Body("é".encode() * 20, "é".encode() * 20)
    assert "é" * 12 + "</pre>" in exchange_bytes._shown(view, "request", body).object


def test_an_unknown_exchange_is_told(handmade_data: Data) -> None:
    """An address of no exchange says so, and shows its id as text."""
    html = _html(page.page(view_of(handmade_data, "?page=exchanges&item=%3Cscript%3E")))
    assert "There is no such exchange" in html
    assert "&lt;script&gt;" in html


def test_comparing_begins_with_the_request_before(handmade_data: Data) -> None:
    """Without a name the other is the previous request of the thread; any can be named; some have none."""
    html = _html(_tab(handmade_data, 2, "compare"))
    assert "2 added after 1 that are the same" in html
    named = _html(page.page(view_of(handmade_data, f"?page=exchanges&item={ids(7)[0]}&with={ids(8)[0]}")))
    assert ">compare</a>" in named
    assert "3 removed" in named
    assert "first of its thread" in _html(_tab(handmade_data, 1, "compare"))
    assert "in no thread" in _html(_tab(handmade_data, 7, "compare"))
    assert "There is no exchange nobody" in _html(_tab(handmade_data, 7, "compare", **{"with": "nobody"}))


class Judge(HTMLParser):
    """Notes what must not come from a capture: scripts, frames, pictures, handlers, addresses elsewhere."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.keys: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Judge an element."""
        if tag in ("script", "iframe", "img", "svg", "object", "embed", "link", "meta", "base"):
            self.wrong.append(tag)
        for name, value in attrs:
            if name.startswith("on") or (name in ("href", "data-href", "src") and not (value or "").startswith("?")):
                self.wrong.append(f"{tag} {name}={value}")
            if name == "data-fetch":
                self.keys.append(value or "")


def judged(panes: list[pn.viewable.Viewable]) -> list[str]:
    """Return what is wrong with panes and with all parts that they can fetch."""
    first = Judge(_html(panes))
    wrong, waiting = first.wrong, first.keys
    while waiting:
        part = Judge(_part(panes, waiting.pop()))
        wrong, waiting = wrong + part.wrong, waiting + part.keys
    return wrong
