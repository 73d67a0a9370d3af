"""The command line and environment with which a client is started through ccproxy.

Knows the variables that point a client here, how Claude Code is recognised in a command, and how its `--settings` are
read and merged. Refuses to start anything, to read or write a file or the environment by itself, and to touch an option
of the user's other than `--settings`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

FORWARD_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
CUSTOM_HEADERS = "ANTHROPIC_CUSTOM_HEADERS"  # one `Name: value` a line
OPTION = "--settings"
PACKAGE = "@anthropic-ai/claude-code"
PACKAGE_RUNNERS = frozenset({"npx", "bunx", "pnpx"})
SCRIPT_RUNNERS = frozenset({"node", "bun", "deno"})
SCRIPTS = frozenset({"cli.js", "cli-wrapper.cjs"})


def variables(base_url: str) -> dict[str, str]:
    """Return what a client needs in its environment to talk to the proxy at `base_url` as it would to Anthropic.

    With a base URL that is not Anthropic's, Claude Code loads every tool up front and stops saying what a request is
    for; the second and third variable bring both back.
    """
    return {
        "ANTHROPIC_BASE_URL": base_url,
        "ENABLE_TOOL_SEARCH": "true",
        "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1",
    }


def exports(base_url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a person has to export in `environ` to point a client at `base_url`."""
    return variables(base_url) | (_exemption(environ, base_url) if is_intercepted(environ, base_url) else {})


def merged_environment(environ: Mapping[str, str], base_url: str) -> dict[str, str]:
    """Return `environ` with the variables for `base_url` in it, and its host exempted from any forward proxy.

    Claude Code sends even a plain HTTP request on loopback through `HTTPS_PROXY`, to a server that cannot reach this
    machine. The proxy may be named in a settings file that is not seen from here, so the exemption is always made.
    """
    return {**environ, **variables(base_url), **_exemption(environ, base_url)}


def with_token(environ: Mapping[str, str], token: str) -> dict[str, str]:
    """Return `environ` with the proxy's own token among the headers that the client adds, next to its own credential."""
    own = environ.get(CUSTOM_HEADERS, "").strip("\n")
    return {**environ, CUSTOM_HEADERS: "\n".join(filter(None, [own, f"X-CCProxy-Token: {token}"]))}


def is_intercepted(environ: Mapping[str, str], base_url: str) -> bool:
    """Tell whether a forward proxy in `environ` would be asked for `base_url`."""
    named = any(environ.get(name) or environ.get(name.lower()) for name in FORWARD_PROXIES)
    return named and _exempted(environ) != _exemption(environ, base_url)["no_proxy"]


def _exemption(environ: Mapping[str, str], base_url: str) -> dict[str, str]:
    """Return the list of hosts that need no forward proxy with that of `base_url` in it, under both its names."""
    entries = _exempted(environ).split(",") if _exempted(environ) else []
    host = urlsplit(base_url).hostname or ""
    hosts = ",".join(entries if host in entries or "*" in entries else [*entries, host])
    return {"NO_PROXY": hosts, "no_proxy": hosts}


def _exempted(environ: Mapping[str, str]) -> str:
    given = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    return ",".join(entry.strip() for entry in given.split(",") if entry.strip())


def is_claude(command: Sequence[str]) -> bool:
    """Tell whether `command` starts Claude Code: by its name, by a package runner, or by the path of its script."""
    return _first_argument(command) is not None


def with_settings(
    command: Sequence[str], base_url: str, read_text: Callable[[str], str], write_text: Callable[[str], str]
) -> list[str]:
    """Return a Claude Code `command` whose one `--settings` holds the user's own and the variables for `base_url`.

    Settings from the command line beat the environment and the user's settings files. Alone, the variables go in as
    inline JSON; with settings of the user's, which may hold keys, they go to `write_text`, which returns the path of its
    file: a command line can be read by everyone on the machine. They are the first option, so that no other can swallow
    them. Of several `--settings` the client obeys the last, so the last one is kept. A command that is not Claude Code
    comes back as it is. Raises ValueError, with a sentence for the user, where the user's settings cannot be read or are
    not a JSON object.
    """
    start = _first_argument(command)
    if start is None:
        return list(command)
    own, others = _without_settings(command[start:])
    if own is None:
        value = json.dumps({"env": variables(base_url)})
    else:
        settings = _parsed(own, read_text)
        value = write_text(json.dumps(settings | {"env": {**_environment_of(settings), **variables(base_url)}}))
    return [*command[:start], OPTION, value, *others]


def _first_argument(command: Sequence[str]) -> int | None:
    """Return the position of the first argument of Claude Code itself, or None where the command is not Claude Code."""
    name = _program(command[0]) if command else ""
    if name == "claude":
        return 1
    if name in PACKAGE_RUNNERS:
        return _after_package(command)
    if name in SCRIPT_RUNNERS:
        return _after_script(command)
    return None


def _program(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".exe").removesuffix(".cmd")


def _after_package(command: Sequence[str]) -> int | None:
    """Find the end of `npx [options] PACKAGE[@version]` or `npx -p PACKAGE claude`."""
    named = False
    at = 1
    while at < len(command):
        word = command[at]
        if word in {"-p", "--package"}:
            named = named or _is_package("".join(command[at + 1 : at + 2]))
            at += 1
        elif word.startswith("--package="):
            named = named or _is_package(word.removeprefix("--package="))
        elif not word.startswith("-"):
            return at + 1 if _is_package(word) or (named and word == "claude") else None
        at += 1
    return None


def _is_package(word: str) -> bool:
    return word == PACKAGE or word.startswith(f"{PACKAGE}@")


def _after_script(command: Sequence[str]) -> int | None:
    """Find the end of `node [options] …/claude-code/cli.js`: another package's cli.js is not Claude Code."""
    for at, word in enumerate(command[1:], start=1):
        path = PurePath(word)
        if path.name in SCRIPTS:
            return at + 1 if "claude-code" in path.parts else None
    return None


def _without_settings(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the value of the last `--settings` and all other arguments; behind a `--` nothing is an option."""
    value: str | None = None
    others: list[str] = []
    at = 0
    while at < len(arguments) and arguments[at] != "--":
        word = arguments[at]
        if word == OPTION and at + 1 < len(arguments):
            at += 1
            value = arguments[at]
        elif word.startswith(f"{OPTION}="):
            value = word.removeprefix(f"{OPTION}=")
        else:
            others.append(word)
        at += 1
    return value, [*others, *arguments[at:]]


def _parsed(value: str, read_text: Callable[[str], str]) -> dict[str, Any]:
    """Return the settings that a `--settings` value stands for: JSON where it is in braces, else the path of a file."""
    inline = value.strip().startswith("{")
    where = f"The JSON of your {OPTION}" if inline else f"Your settings file {value}"
    try:
        settings = json.loads((value if inline else read_text(value)).removeprefix("\ufeff"))
    except OSError as error:
        raise ValueError(f"{where} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{where} is not UTF-8 text.") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{where} is not valid JSON: {error}.") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{where} is not a JSON object.")
    return settings


def _environment_of(settings: dict[str, Any]) -> dict[str, Any]:
    environment = settings.get("env")
    if environment is None:
        return {}
    if not isinstance(environment, dict):
        raise ValueError(f'The "env" of your {OPTION} is not a JSON object.')
    return environment
