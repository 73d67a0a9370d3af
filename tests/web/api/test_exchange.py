"""`/api/requests/{id}`: all that is known of an exchange, its exact bytes, and its deletion."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

from ccproxy.records import State
from ccproxy.stores.sqlite import SqliteStore
from tests.support.api import Api, assistant, exchange, said, user
from tests.support.entries import captured, event, exchange_id, stream

JSON_ANSWER = [("content-type", "application/json")]


async def test_everything_that_is_known(api: Api) -> None:
    """All columns of the row, ids of nodes in hexadecimal, JSON as JSON; and nothing that was not asked for."""
    await api.fill([exchange(1, [user("hello")])])
    found = await api.json(f"/api/requests/{exchange_id(1)}")
    assert found["id"] == exchange_id(1)
    assert (found["state"], found["status"], found["stream"], found["writer"]) == ("complete", 200, False, "w")
    assert found["usage"]["cache_read_input_tokens"] == 700
    assert len(bytes.fromhex(found["tip"])) == len(bytes.fromhex(found["reply"])) == 16
    assert not {"request", "response", "headers", "timeline"} & set(found)


async def test_what_is_included_is_what_was_asked_for(api: Api) -> None:
    """Request, response, headers and events, each where it is named, in any combination."""
    await api.fill([exchange(1, [user("hello")], headers=[("x-odd", "1"), ("x-odd", "2")])])
    found = await api.json(f"/api/requests/{exchange_id(1)}?include=request,response,headers,events")
    assert found["request"]["form"] == "json"
    assert found["request"]["content"]["messages"] == [user("hello")]
    assert found["request"]["bytes"] == found["request_bytes"]
    assert (found["response"]["form"], found["response"]["bytes"]) == ("text", found["response_bytes"])
    assert found["response"]["content"].startswith("event: message_start\n")
    message = found["response"]["message"]
    assert (message["role"], message["content"]) == ("assistant", said("yes"))
    assert (message["id"], message["type"], message["stop_reason"]) == ("msg_01", "message", "end_turn")
    assert message["usage"]["output_tokens"] == 90
    assert [pair for pair in found["headers"]["request"] if pair[0] == "x-odd"] == [["x-odd", "1"], ["x-odd", "2"]]
    assert ["request-id", "req_011"] in found["headers"]["response"]
    assert [one["at_ms"] for one in found["timeline"][:3]] == [110, 120, 130]
    assert (found["timeline"][0]["kind"], found["timeline"][-1]["kind"]) == ("message_start", "message_stop")
    assert all(one["bytes"] > 0 for one in found["timeline"])
    only = await api.json(f"/api/requests/{exchange_id(1)}?include=%20headers%20,")
    assert {"request", "response", "headers", "timeline"} & set(only) == {"headers"}


async def test_what_was_not_captured_is_null(api: Api) -> None:
    """An exchange without bodies, without an answer or without a stream says so; nothing is made up."""
    await api.fill([captured(1, b"", method="GET", path="/v1/models"), exchange(2, [user("x")], None)])
    found = await api.json(f"/api/requests/{exchange_id(1)}?include=request,response,headers,events")
    assert (found["request"], found["response"], found["timeline"]) == (None, None, None)
    assert found["headers"]["response"] is None
    assert "no request body" in await api.problem(f"/api/requests/{exchange_id(1)}/request", 404)
    assert "no response body" in await api.problem(f"/api/requests/{exchange_id(2)}/response", 404)


@pytest.mark.parametrize(
    ("body", "form", "content"),
    [
        (b'{"n": 123456789012345678901234567890, "a": 1.0}', "json", '{"n": 123456789012345678901234567890, "a": 1.0}'),
        (b"[1,\n 2]", "json", "[1,\n 2]"),
        (rb'{"half": "\ud83d"}', "json", '{"half": "\\ufffd"}'),
        ("no JSON: ✓".encode(), "text", '"no JSON: ✓"'),
        (b"\xff\xfe\x00", "base64", json.dumps(base64.b64encode(b"\xff\xfe\x00").decode())),
        (b"[" * 100_000, "text", json.dumps("[" * 100_000)),
    ],
)
async def test_a_body_is_given_in_the_form_that_it_has(api: Api, body: bytes, form: str, content: str) -> None:
    """JSON stands as the JSON that it is, to the last digit; text as text; and everything else as base64."""
    await api.fill([captured(1, body)])
    response = await api.ask(f"/api/requests/{exchange_id(1)}?include=request")
    raw = (await response.get_data(as_text=False)).decode()
    assert f'"form":"{form}","content":{content}' in raw
    assert json.loads(raw)["request"]["bytes"] == len(body)


async def test_a_content_encoding_is_undone_for_reading_and_kept_in_a_download(api: Api) -> None:
    """What came packed reads as what it says; its download is the packed bytes, under a type that says so."""
    packed = gzip.compress(b'{"type": "message", "role": "assistant", "content": []}')
    headers = [*JSON_ANSWER, ("content-encoding", "gzip")]
    await api.fill([captured(1, b"{}", [packed], response_headers=headers)])
    found = await api.json(f"/api/requests/{exchange_id(1)}?include=response")
    assert found["response"]["content"]["role"] == "assistant"
    assert found["response"]["bytes"] == len(packed)
    response = await api.ask(f"/api/requests/{exchange_id(1)}/response")
    assert await response.get_data(as_text=False) == packed
    assert response.content_type == "application/gzip"
    assert response.headers["content-disposition"].endswith('.response.json.gz"')


@pytest.mark.parametrize(
    "content_type", ["text/html; charset=utf-8", "image/svg+xml", "nonsense", "", "text/html, evil"]
)
async def test_a_download_is_never_a_page(api: Api, content_type: str) -> None:
    """Captured markup comes as a file to save: attachment, no sniffing, no scripts; its bytes are exactly those captured."""
    markup = b"<script>alert(document.cookie)</script>"
    headers = [("content-type", content_type)]
    await api.fill([captured(1, markup, [markup], request_headers=headers, response_headers=headers)])
    for side in ("request", "response"):
        response = await api.ask(f"/api/requests/{exchange_id(1)}/{side}")
        assert await response.get_data(as_text=False) == markup
        assert response.headers["content-disposition"].startswith(f'attachment; filename="{exchange_id(1)}.{side}.')
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["content-security-policy"] == "default-src 'none'"
        known = content_type in ("text/html; charset=utf-8", "image/svg+xml")
        assert response.content_type == (content_type if known else "application/octet-stream")


async def test_a_stream_downloads_as_it_came(api: Api) -> None:
    """The raw answer is all its bytes, with the type that the provider gave it."""
    pieces = [*stream(said("yes")), event("odd", text="</script>")]
    await api.fill([captured(1, b"{}", pieces)])
    response = await api.ask(f"/api/requests/{exchange_id(1)}/response")
    assert await response.get_data(as_text=False) == b"".join(pieces)
    assert response.content_type == "text/event-stream; charset=utf-8"


async def test_an_end_of_an_id_is_enough(api: Api) -> None:
    """As on the command line: a beginning or an end names an exchange where it is the only one."""
    await api.fill([exchange(n, [user("x")]) for n in (1, 2)])
    assert (await api.json("/api/requests/00000000-0002"))["id"] == exchange_id(2)
    assert (await api.json(f"/api/requests/{exchange_id(2).upper()}"))["id"] == exchange_id(2)
    assert "more than one" in await api.problem("/api/requests/0000", 409)
    for unknown in (exchange_id(3), "ffff", "x", "%25", "%2e%2e%2f"):
        assert await api.problem(f"/api/requests/{unknown}", 404)


async def test_an_unknown_include_is_named_with_those_that_are_known(api: Api) -> None:
    """Whoever asks for what there is not, learns what there is."""
    await api.fill([exchange(1, [user("x")])])
    problem = await api.problem(f"/api/requests/{exchange_id(1)}?include=request,body", 400)
    assert '"body"' in problem
    assert "request, sent, response, headers, events" in problem


async def test_a_damaged_body_is_an_error_that_says_so(api: Api) -> None:
    """What is not what was captured is never given out; the rest of the exchange still is."""
    await api.fill([exchange(1, [user("x")])])
    store = SqliteStore(api.path, write=True)
    store.db.execute("UPDATE bodies SET size = size + 1")
    store.close()
    assert "damaged" in await api.problem(f"/api/requests/{exchange_id(1)}?include=request", 500)
    assert "damaged" in await api.problem(f"/api/requests/{exchange_id(1)}/response", 500)
    assert (await api.json(f"/api/requests/{exchange_id(1)}"))["status"] == 200


async def test_one_exchange_is_deleted(api: Api) -> None:
    """It is gone from lists and by its id; its neighbours, who share its history, keep all of theirs."""
    first = [user("hello")]
    second = [*first, assistant(*said("yes")), user("more")]
    await api.fill([exchange(1, first), exchange(2, second)])
    assert await api.json(f"/api/requests/{exchange_id(1)}", method="DELETE") == {
        "deleted": 1,
        "message": "1 exchange is deleted",
    }
    assert await api.problem(f"/api/requests/{exchange_id(1)}", 404)
    assert await api.problem(f"/api/requests/{exchange_id(1)}", 404, "DELETE")
    found = await api.json(f"/api/requests/{exchange_id(2)}?include=request")
    assert found["request"]["content"]["messages"] == second
    assert (await api.json("/api/requests?q=hello"))["requests"][0]["id"] == exchange_id(2)


async def test_what_still_runs_is_kept_and_that_is_said(api: Api) -> None:
    """No deletion takes an open exchange; the answer tells how many were kept."""
    await api.fill([exchange(1, [user("x")], None, session="running"), *[exchange(n, [user("x")]) for n in (2, 3)]])
    for path in (f"/api/requests/{exchange_id(1)}", "/api/sessions/running"):
        assert "1 exchange is still running and kept" in await api.problem(path, 409, "DELETE")
    everything = await api.json("/api/requests", method="DELETE")
    assert everything == {"deleted": 2, "message": "2 exchanges are deleted; 1 exchange is still running and kept"}
    assert [row["state"] for row in (await api.json("/api/requests"))["requests"]] == [State.OPEN]


async def test_deleting_all_of_nothing_makes_nothing(api: Api) -> None:
    """Where nothing was captured, nothing is deleted, and no store is made."""
    assert (await api.json("/api/requests", method="DELETE"))["deleted"] == 0
    assert await api.problem("/api/requests/abc", 404, "DELETE")
    assert await api.problem("/api/sessions/abc", 404, "DELETE")
    assert not api.path.exists()
