"""The settings: one table, and the one pure function that fills it.

Knows each setting's key, environment name, default, kind and sentence, and in which order the sources count: command
line, environment, `.env`, `config.yaml`, default. The loader, `config.yaml.example` and the README's table share it.
Refuses to guess: a key or value that it does not understand is a `ConfigError` that says where it stands. Refuses to
know what the settings are for. Nothing else in ccproxy reads the environment or YAML.

Many programs have a `config.yaml`, and `ccproxy run` starts in anybody's project. So one that lies in the working folder
and has none of our top-level keys is taken for another program's: it is passed over, and `Settings.passed_over` tells so.
With at least one of our keys it is ours, and all of it must be right; so must a file that was named with `--config`.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

import dotenv
import msgspec
import platformdirs
import yaml

from ccproxy.errors import ConfigError

LONGEST_DURATION = 365 * 86400.0  # beyond a year it is a slip of the pen, and event loops overflow somewhere above
LONGEST_AGE = 3653 * 86400.0  # ten years: nothing waits for it, and captures may be kept for long
LARGEST_SIZE = 2**53  # exact in every JSON reader
SHOWN_LENGTH = 80  # a wrong value is quoted in a sentence, so it is cut to what a line of a terminal holds

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)\s*")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:([kmgt])(i)?)?b?", re.IGNORECASE)
_SWITCH = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)


# Kinds: what a value must be, and how its text is read. A reader raises ValueError; the sentence is made elsewhere.


@dataclass(frozen=True, slots=True)
class Kind:
    """What values a setting takes: `what` completes the sentence "it must be …", `read` makes the value of its text.

    A list has `item` and `split` as well: how one member is read, and how a text is taken apart into its members.
    """

    what: str
    read: Callable[[str], Any]
    item: Callable[[str], Any] | None = None
    split: Callable[[str], list[str]] | None = None


class RefusalError(ValueError):
    """A value that deserves a sentence of its own: the message goes on after the setting's key."""


