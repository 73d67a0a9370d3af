"""What is refused, and in which words."""

from __future__ import annotations

import pytest

from ccproxy.settings import SETTINGS, Setting, kinds
from tests.settings.conftest import Desk, sentence

BAD: dict[str, list[str]] = {
    kinds.PORT.what: ["65536", "-1", "3001.0", "http", "0x10", "9" * 5000],
    kinds.WORKERS.what: ["0", "65", "two"],
    kinds.DURATION.what: ["soon", "-1", "10 minutes", "1h30", "m", "nan", "inf", "9" * 400, "366d"],
    kinds.POSITIVE_DURATION.what: ["0", "0s", "soon"],
    kinds.AGE.what: ["soon", "3654d", "10y"],
    kinds.RETRIES.what: ["-1", "21", "often"],
    kinds.STATUSES.what: ["399", "600", "429 500", "4xx", "500,200"],
    kinds.FORMAT.what: ["xml", "2"],
    kinds.STORE_TYPE.what: ["postgresql", "mysql"],
    kinds.HOSTS.what: ["a:80", "http://a", "a b", "*", "a,[::1]"],
    kinds.ORIGINS.what: ["a", "null", "ftp://a", "http://a/b", "http://u@a", "http://a?b"],
    kinds.PASSWORD.what: ["two\nlines", "bad\udcffbytes"],
    kinds.HEADER.what: ["x token", "x:y", "x,y", "naïve"],
    kinds.PATTERNS.what: ["v1/*", "/a b", "/v1/*,v2/*"],
    kinds.EXPRESSIONS.what: ["(", "[a", "a*", "(?P<a>", "x|"],
    kinds.SIZE.what: ["-1", "big", "1 XB", "1iB", "9" * 400, "1.5.2"],
    kinds.SWITCH.what: ["maybe", "2", "enabled"],
    kinds.LEVEL.what: ["loud", "2"],
    kinds.HOST.what: ["http://localhost", "127.0.0.1:3001", "localhost:80", "a b", "[::1]"],
    kinds.WORD.what: ["two words", "line\nbreak", "naïve"],
    kinds.BASE_URL.what: [
        "api.anthropic.com",
        "ftp://a",
        "http://",
        "https:///v1",
        "http://a:99999",
        "http://a:0",
        "http://a b",
        "http://[::1",
        "http://a?b",
        "http://a#b",
        "http://u:p@a",
        "http://a\\b",
        "//a",
    ],
    kinds.API_URL.what: [
        "api.openai.com/v1",
        "ftp://a/v1",
        "https:///v1",
        "http://a:0/v1",
        "http://a b",
        "http://a/v1?b c",
        "http://a/v1?b#c",
        "http://a/v1#c",
        "http://a/v1?user=u@a",
        "http://u:p@a/v1",
        "?a=b",
    ],
    kinds.PROTOCOL.what: ["gemini", "open ai", "openai,anthropic"],
    kinds.HEADERS.what: ["X-A", ": a", "X A: a", "X-A:", "X-A: naïve", "X-A: a\tb", "X-A: a\nb"],
    kinds.LIMITS.what: ["16384", "gpt-4o=many", "=5", "a=0", "a=10000001", "a=1.5", "a=-1", "a=1 b=2", "a=1,b"],
    kinds.AGENTS.what: ["reviewer", ":gpt-4o", "reviewer:", "reviewer=", "=gpt-4o", "a:b,c", "a:b\nc:d", "bad\udcff:a"],
    kinds.PATHS.what: ["a\0b", "/a, ~nobody-of-this-name/b", "bad\udcffbytes"],
    kinds.PATH.what: ["a\0b", "~nobody-of-this-name/a", "bad\udcffbytes"],
}


@pytest.mark.parametrize(("row", "text"), [(row, text) for row in SETTINGS for text in BAD[row.kind.what]])
def test_bad_values(desk: Desk, row: Setting, text: str) -> None:
    """For every key, a value that makes no sense is refused with its source, its key and what it must be."""
    routed = {} if row.key == "subagents.enable" else {"SUBAGENTS_ENABLE": "true"}
    message = sentence(lambda: desk.load(environ={row.env: text} | routed))
    assert message.startswith(f"environment {row.env}: {row.key} must be {row.kind.what}")
    assert message.isprintable()
    assert len(message) < 300


@pytest.mark.parametrize("base_url", ["http://me:hunter2@host", "https://host/?key=hunter2", "https://host/#hunter2"])
def test_a_refused_url_is_not_repeated(desk: Desk, base_url: str) -> None:
    """An address that may carry a credential is refused without being quoted."""
    message = sentence(lambda: desk.load(environ={"ANTHROPIC_FORWARD_URL": base_url}))
    assert message.startswith(
        "environment ANTHROPIC_FORWARD_URL: providers.anthropic.base_url must be an http or https"
    )
    assert "hunter2" not in message


@pytest.mark.parametrize("star", ["*", "http://*", "https://*.example.org"])
def test_no_origin_stands_for_all(desk: Desk, star: str) -> None:
    """A star among the origins is refused with the reason, so that nobody opens the captures to every web page."""
    message = sentence(lambda: desk.load(environ={"CORS_ORIGINS": f"http://a, {star}"}))
    assert message.startswith(
        "environment CORS_ORIGINS: server.cors_origins must name each origin: with a * any web page"
    )


def test_another_store_is_refused(desk: Desk) -> None:
    """A kind of store that is not there refuses the start, and is not ignored."""
    assert sentence(lambda: desk.load(environ={"DB_TYPE": "mysql"})) == (
        'environment DB_TYPE: storage.db_type must be sqlite or postgres, not "mysql"'
    )


def test_refusals_of_other_sources(desk: Desk) -> None:
    """The command line and .env are refused by their own names."""
    assert sentence(lambda: desk.load(cli={"server.prot": 1})) == (
        'command line: unknown key "server.prot"; did you mean "server.port"?'
    )
    assert sentence(lambda: desk.load(cli={"server.workers": 65})) == (
        'command line: server.workers must be a whole number from 1 to 64, not "65"'
    )
    desk.write("PORT=high", ".env")
    assert sentence(desk.load) == '.env PORT: server.port must be a whole number from 0 to 65535, not "high"'
    desk.write(b"PORT=\xff", ".env")
    assert sentence(desk.load) == ".env: this is not UTF-8 text"
