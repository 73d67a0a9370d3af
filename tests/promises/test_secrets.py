"""Credentials are forwarded and never written: not to journal, store, log or error text."""

from __future__ import annotations

from pathlib import Path

from tests.support.proxy import Proxy, client, request
from tests.support.standin import Gate, StandIn, json_answer, stream_answer, text_stream

SECRETS = {
    "x-api-key": "sk-ant-api03-FIRST-secret-0123456789",
    "authorization": "Bearer SECOND-secret-oauth-token",
    "proxy-authorization": "Basic THIRDsecretdXNlcjpwYXNz",
    "cookie": "session=FOURTH-secret-cookie; other=1",
    "x-auth-token": "FIFTH-secret-token",
    "x-gateway-secret": "SIXTH-secret-value",
    "anthropic-api-key": "SEVENTH-secret-key",
}
QUERY = "beta=true&api_key=EIGHTH-secret-query&token=NINTH-secret-query"
ANSWERED = "TENTH-secret-set-cookie"
TRACES = [
    "FIRST-secret", "SECOND-secret", "THIRDsecret", "FOURTH-secret", "FIFTH-secret", "SIXTH-secret", "SEVENTH-secret",
    "EIGHTH-secret", "NINTH-secret", "TENTH-secret",
]  # fmt: skip


def _leaks(home: Path) -> list[str]:
    """Return every file below `home` in which a secret stands, with the secret."""
    files = [path for path in home.rglob("*") if path.is_file()]
    assert files
    return [f"{path.name}: {trace}" for path in files for trace in TRACES if trace.encode() in path.read_bytes()]


async def test_no_credential_is_in_journal_store_or_log(tmp_path: Path) -> None:
    """No file of the proxy holds a credential that passed through it, while a stream runs and after; the provider got all."""
    gate = Gate()
    events = text_stream("hello")
    answer = stream_answer([*events[:2], gate, *events[2:]], headers=[("set-cookie", f"id={ANSWERED}; Path=/")])
    async with StandIn([answer, json_answer({})]) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        url = f"{proxy.url}/v1/messages?{QUERY}"
        async with http.stream("POST", url, json=request(), headers=SECRETS) as got:
            await proxy.until(lambda: [row["state"] for row in proxy.rows()] == ["open"])
            assert list(proxy.journal.glob("*.journal"))
            assert not _leaks(tmp_path)
            gate.open()
            assert ANSWERED in got.headers["set-cookie"]
            await got.aread()
        await http.get(f"{proxy.url}/nowhere?{QUERY}", headers=SECRETS)
        received = up.requests[0]
        for name, value in SECRETS.items():
            if name != "proxy-authorization":  # hop by hop: it is for a proxy, and ends here
                assert received.header(name) == value
        assert received.target.endswith(QUERY)
        (row,) = await proxy.ended()
        with_store = proxy.store()
        headers = dict(with_store.headers(row["id"], "request") or [])
        with_store.close()
        assert headers["x-api-key"].startswith("sha256:")
        assert len(headers["x-api-key"]) == len("sha256:") + 12
        assert "api_key=sha256:" in row["query"]
        await proxy.stop()
        assert not _leaks(tmp_path)


async def test_no_credential_is_in_the_error_of_a_dead_provider(tmp_path: Path) -> None:
    """Neither the client's error nor the log names a credential when the provider cannot be reached."""
    async with Proxy("http://127.0.0.1:9", tmp_path) as proxy, client() as http:
        got = await http.post(f"{proxy.url}/v1/messages?{QUERY}", json=request(), headers=SECRETS)
        assert got.status_code == 502
        assert not [trace for trace in TRACES if trace in got.text]
        await proxy.ended()
        await proxy.stop()
        assert not _leaks(tmp_path)


async def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    """Store and journal files are 0600, and the journal's folder is 0700."""
    gate = Gate()
    events = text_stream("hello")
    async with StandIn([stream_answer([*events[:2], gate, *events[2:]])]) as up, Proxy(up.url, tmp_path) as proxy:
        async with client() as http, http.stream("POST", f"{proxy.url}/v1/messages", json=request()) as got:
            await proxy.until(lambda: [row["state"] for row in proxy.rows()] == ["open"])
            files = [*proxy.journal.iterdir(), *tmp_path.glob("requests.db*")]
            assert len(files) >= 4
            modes = {path.name: oct(path.stat().st_mode & 0o777) for path in files if path.is_file()}
            assert set(modes.values()) == {"0o600"}, modes
            assert oct(proxy.journal.stat().st_mode & 0o777) == "0o700"
            gate.open()
            await got.aread()
