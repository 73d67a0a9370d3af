"""The promises of `ccproxy.cli.launch`, held against made-up commands, environments and settings files."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ccproxy.cli import launch
from ccproxy.cli.launch import exports, is_claude, is_intercepted, merged_environment, variables, with_settings

URL = "http://127.0.0.1:3001"


def files(**texts: str) -> Callable[[str], str]:
    """Return a reader that knows these files, by their name without the `.json`."""

    def read(path: str) -> str:
        try:
            return texts[path.removesuffix(".json")]
        except KeyError:
            raise FileNotFoundError(2, "No such file or directory", path) from None

    return read


NO_FILES = files()


class Drawer:
    """Where merged settings are put."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def write(self, text: str) -> str:
        """Keep a text and return the path of its file."""
        self.texts.append(text)
        return "/private/merged.json"


def settled(*command: str, read: Callable[[str], str] = NO_FILES) -> list[str]:
    """Return a command with its settings, and hold that these are where they should be."""
    drawer = Drawer()
    result = with_settings(command, URL, read, drawer.write)
    assert len(drawer.texts) == result.count("/private/merged.json")
    return result


def merged(*command: str, read: Callable[[str], str] = NO_FILES) -> dict[str, Any]:
    """Return the settings that the client finds in the file that the command line names."""
    drawer = Drawer()
    result = with_settings(command, URL, read, drawer.write)
    assert [word.split("=")[0] for word in result].count("--settings") == 1
    assert result[result.index("--settings") + 1] == "/private/merged.json"
    found: dict[str, Any] = json.loads(drawer.texts[0])
    return found


def test_three_variables_point_a_client_at_the_proxy() -> None:
    """A client gets the base URL, its tool search and its hint headers."""
    assert variables(URL) == {
        "ANTHROPIC_BASE_URL": URL,
        "ENABLE_TOOL_SEARCH": "true",
        "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1",
    }


def test_the_environment_keeps_what_is_not_ours() -> None:
    """What a user has in the environment stays, but for an older base URL."""
    result = merged_environment({"PATH": "/bin", "ANTHROPIC_BASE_URL": "http://old"}, URL)
    assert result == {"PATH": "/bin", **variables(URL), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def test_the_environment_given_is_not_changed() -> None:
    """The caller's environment is only read."""
    environ = {"ANTHROPIC_BASE_URL": "http://old"}
    merged_environment(environ, URL)
    assert environ == {"ANTHROPIC_BASE_URL": "http://old"}


def test_the_proxys_token_goes_beside_what_the_client_sends() -> None:
    """The token is one more header of the client's; headers that the user added stay."""
    assert launch.with_token({"A": "b"}, "t")["ANTHROPIC_CUSTOM_HEADERS"] == "X-CCProxy-Token: t"
    own = {"ANTHROPIC_CUSTOM_HEADERS": "X-Team: blue\n"}
    assert launch.with_token(own, "t") == {"ANTHROPIC_CUSTOM_HEADERS": "X-Team: blue\nX-CCProxy-Token: t"}


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_a_company_proxy_is_not_asked_for_ours(name: str) -> None:
    """The host of the base URL is exempted from any forward proxy, beside what the user has exempted."""
    result = merged_environment({name: "intern.example, .local"}, URL)
    assert result["NO_PROXY"] == result["no_proxy"] == "intern.example,.local,127.0.0.1"


@pytest.mark.parametrize("exempted", ["*", "127.0.0.1", "localhost,127.0.0.1"])
def test_an_exemption_that_is_there_is_not_repeated(exempted: str) -> None:
    """A host that is exempted already is not named twice."""
    assert merged_environment({"no_proxy": exempted}, URL)["no_proxy"] == exempted


@pytest.mark.parametrize(
    ("environ", "intercepted"),
    [
        ({}, False),
        ({"NO_PROXY": "a.example"}, False),
        ({"HTTPS_PROXY": "http://p"}, True),
        ({"http_proxy": "http://p", "no_proxy": "a.example"}, True),
        ({"ALL_PROXY": "socks5://p", "no_proxy": "", "NO_PROXY": "127.0.0.1"}, False),
        ({"HTTPS_PROXY": "http://p", "no_proxy": "*"}, False),
        ({"HTTPS_PROXY": "", "https_proxy": ""}, False),
    ],
)
def test_a_company_proxy_in_the_way_is_noticed(environ: dict[str, str], intercepted: bool) -> None:
    """What a person has to export names an exemption only where a forward proxy would be asked for ours."""
    assert is_intercepted(environ, URL) == intercepted
    assert ("NO_PROXY" in exports(URL, environ)) == ("no_proxy" in exports(URL, environ)) == intercepted
    assert variables(URL).items() <= exports(URL, environ).items()


@pytest.mark.parametrize(
    "command",
    [
        ["claude"],
        ["/usr/local/bin/claude", "-p", "hello"],
        ["C:\\Tools\\claude.exe"],
        ["npx", "@anthropic-ai/claude-code"],
        ["npx", "-y", "@anthropic-ai/claude-code@2.1.197", "-p", "hello"],
        ["npx", "-y", "-p", "@anthropic-ai/claude-code", "claude"],
        ["npx", "--package=@anthropic-ai/claude-code@latest", "claude"],
        ["bunx", "@anthropic-ai/claude-code"],
        ["node", "/lib/node_modules/@anthropic-ai/claude-code/cli.js"],
        ["/usr/bin/node", "--enable-source-maps", "node_modules/@anthropic-ai/claude-code/cli-wrapper.cjs"],
    ],
)
def test_claude_code_is_recognised(command: list[str]) -> None:
    """Every usual way to start Claude Code is recognised as such."""
    assert is_claude(command)


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["python", "agent.py", "claude"],
        ["claude-trace"],
        ["npx"],
        ["npx", "prettier", "@anthropic-ai/claude-code"],
        ["npx", "-p", "prettier", "claude"],
        ["npx", "-p"],
        ["npx", "@anthropic-ai/claude-code-router"],
        ["node"],
        ["node", "other/cli.js"],
    ],
)
def test_other_programs_are_not_claude_code(command: list[str]) -> None:
    """A program that would not know the option is left alone, and its command comes back unchanged."""
    assert not is_claude(command)
    assert settled(*command) == command


