"""How values are read: durations, sizes, switches, addresses, origins."""

from __future__ import annotations

import pytest

from ccproxy.settings import kinds
from tests.settings.conftest import Desk


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("600", 600),
        ("600s", 600),
        ("10m", 600),
        ("1h30m", 5400),
        ("250ms", 0.25),
        ("1.5s", 1.5),
        ("1 H", 3600),
        ("1d", 86400),
        ("1m 30s", 90),
        ("0.5", 0.5),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    """A duration is a number of seconds, or numbers with units."""
    assert kinds.DURATION.read(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1024", 1024),
        ("50MB", 50_000_000),
        ("50M", 50_000_000),
        ("1 GiB", 2**30),
        ("1.5k", 1500),
        ("7b", 7),
        ("2tb", 2 * 10**12),
        ("1KIB", 1024),
    ],
)
def test_sizes(text: str, size: int) -> None:
    """A size is a number of bytes, or a number with a unit; KiB counts by 1024, KB by 1000."""
    assert kinds.SIZE.read(text) == size


@pytest.mark.parametrize("text", ["true", "True", "1", "yes", "ON"])
def test_switches_on(desk: Desk, text: str) -> None:
    """A switch is on for true, yes, on and 1, and off for their opposites, in every source."""
    opposite = {"true": "false", "1": "0", "yes": "no", "on": "off"}[text.lower()]
    assert desk.load(environ={"ACCESS_LOG": text}).logging.access is True
    assert desk.load(environ={"ACCESS_LOG": opposite}).logging.access is False
    desk.write(f"logging: {{access: {opposite}}}")
    assert desk.load().logging.access is False
    assert desk.load(cli={"logging.access": True}).logging.access is True


@pytest.mark.parametrize("base_url", ["http://a", "http://a/", "http://localhost:8080/prefix/v2/", "https://[::1]:1"])
def test_base_urls(desk: Desk, base_url: str) -> None:
    """A base URL may carry a port and a path prefix; a slash at its end means nothing."""
    settings = desk.load(cli={"providers.anthropic.base_url": base_url})
    assert settings.providers.anthropic.base_url == base_url.rstrip("/")


@pytest.mark.parametrize(
    ("texts", "origin"),
    [
        (["http://a", "http://A/", "http://a:80"], "http://a"),
        (["https://a", "https://a:443"], "https://a"),
        (["https://a:80", "https://A:80/"], "https://a:80"),
        (["http://[::1]:8080"], "http://[::1]:8080"),
    ],
)
def test_origins(texts: list[str], origin: str) -> None:
    """However an origin is written, it is read as browsers write it."""
    assert {kinds.ORIGINS.read(text) for text in texts} == {(origin,)}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0"), (600, "10m"), (5400, "90m"), (86400, "1d"), (90, "90s"), (0.25, "0.25s"), (61.5, "61.5s")],
)
def test_durations_are_written_short(seconds: float, text: str) -> None:
    """A duration is written with the largest unit that holds it."""
    assert kinds.DURATION.write(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0"), (256_000_000, "256MB"), (2**30, "1GiB"), (1024, "1KiB"), (1500, "1500"), (5 * 10**12, "5TB")],
)
def test_sizes_are_written_short(size: int, text: str) -> None:
    """A size is written with the largest unit that holds it."""
    assert kinds.SIZE.write(size) == text
