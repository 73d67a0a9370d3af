"""What is not to be recorded is not, and the traffic never feels it: size, patterns, paths and raw answers, through a running proxy."""

from __future__ import annotations

from pathlib import Path

from tests.support.proxy import Proxy, client, request
from tests.support.standin import Answer, Gate, Request, StandIn, encoded, stream_answer, text_stream

SECRET = "hunter2-XYZ"
STREAM = text_stream(f"The password is {SECRET}, is it not?")


def _leaks(home: Path) -> list[str]:
    return [path.name for path in home.rglob("*") if path.is_file() and b"unter2" in path.read_bytes()]


async def test_what_matches_passes_and_is_nowhere_on_record(tmp_path: Path) -> None:
    """Provider and client get every byte, packed or not; journal, store and log never hold what matches, also while it runs."""
    gates = {False: Gate(), True: Gate()}

    def script(got: Request) -> Answer:
        packed = b"packed" in got.body
        answer = stream_answer([*STREAM[:4], gates[packed], *STREAM[4:]])
        return encoded(answer, "gzip") if packed else answer

    environ = {"CAPTURE_REDACT": "hunter2-[A-Z]+"}
    async with StandIn(script) as up, Proxy(up.url, tmp_path, environ=environ) as proxy, client() as http:
        for number, words in enumerate((f"say {SECRET}", f"say {SECRET}, packed"), 1):
            async with http.stream("POST", f"{proxy.url}/v1/messages", json=request(words)) as got:
                await proxy.until(lambda: "open" in [row["state"] for row in proxy.rows()])
                assert not _leaks(tmp_path)
                gates["packed" in words].open()
                assert await got.aread() == b"".join(STREAM)
            assert SECRET.encode() in up.requests[-1].body
            row = (await proxy.ended(number))[-1]
            [said] = proxy.reply(row)["content"]
            assert said["text"] == "The password is [redacted], is it not?"
            assert b"say [redacted]" in (proxy.body(row, "request") or b"")
            assert b"[redacted]" in (proxy.body(row, "response") or b"")
            assert (row["state"], row["capture_note"], row["events"]) == ("complete", None, len(STREAM))
    assert not _leaks(tmp_path)


async def test_a_limit_cuts_the_record_and_never_the_traffic(tmp_path: Path) -> None:
    """A body beyond the limit passes whole both ways; its record is its beginning, and the row says so."""
    environ = {"CAPTURE_MAX_BODY": "1000"}
    answer = stream_answer(text_stream("word " * 2000))
    async with StandIn([answer]) as up, Proxy(up.url, tmp_path, environ=environ) as proxy, client() as http:
        got = await http.post(f"{proxy.url}/v1/messages", json=request("word " * 2000))
        assert got.content == b"".join(text_stream("word " * 2000))
        (row,) = await proxy.ended()
        sent = up.requests[0].body
        assert len(sent) > 10_000
        assert (row["request_bytes"], row["response_bytes"]) == (len(sent), len(got.content))
        assert (proxy.body(row, "request"), proxy.body(row, "response")) == (sent[:1000], got.content[:1000])
        assert row["requested_model"] == "claude-opus-4-8"
        assert f"the request is recorded up to 1000 of {len(sent)} bytes (capture.max_body)" in row["capture_note"]
        assert row["state"] == "complete"


async def test_other_paths_and_raw_answers_are_left_out(tmp_path: Path) -> None:
    """A path that is not wanted passes without a trace; without raw answers, a message is kept and its bytes are not."""
    environ = {"CAPTURE_PATHS": "/v1/messages", "CAPTURE_RAW_RESPONSES": "false"}
    script = [stream_answer(text_stream("one")), stream_answer(text_stream("two"))]
    async with StandIn(script) as up, Proxy(up.url, tmp_path, environ=environ) as proxy, client() as http:
        got = await http.post(f"{proxy.url}/v1/messages/count_tokens", json=request())
        assert got.content == b"".join(text_stream("one"))
        await http.post(f"{proxy.url}/v1/messages", json=request())
        (row,) = await proxy.ended()
        assert row["path"] == "/v1/messages"
        assert proxy.reply(row)["content"] == [{"type": "text", "text": "two"}]
        assert proxy.body(row, "response") is None
        assert row["response_bytes"] == len(b"".join(text_stream("two")))
