"""The environment, `.env` and the command line, and lists in them."""

from __future__ import annotations

import pytest

from ccproxy.settings import environment
from tests.settings.conftest import Desk


def test_dotenv_stays_out_of_the_environment(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .env file gives settings, literally, and leaves the process's environment alone."""
    monkeypatch.delenv("ANTHROPIC_VERSION", raising=False)
    desk.write('# mine\nexport ANTHROPIC_VERSION="${HOME}"\nUNRELATED=1\nPORT\n', ".env")
    settings = desk.load()
    assert settings.providers.anthropic.version == "${HOME}"
    assert not {"ANTHROPIC_VERSION", "UNRELATED"} & set(environment())


def test_a_former_name_counts_after_the_present_one(desk: Desk) -> None:
    """A variable's former name is understood; where both are set, the present one counts."""
    settings = desk.load(environ={"SVELTE_PORT": "4001"})
    assert (settings.dashboard.port, settings.sources["dashboard.port"]) == (4001, "environment SVELTE_PORT")
    settings = desk.load(environ={"SVELTE_PORT": "4001", "DASHBOARD_PORT": "4002"})
    assert (settings.dashboard.port, settings.sources["dashboard.port"]) == (4002, "environment DASHBOARD_PORT")
    desk.write("DASHBOARD_PORT=4003", ".env")
    assert desk.load(environ={"SVELTE_PORT": "4001", "DASHBOARD_PORT": ""}).dashboard.port == 4001


def test_lists(desk: Desk) -> None:
    """A list is a text with commas in every source; in YAML it may be a list, and on the command line a repeated option."""
    expected = ("a.example", "b.example")
    assert desk.load(environ={"ALLOWED_HOSTS": "a.example, B.example ,"}).server.allowed_hosts == expected
    assert desk.load(cli={"server.allowed_hosts": ("a.example", "b.example", "")}).server.allowed_hosts == expected
    for text in ('"a.example,b.example"', "[a.example, b.example, ~]", "\n  - a.example\n  - b.example"):
        desk.write(f"server:\n  allowed_hosts: {text}\n")
        assert desk.load().server.allowed_hosts == expected
    assert desk.load(cli={"server.allowed_hosts": ()}).server.allowed_hosts == expected


def test_a_comma_does_not_divide_an_expression(desk: Desk) -> None:
    """A variable holds one regular expression, commas and all; the file may hold several."""
    assert desk.load(environ={"CAPTURE_REDACT": "a{2,3}, b"}).capture.redact == ("a{2,3}, b",)
    desk.write("capture:\n  redact:\n    - 'a{2,3}'\n    - b, c\n")
    assert desk.load().capture.redact == ("a{2,3}", "b, c")


def test_dotenv_can_be_left_alone(desk: Desk) -> None:
    """Where it is told so, .env is not read, whatever stands in it: it may be another program's."""
    desk.write(b"PORT=high\n\xff", ".env")
    assert desk.load(dotenv=False).server.port == 3001
    assert desk.load(dotenv=False, environ={"PORT": "4001"}).server.port == 4001
