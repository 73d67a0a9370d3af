"""One exchange or message looked up: its bytes, headers and JSON, as they passed, from every store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from analysis import AnalysisError, Capture
from analysis.dictionary import GRAINS
from ccproxy.records import Captured
from tests.support import handmade, wire
from tests.support.captures import STORES, Places, filled, frame, opened
from tests.support.entries import Session, captured, exchange_id, fill
from tests.support.handmade import IMAGE, SHOWN
from tests.support.homes import home_in

INJECTIONS = [
    "' OR '1'='1", "x'; DROP TABLE exchanges; --", "$ask$ UNION SELECT 1 --", "a'||(SELECT 1)||'", "0000\n", "0000 ", "", "ABC", "%",
    "00000000-0001-7000-8000-000000000000' --", "0" * 200, "ä", "\0", "x'00'", "'::bytea", "{}", "$1", "?",
]  # fmt: skip


def answer_of(one: Captured) -> bytes | None:
    """Return the bytes of the answer, None where there was none."""
    return b"".join(piece for _, piece in one.chunks) or None


def test_bodies_come_back_byte_for_byte(stored: Capture) -> None:
    """Of every exchange both sides are exactly what passed; where no answer came there is none."""
    for one in handmade.exchanges():
        assert stored.body(one.id, "request") == one.request
        assert stored.body(one.id, "response") == answer_of(one)
    assert stored.body(exchange_id(3000), "request") is None


def test_long_conversations_come_back_byte_for_byte(tmp_path: Path) -> None:
    """Each turn of a session that grows is packed against what went before, and comes back whole."""
    exchanges = list(Session(tools=3, preamble_bytes=5000).exchanges(6))
    exchanges.append(captured(40, b"no JSON at all \x00\xff", [b"\x00\xff" * 300], response_headers=[]))
    exchanges.append(captured(41, b"", [], method="GET"))
    with opened(filled(tmp_path / "captures.db", exchanges)) as capture:
        for one in exchanges:
            assert capture.body(one.id, "request") == (one.request or None)
            assert capture.body(one.id, "response") == answer_of(one)
            assert capture.headers(one.id, "request") == one.opening.headers


def test_headers_come_back_in_order(stored: Capture) -> None:
    """Names and values of both sides are as they were recorded, in their order; none where there were none."""
    for one in handmade.exchanges():
        assert stored.headers(one.id, "request") == one.opening.headers
        assert stored.headers(one.id, "response") == (one.heading.headers if one.heading else [])
    assert stored.headers(exchange_id(3000), "request") == []


def test_a_message_is_its_json(stored: Capture) -> None:
    """Each node leads to the message that stands there, with all its blocks."""
    exchanges = {row["exchange_id"]: row for row in frame(stored, "exchanges").rows(named=True)}
    last = stored.message(exchanges[exchange_id(13)]["tip"])
    assert last == {"role": "user", "content": [handmade.text(SHOWN), IMAGE]}
    reply = stored.message(exchanges[exchange_id(8)]["reply"])
    assert reply == {"role": "assistant", "content": [{"type": "text", "text": "Mended."}]}
    for row in frame(stored, "messages").rows(named=True):
        assert stored.message(row["node"]) == json.loads(row["json"])


def test_a_conversation_is_all_that_was_said_before(stored: Capture) -> None:
    """From the first message down to the one that is named, each with its node, in the order in which they were sent."""
    exchanges = {row["exchange_id"]: row for row in frame(stored, "exchanges").rows(named=True)}
    row = exchanges[exchange_id(8)]
    found = stored.conversation(row["reply"])
    sent = json.loads(next(one.request for one in handmade.exchanges() if one.id == exchange_id(8)))["messages"]
    assert [{key: value for key, value in message.items() if key != "node"} for message in found] == [
        *sent,
        {"role": "assistant", "content": [{"type": "text", "text": "Mended."}]},
    ]
    assert (found[-2]["node"], found[-1]["node"]) == (row["tip"], row["reply"])
    assert stored.conversation(row["tip"]) == found[:-1]
    assert stored.conversation("00" * 16) == []


@pytest.mark.parametrize("identity", INJECTIONS)
def test_what_is_no_id_is_refused(stored: Capture, identity: str) -> None:
    """An id goes into a query only where it is one; all else is an error that shows it, and does nothing."""
    for look in (
        lambda: stored.body(identity, "request"),
        lambda: stored.headers(identity, "request"),
        lambda: stored.message(identity),
        lambda: stored.conversation(identity),
    ):
        with pytest.raises(AnalysisError, match=r"is no exchange_id|is no digest"):
            look()
    assert stored.sql("SELECT count(*) AS n FROM exchanges").item() == 17


@pytest.mark.parametrize("side", ["Request", "answer", "", "request' --", "both"])
def test_what_is_no_side_is_refused(stored: Capture, side: str) -> None:
    """There are three sides, and the error names them."""
    for look in (stored.body, stored.headers):
        with pytest.raises(AnalysisError, match="a side is one of request, response, sent, not "):
            look(exchange_id(1), side)


def test_a_message_that_is_not_there_is_told(stored: Capture) -> None:
    """A digest of no message is an error, as is one of half a byte."""
    with pytest.raises(AnalysisError, match="there is no message ab"):
        stored.message("ab")
    with pytest.raises(AnalysisError, match="is no digest"):
        stored.message("abc")


def test_an_export_says_that_it_has_none(places: Places) -> None:
    """Of a folder of Parquet each look-up says what to open in its place."""
    with places.open("parquet") as capture:
        looks: list[Any] = [
            lambda: capture.body(exchange_id(1), "request"),
            lambda: capture.headers(exchange_id(1), "request"),
            lambda: capture.message("00" * 16),
            lambda: capture.conversation("00" * 16),
        ]
        for look in looks:
            with pytest.raises(
                AnalysisError, match="an exported folder has no bodies and headers; open the store for them"
            ):
                look()


def test_a_body_that_is_damaged_is_told(tmp_path: Path) -> None:
    """What would not be what passed is never given out: the sentence names side and exchange."""
    with home_in("sqlite", tmp_path) as home:
        fill(home.open(), handmade.exchanges()[:2])
        home.run("UPDATE bodies SET data = substr(data, 1, 20) WHERE exchange = ?", exchange_id(1))
        home.run("UPDATE bodies SET size = size + 1 WHERE exchange = ?", exchange_id(2))
    with opened(tmp_path / "store.db") as capture:
        for number, said in ((1, "cannot be given back"), (2, "is damaged")):
            for side in ("request", "response"):
                with pytest.raises(AnalysisError, match=f"the {side} of exchange {exchange_id(number)} {said}"):
                    capture.body(exchange_id(number), side)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """Give the places of what the real client sent, where recordings of it are there."""
    exchanges = [
        captured(
            number,
            one.body,
            [one.response] if one.response else None,
            method=one.method,
            path=one.path.partition("?")[0],
            query=one.path.partition("?")[2],
            request_headers=one.headers,
        )
        for number, one in enumerate(wire.requests(), 1)
    ]
    places = Places(tmp_path_factory.mktemp("recorded"), exchanges)
    yield places
    places.close()


@wire.needs_wire
@pytest.mark.parametrize("way", STORES)
def test_recorded_traffic_comes_back(recorded: Places, way: str) -> None:
    """Every request that the real client was recorded with, and every answer, is given back byte for byte."""
    requests = wire.requests()
    assert len(requests) > 50
    with recorded.open(way) as capture:
        rows = {row["exchange_id"]: row for row in frame(capture, "exchanges").rows(named=True)}
        assert len(rows) == len(requests)
        for number, one in enumerate(requests, 1):
            assert capture.body(exchange_id(number), "request") == (one.body or None), one.name
            assert capture.body(exchange_id(number), "response") == (one.response or None), one.name
            assert capture.headers(exchange_id(number), "request") == one.headers, one.name
            tip = rows[exchange_id(number)]["tip"]
            if tip and b'"messages"' in one.body:
                assert len(capture.conversation(tip)) == len(json.loads(one.body)["messages"]), one.name


@wire.needs_wire
def test_recorded_traffic_is_the_same_by_every_way(recorded: Places) -> None:
    """Threads, calls and messages of the real client come out equal from a file, a copy and Parquet."""
    with recorded.open("sqlite") as first, recorded.open("sqlite copied") as second, recorded.open("parquet") as third:
        for grain in GRAINS:
            expected = frame(first, grain)
            assert expected.height
            assert_frame_equal(frame(second, grain), expected)
            assert_frame_equal(frame(third, grain), expected)