def _whole(low: int, high: int, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise ValueError
    return int(text)


def _duration(text: str, longest: float = LONGEST_DURATION) -> float:
    text = text.lower()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        text += "s"
    if not re.fullmatch(rf"(?:{_DURATION_PART.pattern})+", text):
        raise ValueError
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    if seconds > longest:
        raise ValueError
    return seconds


def _positive_duration(text: str) -> float:
    seconds = _duration(text)
    if seconds <= 0:
        raise ValueError
    return seconds


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError
    number, unit, binary = match.groups()
    size = float(number) * (1024 if binary else 1000) ** (" kmgt".index((unit or " ").lower()))
    if size > LARGEST_SIZE:
        raise ValueError
    return int(size)


def _switch(text: str) -> bool:
    if text.lower() not in _SWITCH:
        raise ValueError
    return _SWITCH[text.lower()]


def _choice(choices: tuple[str, ...], text: str) -> str:
    if text.lower() not in choices:
        raise ValueError
    return text.lower()


def _pattern(pattern: str, text: str) -> str:
    if not re.fullmatch(pattern, text):
        raise ValueError
    return text


def _base_url(text: str) -> str:
    parts = urlsplit(_pattern(r"[!-~]+", text))
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[@?#\\]", text):
        raise ValueError
    if parts.port == 0:  # reading the port checks its range
        raise ValueError
    return text.rstrip("/")


def _path(text: str) -> Path:
    if "\0" in text or not text.encode():  # encode() raises a ValueError where bytes of the environment are not UTF-8
        raise ValueError
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError from error


def _lower(pattern: str, text: str) -> str:
    return _pattern(pattern, text).lower()


def _origin(text: str) -> str:
    """Read an origin as a browser writes it: in lower case, without the port that its scheme has anyway."""
    if "*" in text:
        raise RefusalError("must name each origin: with a * any web page could read what was captured")
    url = _base_url(text).lower()
    parts = urlsplit(url)
    if parts.path:
        raise ValueError
    return url.removesuffix({"http": ":80", "https": ":443"}[parts.scheme])


def _expression(text: str) -> str:
    try:
        if re.compile(text).match(""):
            raise ValueError
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError from error
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError
    return text


def _optional(read: Callable[[str], str], text: str) -> str:
    return read(text) if text else ""


def _commas(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _whole_text(text: str) -> list[str]:
    return [text] if text else []


def _list(what: str, item: Callable[[str], Any], split: Callable[[str], list[str]] = _commas) -> Kind:
    return Kind(what, lambda text: tuple(item(part) for part in split(text)), item, split)


_HOST = r"[\w.-]+|[0-9a-fA-F:]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*(?:%\w+)?"

PORT = Kind("a whole number from 0 to 65535", partial(_whole, 0, 65535))
WORKERS = Kind("a whole number from 1 to 64", partial(_whole, 1, 64))
RETRIES = Kind("a whole number from 0 to 20", partial(_whole, 0, 20))
STATUSES = _list("status codes from 400 to 599", partial(_whole, 400, 599))
DURATION = Kind("a duration such as 0, 600, 90s, 10m or 1h30m, of a year at most", _duration)
POSITIVE_DURATION = Kind(
    "a duration such as 600, 90s, 10m or 1h30m, above zero and of a year at most", _positive_duration
)
AGE = Kind("an age such as 0, 12h or 90d, of ten years at most", partial(_duration, longest=LONGEST_AGE))
SIZE = Kind("a size such as 0, 1024, 50MB or 1 GiB", _size)
SWITCH = Kind("true or false", _switch)
LEVEL = Kind("one of debug, info, warning, error", partial(_choice, ("debug", "info", "warning", "error")))
FORMAT = Kind("text or json", partial(_choice, ("text", "json")))
STORE_TYPE = Kind("sqlite, the only store that there is yet", partial(_choice, ("sqlite",)))
HOST = Kind("a host name or an address, without a port", partial(_pattern, _HOST))
HOSTS = _list("host names or addresses, without ports", partial(_lower, _HOST))
ORIGINS = _list("web origins such as https://example.org or http://localhost:8080, without a path", _origin)
WORD = Kind("one word of visible characters", partial(_pattern, r"[!-~]+"))
TOKEN = Kind(WORD.what, partial(_optional, WORD.read))
PASSWORD = Kind("one line of text", _printable)
HEADER = Kind("the name of a header", partial(_lower, r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"))
BASE_URL = Kind("an http or https address with a host, and without user, query and fragment", _base_url)
PUBLIC_URL = Kind(BASE_URL.what, partial(_optional, _base_url))
PATTERNS = _list("patterns of paths such as /v1/*, each with / or * at its beginning", partial(_pattern, r"[/*][!-~]*"))
EXPRESSIONS = _list("a regular expression, and one that needs something to match", _expression, _whole_text)
PATH = Kind("a path", _path)


# The table.


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. `default` is written as a user would write it, and read by the same reader.

    Where the default depends on other things, `derive` makes it of (the user's data folder, the values so far), `shown`
    tells it in words, and `default` is only what the example file shows. `older_env` is a variable's former name: it
    counts where the present one says nothing.
    """

    key: str
    env: str
    default: str
    kind: Kind
    help: str
    secret: bool = False
    derive: Callable[[Path, Mapping[str, Any]], Any] | None = None
    shown: str = ""
    older_env: str = ""


def setting(
    default: str,
    kind: Kind,
    env: str,
    help: str,  # noqa: A002 - the word that command lines and argument parsers use for this
    *,
    secret: bool = False,
    derive: Callable[[Path, Mapping[str, Any]], Any] | None = None,
    shown: str = "",
    older_env: str = "",
) -> Any:
    """Declare a dataclass field to be a setting. A secret never shows in a repr, nor in an error."""
    row = Setting("", env, default, kind, help, secret, derive, shown, older_env)
    return field(metadata={"setting": row}, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTimeouts:
    """How long ccproxy waits for its clients, in seconds."""

    read: float = setting(
        "10m", POSITIVE_DURATION, "READ_TIMEOUT", "The longest silence while a client sends its request."
    )
    write: float = setting(
        "10m", POSITIVE_DURATION, "WRITE_TIMEOUT", "The longest time a client may take to accept a piece of its answer."
    )
    idle: float = setting("10m", POSITIVE_DURATION, "IDLE_TIMEOUT", "How long an idle client connection is kept open.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where and how ccproxy listens."""

    host: str = setting("127.0.0.1", HOST, "SERVER_HOST", "The address to listen on.")
    port: int = setting("3001", PORT, "PORT", "The port to listen on; 0 takes a free one.")
    workers: int = setting("1", WORKERS, "WORKERS", "How many processes serve requests.")
    max_body: int = setting(
        "256MB", SIZE, "MAX_BODY", "The largest request body that is accepted; 0 means that there is no limit."
    )
    drain_timeout: float = setting(
        "32m", DURATION, "DRAIN_TIMEOUT", "How long a stop waits for the exchanges that still run."
    )
    trust_proxy: bool = setting(
        "false",
        SWITCH,
        "TRUST_PROXY",
        "Whether a reverse proxy in front of ccproxy decides who comes in: a bind beyond this machine needs no auth then, and"
        " the bypass for this machine is off.",
    )
    public_url: str = setting(
        "",
        PUBLIC_URL,
        "PROXY_PUBLIC_URL",
        "The URL under which clients reach ccproxy, for set-up instructions; without it they show the address it listens on.",
    )
    allowed_hosts: tuple[str, ...] = setting(
        "",
        HOSTS,
        "ALLOWED_HOSTS",
        "Host names, beside those of this machine and of the public URL, under which the data API may be asked.",
    )
    cors_origins: tuple[str, ...] = setting(
        "", ORIGINS, "CORS_ORIGINS", "Web origins (`scheme://host:port`) whose pages may use the data API."
    )
    timeouts: ServerTimeouts


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """Who may use ccproxy."""

    enabled: bool = setting("false", SWITCH, "AUTH_ENABLED", "Whether clients must show the token.")
    token: str = setting("", TOKEN, "AUTH_TOKEN", "The token that clients must show; auth needs one.", secret=True)
    api_key_header: str = setting(
        "x-api-key",
        HEADER,
        "AUTH_API_KEY_HEADER",
        "The header in which a client may show the token; `Authorization: Bearer` is the other way.",
    )
    allow_localhost_bypass: bool = setting(
        "true", SWITCH, "AUTH_ALLOW_LOCALHOST_BYPASS", "Whether clients on this machine come in without the token."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """The pages on which captures are looked at."""

    port: int = setting(
        "5174",
        PORT,
        "DASHBOARD_PORT",
        "The port of the dashboard; 0 takes a free one. `SVELTE_PORT` is understood as well.",
        older_env="SVELTE_PORT",
    )
    password: str = setting(
        "",
        PASSWORD,
        "DASHBOARD_PASSWORD",
        "The password that a browser is asked for before it sees captures, with any user name; none means that it is not asked.",
        secret=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Anthropic:
    """The provider that requests go to."""

    base_url: str = setting(
        "https://api.anthropic.com",
        BASE_URL,
        "ANTHROPIC_FORWARD_URL",
        "Where requests are forwarded to; a path in it goes before the request's own.",
    )
    version: str = setting(
        "2023-06-01",
        WORD,
        "ANTHROPIC_VERSION",
        "The `anthropic-version` header for requests whose client sent none.",
    )
    api_key: str = setting(
        "",
        TOKEN,
        "ANTHROPIC_FORWARD_API_KEY",
        "The key that is sent for clients that bring no credential of their own.",
        secret=True,
    )
    max_retries: int = setting(
        "3", RETRIES, "ANTHROPIC_MAX_RETRIES", "How often a request is tried again where no answer came."
    )
    retry_statuses: tuple[int, ...] = setting(
        "", STATUSES, "ANTHROPIC_RETRY_STATUSES", "Status codes of answers after which a request is tried again, too."
    )
    demote_nonstreaming: bool = setting(
        "false",
        SWITCH,
        "ANTHROPIC_DEMOTE_NONSTREAMING",
        "Whether a stream is asked for where the client asked for one JSON message, which it is then given.",
    )
    connect_timeout: float = setting(
        "30s", POSITIVE_DURATION, "ANTHROPIC_CONNECT_TIMEOUT", "How long connecting to the provider may take."
    )
    response_header_timeout: float = setting(
        "5m",
        POSITIVE_DURATION,
        "ANTHROPIC_RESPONSE_HEADER_TIMEOUT",
        "How long the provider may take until its answer begins.",
    )
    idle_timeout: float = setting(
        "0",
        DURATION,
        "ANTHROPIC_IDLE_TIMEOUT",
        "The longest silence inside an answer before it counts as broken; 0 means that it never does.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """The providers, each under its name."""

    anthropic: Anthropic


def _default_db_path(data_home: Path, _values: Mapping[str, Any]) -> Path:
    return data_home / "requests.db"


def _default_journal_dir(_data_home: Path, values: Mapping[str, Any]) -> Path:
    store: Path = values["storage.db_path"]
    return store.parent / f"{store.stem}.journal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where captures are kept, and for how long."""

    db_type: str = setting("sqlite", STORE_TYPE, "DB_TYPE", "The kind of the store; there is one only, `sqlite`.")
    db_path: Path = setting(  # noqa: RUF009 - declares a field, as dataclasses.field does
        "~/.local/share/ccproxy/requests.db",
        PATH,
        "DB_PATH",
        "The store: an SQLite file, made where there is none.",
        derive=_default_db_path,
        shown="`requests.db` in the user's data folder",
    )
    journal_dir: Path = setting(  # noqa: RUF009 - likewise
        "~/.local/share/ccproxy/requests.journal",
        PATH,
        "JOURNAL_DIR",
        "The folder for captures on their way to the store; it needs a local disk.",
        derive=_default_journal_dir,
        shown="beside the store, named after it: `requests.journal`",
    )
    max_age: float = setting(
        "0",
        AGE,
        "STORAGE_MAX_AGE",
        "How old captures may become before they are deleted; 0 means that they are kept for ever.",
    )
    max_size: int = setting(
        "0",
        SIZE,
        "STORAGE_MAX_SIZE",
        "How large the store may become before the oldest captures are deleted; 0 means that there is no limit.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """What is recorded of the traffic. None of it changes the traffic."""

    max_body: int = setting(
        "0",
        SIZE,
        "CAPTURE_MAX_BODY",
        "How much of a body is recorded, while all of it is passed on; 0 means that there is no limit.",
    )
    paths: tuple[str, ...] = setting(
        "/v1/*",
        PATTERNS,
        "CAPTURE_PATHS",
        "Shell-style patterns of the paths that are recorded; all others are only passed on.",
    )
    redact: tuple[str, ...] = setting(
        "",
        EXPRESSIONS,
        "CAPTURE_REDACT",
        "Regular expressions for what is masked before it is recorded; the environment holds one, `config.yaml` may hold a list.",
    )
    raw_responses: bool = setting(
        "true",
        SWITCH,
        "CAPTURE_RAW_RESPONSES",
        "Whether the exact bytes of an answer are kept beside the message that they came to.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Logging:
    """What ccproxy tells about itself."""

    access: bool = setting("true", SWITCH, "ACCESS_LOG", "Whether each request is one line in the log.")
    level: str = setting(
        "info", LEVEL, "LOG_LEVEL", "The least important messages that are logged: debug, info, warning or error."
    )
    format: str = setting("text", FORMAT, "LOG_FORMAT", "How a line of the log is written: text or json.")


def _default_claude_dir(_data_home: Path, _values: Mapping[str, Any]) -> Path:
    return Path(os.path.expanduser("~/.claude"))  # unlike Path.expanduser, it takes a machine without a home as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Claude:
    """What ccproxy knows of Claude Code on this machine."""

    config_dir: Path = setting(  # noqa: RUF009 - declares a field, as dataclasses.field does
        "~/.claude",
        PATH,
        "CLAUDE_CONFIG_DIR",
        "The folder in which Claude Code keeps its transcripts.",
        derive=_default_claude_dir,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, for each key the source its value came from, and the file that was read or passed over."""

    server: Server
    auth: Auth
    dashboard: Dashboard
    providers: Providers
    storage: Storage
    capture: Capture
    logging: Logging
    claude: Claude
    sources: Mapping[str, str]
    config_file: Path | None
    passed_over: Path | None


def rows(tree: type, prefix: str = "") -> Iterator[Setting]:
    """Yield the settings that a tree of dataclasses declares, in its order, under their full keys."""
    hints = get_type_hints(tree)
    for item in fields(tree):
        key = prefix + item.name
        if "setting" in item.metadata:
            yield replace(item.metadata["setting"], key=key)
        elif is_dataclass(hints[item.name]):
            yield from rows(hints[item.name], f"{key}.")


SETTINGS: tuple[Setting, ...] = tuple(rows(Settings))
_BY_KEY = {row.key: row for row in SETTINGS}


def _sections(keys: Iterable[str]) -> list[str]:
    parts = [key.split(".") for key in keys]
    return list(dict.fromkeys(".".join(part[:depth]) for part in parts for depth in range(1, len(part))))


_SECTIONS = _sections(_BY_KEY)
_TOP_LEVEL = "|".join(section for section in _SECTIONS if "." not in section)
_OUR_KEY = re.compile(rf"""^["'{{]?(?:{_TOP_LEVEL})(?:\.[\w.]+)?["']?[ \t]*:""", re.MULTILINE)


# Loading.


@dataclass(frozen=True, slots=True)
class Found:
    """A value as it was found: its text, the source it stands in, and the folder that a relative path starts from.

    Where the source itself holds a list, `items` are its members, and there is no text.
    """

    text: str = field(repr=False)
    source: str
    base: Path
    line: int | None = None
    items: tuple[Found, ...] | None = field(default=None, repr=False)

    @property
    def where(self) -> str:
        """Name the source in short, as in `config.yaml:12`."""
        return f"{self.source}:{self.line}" if self.line else self.source


def environment() -> Mapping[str, str]:
    """Return a snapshot of the process's environment. The one place that reads it."""
    return dict(os.environ)  # noqa: TID251 - this is that one place


def load(
    *,
    cli: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    config_file: Path | None = None,
    cwd: Path | None = None,
    config_home: Path | None = None,
    data_home: Path | None = None,
) -> Settings:
    """Build the settings of the command line (key to value), the environment, `.env`, `config.yaml` and the defaults.

    An empty or missing value counts as not set, in every source. A value in the configuration file must be right even
    where another source overrides it. Without `config_file`, `config.yaml` is looked for in `cwd`, where another
    program's is passed over, then in `config_home`. The folders default to the process's own and the user's. Raises
    `ConfigError`.
    """
    cwd = (cwd or Path.cwd()).absolute()
    path, passed_over = _config_path(config_file, cwd, config_home)
    found = _from_file(path, cwd) if path else {}
    for key, value in found.items():
        read(_BY_KEY[key], value)
    found |= _from_variables(_dotenv(cwd / ".env"), ".env", cwd)
    found |= _from_variables(environment() if environ is None else environ, "environment", cwd)
    found |= _from_command_line(cli or {}, cwd)
    values: dict[str, Any] = {}
    for row in SETTINGS:
        values[row.key] = read(row, found[row.key]) if row.key in found else _default(row, data_home, values)
    sources = {key: found[key].where if key in found else "default" for key in _BY_KEY}
    files = {"config_file": path, "passed_over": passed_over}
    settings: Settings = _build(Settings, values | {"sources": sources} | files)
    return settings


def read(row: Setting, found: Found) -> Any:
    """Return the value that what was found for a setting stands for, or raise the `ConfigError` that tells why not."""
    if not row.kind.item or not row.kind.split:
        return _read_one(row, row.kind.read, found)
    items = [replace(found, text=text) for text in row.kind.split(found.text)] if found.items is None else found.items
    return tuple(_read_one(row, row.kind.item, item) for item in items)


def _read_one(row: Setting, reader: Callable[[str], Any], found: Found) -> Any:
    try:
        value = reader(found.text)
    except RefusalError as error:
        raise ConfigError(f"{_label(found)}: {row.key} {error}") from None
    except ValueError:
        raise ConfigError(f"{_label(found)}: {row.key} must be {row.kind.what}{_instead(row, found.text)}") from None
    return found.base / value if isinstance(value, Path) else value


def _instead(row: Setting, text: str) -> str:
    """Quote the wrong value, except where it could carry a credential."""
    return "" if row.secret or re.search("[@?#]", text) else f", not {_quoted(text)}"


def _default(row: Setting, data_home: Path | None, values: Mapping[str, Any]) -> Any:
    if row.derive:
        return row.derive(data_home or platformdirs.user_data_path("ccproxy"), values)
    return row.kind.read(row.default)


def _build(tree: Any, values: Mapping[str, Any], prefix: str = "") -> Any:
    hints = get_type_hints(tree)
    names = [item.name for item in fields(tree)]
    return tree(
        **{
            name: values[prefix + name] if prefix + name in values else _build(hints[name], values, f"{prefix}{name}.")
            for name in names
        }
    )


def _from_command_line(cli: Mapping[str, object], cwd: Path) -> dict[str, Found]:
    for key in cli:
        if key not in _BY_KEY:
            raise ConfigError(f"command line: {_unknown(key)}")
    found = {key: _of_argument(value, cwd) for key, value in cli.items()}
    return {key: value for key, value in found.items() if value.text or value.items}


def _of_argument(value: object, cwd: Path) -> Found:
    """Take one value, or one for each time that an option was given."""
    if isinstance(value, list | tuple):
        return Found(
            "", "command line", cwd, items=tuple(item for one in value if (item := _of_argument(one, cwd)).text)
        )
    return Found("" if value is None else str(value).strip(), "command line", cwd)


def _from_variables(variables: Mapping[str, str], source: str, cwd: Path) -> dict[str, Found]:
    names = [
        (row.key, name) for row in SETTINGS for name in (row.older_env, row.env)
    ]  # the last that says something counts
    texts = {(key, name): variables.get(name, "").strip() for key, name in names}
    return {key: Found(text, f"{source} {name}", cwd) for (key, name), text in texts.items() if text}


def _dotenv(path: Path) -> dict[str, str]:
    try:
        values = dotenv.dotenv_values(path, interpolate=False)  # interpolation would read the process's environment
    except UnicodeDecodeError:
        raise ConfigError(f"{path.name}: this is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error.strerror}") from error
    return {name: value for name, value in values.items() if value is not None}


# The configuration file.


def _config_path(config_file: Path | None, cwd: Path, config_home: Path | None) -> tuple[Path | None, Path | None]:
    """Return the file to read, and the one in the working folder that was passed over."""
    if config_file:
        return cwd / config_file.expanduser(), None
    here, of_user = cwd / "config.yaml", (config_home or platformdirs.user_config_path("ccproxy")) / "config.yaml"
    if os.path.isfile(here) and _has_our_keys(here):
        return here, None
    return of_user if os.path.isfile(of_user) else None, here if os.path.isfile(here) else None


def _has_our_keys(path: Path) -> bool:
    """Tell whether a line begins with one of our top-level keys, be it YAML or not. A file that cannot be read may be ours."""
    try:
        return _OUR_KEY.search(path.read_bytes().decode("utf-8-sig", "replace")) is not None
    except OSError:
        return True


def _from_file(path: Path, cwd: Path) -> dict[str, Found]:
    """Return what a configuration file says, by key. `server.port: 1` and `port: 1` under `server:` mean the same."""
    name = str(path.relative_to(cwd) if path.is_relative_to(cwd) else path)
    root = _compose(path, name)
    places: dict[str, int] = {}
    found = {}
    for key, node in _entries(root, "", name, places):
        value = _value(key, node, name, path.parent)
        if value.text or value.items is not None:
            found[key] = value
    return found


def _value(key: str, node: yaml.Node, name: str, base: Path) -> Found:
    if not isinstance(node, yaml.SequenceNode) or not _BY_KEY[key].kind.item:
        return Found(_scalar(key, node, name), name, base, _line(node))
    items = [Found(_scalar(key, item, name), name, base, _line(item)) for item in node.value]
    return Found("", name, base, _line(node), tuple(item for item in items if item.text))


def _compose(path: Path, name: str) -> yaml.Node | None:
    text = _text(path, name)
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = ", ".join(filter(None, (error.context, error.problem)))
        raise ConfigError(f"{name} line {line}: this is not YAML: {problem}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{name} line {line}: this is not YAML: there is a character that is not text") from error
    except RecursionError:
        raise ConfigError(f"{name}: this is nested too deeply to be a configuration") from None


def _text(path: Path, name: str) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name} line {line}: this is not UTF-8 text") from None


def _entries(node: yaml.Node | None, prefix: str, name: str, places: dict[str, int]) -> Iterator[tuple[str, yaml.Node]]:
    """Yield the settings below a node; `places` collects the line of every key, to tell the second from the first."""
    if node is None or _is_null(node):
        return
    if not isinstance(node, yaml.MappingNode):
        what = prefix.removesuffix(".") or "the file"
        raise ConfigError(f"{name} line {_line(node)}: {what} must hold keys with values, as in config.yaml.example")
    for key_node, value in node.value:
        key = prefix + _key(key_node, name)
        line = _line(key_node)
        if key not in _BY_KEY and key not in _SECTIONS:
            raise ConfigError(f"{name} line {line}: {_unknown(key)}")
        if key in places:
            raise ConfigError(f"{name} line {line}: {key} stands here for the second time, first on line {places[key]}")
        places[key] = line
        if key in _BY_KEY:
            yield key, value
        else:
            yield from _entries(value, f"{key}.", name, places)


def _key(node: yaml.Node, name: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise ConfigError(f"{name} line {_line(node)}: a key must be a name, not a list or a mapping")
    return str(node.value)


def _scalar(key: str, node: yaml.Node, name: str) -> str:
    """Return a value's text as it stands in the file; the kind of the setting, not YAML, says what it means."""
    if not isinstance(node, yaml.ScalarNode) or not node.tag.startswith("tag:yaml.org,2002:"):
        form = "a single plain value" + (", or a list of them" if _BY_KEY[key].kind.item else "")
        raise ConfigError(f"{name} line {_line(node)}: {key} must be {_BY_KEY[key].kind.what}, {form}")
    return "" if _is_null(node) else str(node.value).strip()


def _is_null(node: yaml.Node) -> bool:
    return str(node.tag) == "tag:yaml.org,2002:null"


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


# Sentences.


def _label(found: Found) -> str:
    return f"{found.source} line {found.line}" if found.line else found.source


def _quoted(text: str) -> str:
    cut = text if len(text) <= SHOWN_LENGTH else text[:SHOWN_LENGTH] + "…"
    return f'"{repr(cut)[1:-1]}"'  # repr keeps it on one line and printable


def _unknown(key: str) -> str:
    near = nearest(key)
    return f"unknown key {_quoted(key)}; " + (f'did you mean "{near}"?' if near else "config.yaml.example has them all")


def nearest(key: str) -> str | None:
    """Return the valid key whose last name looks most like this one's: in the same section, else in any."""
    section, _, last = key.rpartition(".")
    names = [*_BY_KEY, *_SECTIONS]
    for candidates in ([name for name in names if name.rpartition(".")[0] == section], names):
        by_last = {name.rpartition(".")[2]: name for name in reversed(candidates)}
        if close := difflib.get_close_matches(last, by_last, n=1):
            return by_last[close[0]]
    return None


# To a worker process and back.


def dump(settings: Settings) -> bytes:
    """Return the settings as JSON, secrets included: for the pipe to a child process, never for a file or a log."""
    return msgspec.json.encode(settings, enc_hook=str)


def parse(data: bytes) -> Settings:
    """Return the settings that `dump` wrote."""
    return msgspec.json.decode(data, type=Settings, dec_hook=lambda kind, value: kind(value))


# The same table, for people.

_EXAMPLE_HEAD = """\
# The settings of ccproxy. It reads config.yaml in the folder where it starts, else in the user's configuration folder.
# A config.yaml in the former with none of the names at the left margin below is another program's, and passed over.
#
# Every setting stands here with its default: to change it, remove the # in front of its name.
# What counts first: the command line, the environment, a file .env in the folder where ccproxy starts, then this file.
# Durations: 600, 90s, 10m, 1h30m, 250ms. Sizes: 1024, 50MB, 1 GiB. A relative path starts from this file's folder.
# Lists: [a, b], or a text with commas, as in the environment.
"""


def example() -> str:
    """Return the text of `config.yaml.example`."""
    lines = [_EXAMPLE_HEAD]
    opened: set[str] = set()
    for row in SETTINGS:
        for section in _sections([row.key]):
            lines += [] if section in opened else [f"{_indent(section)}{section.rpartition('.')[2]}:"]
            opened.add(section)
        lines += [_indent(row.key) + line for line in _example_lines(row)] + [""]
    return "\n".join(lines)


def _example_lines(row: Setting) -> tuple[str, str, str]:
    default = (row.shown or row.default or "none").replace("`", "")
    written = f"[{row.default}]" if row.kind.item else row.default or '""'
    return (
        f"# {row.help}",
        f"# Environment: {row.env}. Default: {default}.",
        f"#{row.key.rpartition('.')[2]}: {written}",
    )


def _indent(key: str) -> str:
    return "  " * key.count(".")


def table() -> str:
    """Return the README's table of settings, as Markdown."""
    head = "| key | environment | default | meaning |\n|---|---|---|---|\n"
    return head + "".join(
        f"| `{row.key}` | `{row.env}` | {row.shown or (f'`{row.default}`' if row.default else 'none')} | {row.help} |\n"
        for row in SETTINGS
    )