def test_the_settings_are_the_first_option() -> None:
    """The option stands before everything of the user's, where no list option can swallow it."""
    result = settled("claude", "--allowedTools", "Bash", "Agent")
    assert result[:2] == ["claude", "--settings"]
    assert json.loads(result[2]) == {"env": variables(URL)}
    assert result[3:] == ["--allowedTools", "Bash", "Agent"]


def test_a_package_runner_keeps_its_own_options() -> None:
    """The option goes to Claude Code and not to the program that fetches it."""
    result = settled("npx", "-y", "@anthropic-ai/claude-code@latest", "-p", "hello")
    assert result[:4] == ["npx", "-y", "@anthropic-ai/claude-code@latest", "--settings"]
    assert result[5:] == ["-p", "hello"]


@pytest.mark.parametrize("form", [["--settings", "{}"], ["--settings={}"]], ids=["two words", "one word"])
@pytest.mark.parametrize("value", ['{"model":"opus","env":{"A":"1","ANTHROPIC_BASE_URL":"http://old"}}', "mine.json"])
def test_the_users_settings_are_kept(form: list[str], value: str) -> None:
    """Every key and variable of the user's settings stays, inline or in a file, in both spellings of the option."""
    words = [word.replace("{}", value) for word in form]
    read = files(mine='\ufeff{"model":"opus","env":{"A":"1","ANTHROPIC_BASE_URL":"http://old"}}')
    assert merged("claude", *words, "-p", "hello", read=read) == {
        "model": "opus",
        "env": {"A": "1", **variables(URL)},
    }


def test_the_users_settings_stay_out_of_the_command_line() -> None:
    """A command line can be read by everyone on the machine, so settings of the user's, and their keys, are not in it."""
    for own in ('{"env":{"ANTHROPIC_API_KEY":"hunter2"}}', "mine.json"):
        result = settled("claude", "--settings", own, "-p", "hi", read=files(mine='{"apiKeyHelper":"hunter2"}'))
        assert result == ["claude", "--settings", "/private/merged.json", "-p", "hi"]


def test_the_last_settings_win() -> None:
    """Of several `--settings` the last one counts, as it does for the client, and the others are not even read."""
    result = merged("claude", "--settings", "missing.json", "-c", '--settings={"model":"haiku"}')
    assert result == {"model": "haiku", "env": variables(URL)}


def test_nothing_is_an_option_after_the_separator() -> None:
    """What stands behind `--` is a prompt, however it looks."""
    result = settled("claude", "-p", "--", "--settings", "{broken")
    assert result[3:] == ["-p", "--", "--settings", "{broken"]
    assert json.loads(result[2]) == {"env": variables(URL)}


def test_an_option_without_its_value_is_left_to_the_client() -> None:
    """A `--settings` at the very end stays, so that the client says what is wrong with it."""
    assert settled("claude", "--settings")[3:] == ["--settings"]


@pytest.mark.parametrize("text", ['{"env":null}', '{"env":{}}', "{}"])
def test_settings_without_variables_get_them(text: str) -> None:
    """Settings that set no variable are no obstacle."""
    assert merged("claude", "--settings", text)["env"] == variables(URL)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("{broken", r"The JSON of your --settings is not valid JSON: .+ column 2.*\."),
        ("bad.json", r"Your settings file bad\.json is not valid JSON: .+\."),
        ("list.json", r"Your settings file list\.json is not a JSON object\."),
        ("gone.json", r"Your settings file gone\.json cannot be read: No such file or directory\."),
        ('{"env":[]}', r'The "env" of your --settings is not a JSON object\.'),
    ],
)
def test_settings_that_cannot_be_merged_are_named(value: str, sentence: str) -> None:
    """What is wrong with the user's settings is told in one sentence that names them."""
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        settled(*["claude", "--settings", value], read=files(bad="{,}", list="[]"))


def test_a_settings_file_that_is_not_text_is_named() -> None:
    """A file in another encoding is an error of the user's settings, not a traceback."""

    def read(path: str) -> str:
        return b"\xff".decode()

    with pytest.raises(ValueError, match=r"^Your settings file latin1\.json is not UTF-8 text\.$"):
        settled(*["claude", "--settings", "latin1.json"], read=read)
