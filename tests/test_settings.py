"""The settings: which source counts, what is refused and in which words, and that the documents tell the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import Any

import pytest

from ccproxy import settings as module
from ccproxy.errors import ConfigError
from ccproxy.settings import SETTINGS, Found, Setting, Settings, kinds, load

ROOT = Path(__file__).resolve().parents[1]

# Four valid texts for each kind of setting, as different from each other and from every default as the kind has values.
SAMPLES: dict[str, list[str]] = {
    kinds.PORT.what: ["4001", "4002", "4003", "4004"],
    kinds.WORKERS.what: ["2", "3", "4", "5"],
    kinds.DURATION.what: ["11s", "12", "13m", "1h14m"],
    kinds.POSITIVE_DURATION.what: ["11s", "12", "13m", "1h14m"],
    kinds.AGE.what: ["11s", "12h", "400d", "3650d"],
    kinds.SIZE.what: ["11", "12KB", "13 MiB", "14G"],
    kinds.RETRIES.what: ["0", "1", "20", "7"],
    kinds.STATUSES.what: ["429", "500,529", "400, 599", "503,"],
    kinds.SWITCH.what: ["no", "yes", "off", "on"],
    kinds.LEVEL.what: ["debug", "warning", "error", "debug"],
    kinds.FORMAT.what: ["json", "text", "JSON", "text"],
    kinds.STORE_TYPE.what: ["sqlite", "SQLite", "sqlite", "SQLITE"],
    kinds.HOSTS.what: ["a.example", "b, ::1", "C.example,d", "10.0.0.1"],
    kinds.ORIGINS.what: ["http://a", "https://B:443,http://c", "http://d:8080", "http://[::1]:9, https://e/"],
    kinds.PASSWORD.what: ["correct horse", "battery", "stäple", "1,2"],
    kinds.HEADER.what: ["x-token", "X-Other", "a", "b_c"],
    kinds.PATTERNS.what: ["/v1/messages", "*", "/v1/messages,/v1/files*", "/[a-z]?/*, *x"],
    kinds.EXPRESSIONS.what: ["a+", "x, y", "(?i)secret-[0-9]{4,}", "[$]"],
    kinds.HOST.what: ["::1", "0.0.0.0", "localhost", "10.0.0.1"],
    kinds.WORD.what: ["v1", "v2", "v3", "v4"],
    kinds.BASE_URL.what: ["http://a", "http://b:1", "https://c/d", "https://[::1]:9/e"],
    kinds.PATH.what: ["/s/a.db", "/s/b.db", "/s/c.db", "/s/d.db"],
}


class Desk:
    """A working folder, a configuration folder and a data folder of a test's own."""

    def __init__(self, root: Path) -> None:
        self.cwd, self.config_home, self.data_home = root / "cwd", root / "config", root / "data"
        for folder in (self.cwd, self.config_home, self.data_home):
            folder.mkdir()

    def write(self, text: str | bytes, name: str = "config.yaml") -> Path:
        path = self.cwd / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def load(
        self, cli: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None, **options: Any
    ) -> Settings:
        folders = {"cwd": self.cwd, "config_home": self.config_home, "data_home": self.data_home}
        return load(cli=cli, environ=environ or {}, **(folders | options))

    def refusal(self, text: str | bytes) -> str:
        """Return the sentence with which a configuration file that was named is refused."""
        path = self.write(text)
        return sentence(lambda: self.load(config_file=path))


def sentence(call: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def value_of(settings: Settings, key: str) -> Any:
    value: Any = settings
    for name in key.split("."):
        value = getattr(value, name)
    return value


def as_yaml(key: str, text: str) -> str:
    *sections, name = key.split(".")
    lines = ["  " * depth + f"{section}:" for depth, section in enumerate(sections)]
    return "\n".join([*lines, "  " * len(sections) + f'{name}: "{text}"']) + "\n"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


every_setting = pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.key)


# Precedence


@every_setting
def test_precedence(desk: Desk, row: Setting) -> None:
    """For every key: command line over environment over .env over config.yaml over default."""
    of_file, of_dotenv, of_environ, of_cli = SAMPLES[row.kind.what]
    path = desk.write(as_yaml(row.key, of_file))
    dotenv = desk.write(f"{row.env}={of_dotenv}\n", ".env")
    line = row.key.count(".") + 1

    def check(source: str, text: str, **sources: Any) -> None:
        settings = desk.load(**sources)
        assert value_of(settings, row.key) == row.kind.read(text)
        assert settings.sources[row.key] == source

    check("command line", of_cli, cli={row.key: of_cli}, environ={row.env: of_environ})
    check(f"environment {row.env}", of_environ, environ={row.env: of_environ})
    check(f".env {row.env}", of_dotenv)
    dotenv.unlink()
    check(f"config.yaml:{line}", of_file)
    path.unlink()
    assert desk.load().sources[row.key] == "default"


@every_setting
def test_empty_counts_as_unset(desk: Desk, row: Setting) -> None:
    """For every key, an empty or missing value leaves the next source its say, in each source."""
    default = value_of(desk.load(), row.key)
    desk.write(as_yaml(row.key, ""))
    desk.write(f"{row.env}=\n", ".env")
    for nothing in (None, ""):
        settings = desk.load(cli={row.key: nothing}, environ={row.env: " "})
        assert value_of(settings, row.key) == default
        assert settings.sources[row.key] == "default"


@every_setting
def test_each_row_is_complete(desk: Desk, row: Setting) -> None:
    """Each setting has an environment name of its own, one sentence, and a default that its own reader accepts."""
    assert [other.env for other in SETTINGS].count(row.env) == 1
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", row.env)
    assert row.help.endswith(".")
    assert "\n" not in row.help
    assert "|" not in row.help
    default = value_of(desk.load(), row.key)
    assert isinstance(row.kind.read(row.default), type(default))
    assert not row.older_env or f"`{row.older_env}`" in row.help


def test_the_defaults(desk: Desk) -> None:
    """Without any source, ccproxy listens on loopback, forwards to Anthropic and keeps its store with the user."""
    settings = desk.load()
    assert (settings.server.host, settings.server.port, settings.server.workers) == ("127.0.0.1", 3001, 1)
    assert (settings.server.timeouts.read, settings.server.timeouts.idle) == (600.0, 600.0)
    assert (settings.server.max_body, settings.server.drain_timeout) == (256_000_000, 1920.0)
    assert (settings.auth.enabled, settings.auth.token, settings.dashboard.password) == (False, "", "")
    assert settings.capture.paths == ("/v1/*",)
    anthropic = settings.providers.anthropic
    assert (anthropic.base_url, anthropic.version) == ("https://api.anthropic.com", "2023-06-01")
    assert (anthropic.connect_timeout, anthropic.response_header_timeout, anthropic.idle_timeout) == (30.0, 300.0, 0.0)
    assert settings.storage.db_path == desk.data_home / "requests.db"
    assert settings.storage.journal_dir == desk.data_home / "requests.journal"
    assert (settings.logging.access, settings.logging.level) == (True, "info")
    assert (settings.config_file, settings.passed_over) == (None, None)
    assert set(settings.sources) == {row.key for row in SETTINGS}


def test_the_process_itself_is_the_default_source(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments, the process's own environment, folder and user folders count."""
    monkeypatch.chdir(desk.cwd)
    monkeypatch.setenv("PORT", "4001")
    monkeypatch.setattr("platformdirs.user_config_path", lambda name: desk.config_home / name)
    monkeypatch.setattr("platformdirs.user_data_path", lambda name: desk.data_home / name)
    for row in SETTINGS:
        if row.env != "PORT":
            monkeypatch.delenv(row.env, raising=False)
    settings = load()
    assert settings.server.port == 4001
    assert settings.storage.db_path == desk.data_home / "ccproxy" / "requests.db"


def test_dotenv_stays_out_of_the_environment(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .env file gives settings, literally, and leaves the process's environment alone."""
    monkeypatch.delenv("ANTHROPIC_VERSION", raising=False)
    desk.write('# mine\nexport ANTHROPIC_VERSION="${HOME}"\nUNRELATED=1\nPORT\n', ".env")
    settings = desk.load()
    assert settings.providers.anthropic.version == "${HOME}"
    assert not {"ANTHROPIC_VERSION", "UNRELATED"} & set(module.environment())


# Which file


def test_the_working_folder_comes_before_the_users_folder(desk: Desk) -> None:
    """config.yaml is taken from the working folder, else from the user's configuration folder, never from both."""
    of_user = desk.config_home / "config.yaml"
    of_user.write_text("server: {port: 4001, workers: 2}")
    settings = desk.load()
    assert (settings.server.port, settings.config_file) == (4001, of_user)
    assert settings.sources["server.port"] == f"{of_user}:1"
    here = desk.write("server: {port: 4002}")
    settings = desk.load()
    assert (settings.server.port, settings.server.workers, settings.config_file) == (4002, 1, here)


@pytest.mark.parametrize(
    "text",
    [
        "database: {server: x}\nmy_server: 1\nserver_url: http://a\n",
        "  server:\n    port: 1\n",
        "# server:\n",
        "",
        "port: 1\n",
        "- server\n",
        "just words about the server: none",
        "{{ if .Values.on }}\na: b: c\n{{ end }}\n",
        b"\xff\xfe\x00",
    ],
)
def test_a_file_of_another_program_is_passed_over(desk: Desk, text: str | bytes) -> None:
    """A config.yaml in the working folder with none of our top-level keys is another program's, whatever it is."""
    foreign = desk.write(text)
    settings = desk.load()
    assert (settings.config_file, settings.passed_over) == (None, foreign)
    of_user = desk.config_home / "config.yaml"
    of_user.write_text("server: {port: 4001}")
    settings = desk.load()
    assert (settings.server.port, settings.config_file, settings.passed_over) == (4001, of_user, foreign)


@pytest.mark.parametrize(
    "text",
    [
        "server:\nzzz: 1\n",
        "zzz: 1\nlogging.access: no\n",
        '\ufeff"storage": {}\nzzz: 1\n',
        "{server: {zzz: 1}}",
        "providers :\n\tx",
        "logging: [\n",
        b"storage:\n  db_path: caf\xe9\n",
    ],
)
def test_a_file_with_one_of_our_keys_is_ours(desk: Desk, text: str | bytes) -> None:
    """With at least one of our top-level keys a config.yaml is ours, and all of it must be right."""
    desk.write(text)
    assert sentence(desk.load).startswith("config.yaml line ")


def test_only_the_working_folder_holds_files_of_others(desk: Desk) -> None:
    """A file that was named, and the one in our own configuration folder, are ours whatever they say."""
    named = desk.write("zzz: 1", "mine.yaml")
    assert sentence(lambda: desk.load(config_file=named)).startswith('mine.yaml line 1: unknown key "zzz"')
    (desk.config_home / "config.yaml").write_text("zzz: 1")
    assert 'unknown key "zzz"' in sentence(desk.load)


def test_an_explicit_file_is_the_only_one(desk: Desk) -> None:
    """A configuration file that was named is taken alone, relative to the working folder, and must exist."""
    desk.write("server: {port: 4001}")
    named = desk.write("\nserver:\n  workers: 2\n", "conf/mine.yaml")
    settings = desk.load(config_file=Path("conf/mine.yaml"))
    assert (settings.server.port, settings.server.workers, settings.config_file) == (3001, 2, named)
    assert settings.sources["server.workers"] == "conf/mine.yaml:3"
    missing = desk.cwd.parent / "none.yaml"
    assert sentence(lambda: desk.load(config_file=missing)) == f"{missing} cannot be read: No such file or directory"
    assert sentence(lambda: desk.load(config_file=Path("conf"))) == "conf cannot be read: Is a directory"


def test_relative_paths(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path starts from the file it stands in, else from the working folder; ~ is the user's home."""
    desk.write("storage: {db_path: data/a.db, journal_dir: ../journal}", "conf/mine.yaml")
    storage = desk.load(config_file=Path("conf/mine.yaml")).storage
    assert storage.db_path == desk.cwd / "conf/data/a.db"
    assert storage.journal_dir == desk.cwd / "conf/../journal"
    assert desk.load(environ={"DB_PATH": "b.db"}).storage.db_path == desk.cwd / "b.db"
    assert desk.load(cli={"storage.db_path": Path("c.db")}).storage.db_path == desk.cwd / "c.db"
    monkeypatch.setenv("HOME", "/home/me")
    assert desk.load(environ={"DB_PATH": "~/d.db"}).storage.db_path == Path("/home/me/d.db")


@pytest.mark.parametrize(
    ("store", "journal"),
    [("a.db", "a.journal"), ("a", "a.journal"), ("my.team.sqlite", "my.team.journal"), ("/", "/.journal")],
)
def test_the_journal_stands_beside_the_store(desk: Desk, store: str, journal: str) -> None:
    """Where only the store is named, the journal is a folder beside it that carries its name."""
    assert desk.load(cli={"storage.db_path": store}).storage.journal_dir == desk.cwd / journal


# Units and values


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


BAD: dict[str, list[str]] = {
    kinds.PORT.what: ["65536", "-1", "3001.0", "http", "0x10", "9" * 5000],
    kinds.WORKERS.what: ["0", "65", "two"],
    kinds.DURATION.what: ["soon", "-1", "10 minutes", "1h30", "m", "nan", "inf", "9" * 400, "366d"],
    kinds.POSITIVE_DURATION.what: ["0", "0s", "soon"],
    kinds.AGE.what: ["soon", "3654d", "10y"],
    kinds.RETRIES.what: ["-1", "21", "often"],
    kinds.STATUSES.what: ["399", "600", "429 500", "4xx", "500,200"],
    kinds.FORMAT.what: ["xml", "2"],
    kinds.STORE_TYPE.what: ["postgres", "mysql"],
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
    kinds.PATH.what: ["a\0b", "~nobody-of-this-name/a", "bad\udcffbytes"],
}


@pytest.mark.parametrize(("row", "text"), [(row, text) for row in SETTINGS for text in BAD[row.kind.what]])
def test_bad_values(desk: Desk, row: Setting, text: str) -> None:
    """For every key, a value that makes no sense is refused with its source, its key and what it must be."""
    message = sentence(lambda: desk.load(environ={row.env: text}))
    assert message.startswith(f"environment {row.env}: {row.key} must be {row.kind.what}")
    assert message.isprintable()
    assert len(message) < 300


@pytest.mark.parametrize("base_url", ["http://a", "http://a/", "http://localhost:8080/prefix/v2/", "https://[::1]:1"])
def test_base_urls(desk: Desk, base_url: str) -> None:
    """A base URL may carry a port and a path prefix; a slash at its end means nothing."""
    settings = desk.load(cli={"providers.anthropic.base_url": base_url})
    assert settings.providers.anthropic.base_url == base_url.rstrip("/")


@pytest.mark.parametrize("base_url", ["http://me:hunter2@host", "https://host/?key=hunter2", "https://host/#hunter2"])
def test_a_refused_url_is_not_repeated(desk: Desk, base_url: str) -> None:
    """An address that may carry a credential is refused without being quoted."""
    message = sentence(lambda: desk.load(environ={"ANTHROPIC_FORWARD_URL": base_url}))
    assert message.startswith(
        "environment ANTHROPIC_FORWARD_URL: providers.anthropic.base_url must be an http or https"
    )
    assert "hunter2" not in message


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


@pytest.mark.parametrize("star", ["*", "http://*", "https://*.example.org"])
def test_no_origin_stands_for_all(desk: Desk, star: str) -> None:
    """A star among the origins is refused with the reason, so that nobody opens the captures to every web page."""
    message = sentence(lambda: desk.load(environ={"CORS_ORIGINS": f"http://a, {star}"}))
    assert message.startswith(
        "environment CORS_ORIGINS: server.cors_origins must name each origin: with a * any web page"
    )


def test_another_store_is_refused(desk: Desk) -> None:
    """A kind of store that is not there refuses the start, and is not ignored."""
    assert sentence(lambda: desk.load(environ={"DB_TYPE": "postgres"})) == (
        'environment DB_TYPE: storage.db_type must be sqlite, the only store that there is yet, not "postgres"'
    )


# Lists


def test_lists(desk: Desk) -> None:
    """A list is a text with commas in every source; in YAML it may be a list, and on the command line a repeated option."""
    expected = ("a.example", "b.example")
    assert desk.load(environ={"ALLOWED_HOSTS": "a.example, B.example ,"}).server.allowed_hosts == expected
    assert desk.load(cli={"server.allowed_hosts": ("a.example", "b.example", "")}).server.allowed_hosts == expected
    for text in ('"a.example,b.example"', "[a.example, b.example, ~]", "\n  - a.example\n  - b.example"):
        desk.write(f"server:\n  allowed_hosts: {text}\n")
        assert desk.load().server.allowed_hosts == expected
    assert desk.load(cli={"server.allowed_hosts": ()}).server.allowed_hosts == expected


def test_an_empty_list_is_a_value(desk: Desk) -> None:
    """An empty list in the file says that there is nothing in it, and does not bring the default back."""
    desk.write("capture: {paths: []}")
    settings = desk.load()
    assert (settings.capture.paths, settings.sources["capture.paths"]) == ((), "config.yaml:1")


def test_a_comma_does_not_divide_an_expression(desk: Desk) -> None:
    """A variable holds one regular expression, commas and all; the file may hold several."""
    assert desk.load(environ={"CAPTURE_REDACT": "a{2,3}, b"}).capture.redact == ("a{2,3}, b",)
    desk.write("capture:\n  redact:\n    - 'a{2,3}'\n    - b, c\n")
    assert desk.load().capture.redact == ("a{2,3}", "b, c")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "server:\n  allowed_hosts:\n    - a\n    - b:80\n",
            'config.yaml line 4: server.allowed_hosts must be host names or addresses, without ports, not "b:80"',
        ),
        (
            "server:\n  allowed_hosts: a,b:80\n",
            'config.yaml line 2: server.allowed_hosts must be host names or addresses, without ports, not "b:80"',
        ),
        (
            "server:\n  allowed_hosts:\n    - a\n    - {b: c}\n",
            "config.yaml line 4: server.allowed_hosts must be host names or addresses, without ports, a single plain value, or a"
            " list of them",
        ),
        (
            "server: {port: [1]}",
            "config.yaml line 1: server.port must be a whole number from 0 to 65535, a single plain value",
        ),
    ],
)
def test_refused_lists(desk: Desk, text: str, message: str) -> None:
    """A wrong member of a list is refused alone, with its own line."""
    assert desk.refusal(text) == message


# Former names


def test_a_former_name_counts_after_the_present_one(desk: Desk) -> None:
    """A variable's former name is understood; where both are set, the present one counts."""
    settings = desk.load(environ={"SVELTE_PORT": "4001"})
    assert (settings.dashboard.port, settings.sources["dashboard.port"]) == (4001, "environment SVELTE_PORT")
    settings = desk.load(environ={"SVELTE_PORT": "4001", "DASHBOARD_PORT": "4002"})
    assert (settings.dashboard.port, settings.sources["dashboard.port"]) == (4002, "environment DASHBOARD_PORT")
    desk.write("DASHBOARD_PORT=4003", ".env")
    assert desk.load(environ={"SVELTE_PORT": "4001", "DASHBOARD_PORT": ""}).dashboard.port == 4001


# Refusals of the file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "server:\n  host: ::1\n\n  prot: 1\n",
            'config.yaml line 4: unknown key "server.prot"; did you mean "server.port"?',
        ),
        ("port: 1\n", 'config.yaml line 1: unknown key "port"; did you mean "server.port"?'),
        ("sever: {port: 1}\n", 'config.yaml line 1: unknown key "sever"; did you mean "server"?'),
        ("server.read: x", 'config.yaml line 1: unknown key "server.read"; did you mean "server.timeouts.read"?'),
        ("base_ur: x", 'config.yaml line 1: unknown key "base_ur"; did you mean "providers.anthropic.base_url"?'),
        ("server:\n  zzz: 1\n", 'config.yaml line 2: unknown key "server.zzz"; config.yaml.example has them all'),
        ('"a\\nb": 1', 'config.yaml line 1: unknown key "a\\nb"; config.yaml.example has them all'),
        (
            "server:\n  port: high\n",
            'config.yaml line 2: server.port must be a whole number from 0 to 65535, not "high"',
        ),
        (
            "server: {port: [1, 2]}",
            "config.yaml line 1: server.port must be a whole number from 0 to 65535, a single plain value",
        ),
        (
            "server: {port: !env PORT}",
            "config.yaml line 1: server.port must be a whole number from 0 to 65535, a single plain value",
        ),
        (
            "server:\n  port: 1\n  port: 1\n",
            "config.yaml line 3: server.port stands here for the second time, first on line 2",
        ),
        (
            "server:\n  port: 1\nlogging:\nserver:\n  host: a\n",
            "config.yaml line 4: server stands here for the second time, first on line 1",
        ),
        (
            "server.port: 1\nserver:\n  port: 1\n",
            "config.yaml line 3: server.port stands here for the second time, first on line 1",
        ),
        ("server: 3001", "config.yaml line 1: server must hold keys with values, as in config.yaml.example"),
        ("- server", "config.yaml line 1: the file must hold keys with values, as in config.yaml.example"),
        ("just words", "config.yaml line 1: the file must hold keys with values, as in config.yaml.example"),
        ("? [a, b]\n: 1\n", "config.yaml line 1: a key must be a name, not a list or a mapping"),
        (b"server:\n  host: caf\xe9\n", "config.yaml line 2: this is not UTF-8 text"),
        ("server:\n  host: a\x07b\n", "config.yaml line 2: this is not YAML: there is a character that is not text"),
        ("[" * 100_000, "config.yaml: this is nested too deeply to be a configuration"),
        ("server: &s\n  timeouts: *s\n", None),
    ],
)
def test_refused_files(desk: Desk, text: str | bytes, message: str | None) -> None:
    """What cannot be is refused in one sentence: file, line, key, and the nearest valid name."""
    refused = desk.refusal(text)
    assert refused.startswith("config.yaml line ") if message is None else refused == message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("server:\n\tport: 1\n", 2),
        ("server:\n  port: 1\n bad: [\n", 3),
        ('server:\n  host: "open\n', 3),
        ("a: b: c\n", 1),
        ("server:\n---\nserver:\n", 2),
        ("server: *nobody\n", 1),
    ],
)
def test_half_readable_yaml(desk: Desk, text: str, line: int) -> None:
    """YAML that breaks off or makes no sense is refused with its line, and nothing of it counts."""
    assert desk.refusal(text).startswith(f"config.yaml line {line}: this is not YAML: ")


def test_a_bad_value_in_the_file_is_refused_though_overridden(desk: Desk) -> None:
    """A wrong value in config.yaml is refused even where the command line would win, so that it cannot wait there."""
    desk.write("server: {port: high}")
    assert sentence(lambda: desk.load(cli={"server.port": 1})).startswith("config.yaml line 1: server.port must be")


def test_a_bad_variable_can_be_overridden(desk: Desk) -> None:
    """A variable that another program means otherwise does no harm where the command line says what counts."""
    assert desk.load(cli={"server.port": 1}, environ={"PORT": "tcp://10.0.0.1:80"}).server.port == 1


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


def test_an_unreadable_file_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read is refused by its name, not passed over."""

    def refuse(*_args: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    desk.write("")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert sentence(desk.load) == "config.yaml cannot be read: Permission denied"
    monkeypatch.undo()
    monkeypatch.setattr("dotenv.dotenv_values", refuse)
    assert sentence(desk.load) == ".env cannot be read: Permission denied"


@pytest.mark.parametrize("text", ["", "# nothing\n", "server:\nlogging: ~\n", "\ufeffserver:\n  timeouts:\n"])
def test_empty_files_and_sections(desk: Desk, text: str) -> None:
    """A file or a section in which everything is commented out says nothing, and is right."""
    desk.write(text)
    assert set(desk.load().sources.values()) == {"default"}


def test_yaml_does_not_reinterpret_values(desk: Desk) -> None:
    """A value means what its setting says it means: a date stays a version, an anchor may be used again."""
    desk.write("server.timeouts: {read: &t 010, idle: *t}\nproviders: {anthropic: {version: 2023-06-01}}")
    settings = desk.load()
    assert settings.server.timeouts.read == settings.server.timeouts.idle == 10.0
    assert settings.providers.anthropic.version == "2023-06-01"


# The tree


def test_settings_are_frozen(desk: Desk) -> None:
    """Settings do not change after they were loaded."""
    settings = desk.load()
    with pytest.raises(FrozenInstanceError):
        settings.server.port = 1  # type: ignore[misc]  # the point of the test


def test_dump_and_parse(desk: Desk) -> None:
    """What a worker process reads from its pipe equals what its parent wrote, paths and sources included."""
    desk.write("server: {port: 0}\nstorage: {db_path: täglich.db}")
    environ = {row.env: SAMPLES[row.kind.what][2] for row in SETTINGS if row.key.startswith(("auth.", "capture."))}
    settings = desk.load(environ=environ | {"READ_TIMEOUT": "250ms", "ANTHROPIC_RETRY_STATUSES": "429,529"})
    again = module.parse(module.dump(settings))
    assert again == settings
    assert isinstance(again.storage.db_path, Path)
    assert isinstance(again.server.timeouts.idle, float)
    assert again.providers.anthropic.retry_statuses == (429, 529)
    assert module.parse(module.dump(desk.load(config_file=desk.write("", "b.yaml")))).config_file == desk.cwd / "b.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """A tree with a secret in it."""

    token: str = module.setting("", kinds.WORD, "VAULT_TOKEN", "What opens the vault.", secret=True)
    name: str = module.setting("vault", kinds.WORD, "VAULT_NAME", "Its name.")


def test_secrets_do_not_show() -> None:
    """A secret shows in no repr, neither of the settings nor of what was found, and in no refusal."""
    token, name = module.rows(Vault)
    assert (token.key, token.secret, name.key, name.secret) == ("token", True, "name", False)
    assert "hunter2" not in repr(Vault(token="hunter2", name="mine"))
    assert "mine" in repr(Vault(token="hunter2", name="mine"))
    found = Found("hunter2 and more", "environment VAULT_TOKEN", Path("/"))
    assert "hunter2" not in repr(found)
    message = sentence(lambda: module.read(token, found))
    assert message == "environment VAULT_TOKEN: token must be one word of visible characters"


# The documents


def test_the_example_file_is_the_table() -> None:
    """config.yaml.example is what the table renders: each setting with its sentence, variable and default."""
    text = (ROOT / "config.yaml.example").read_text()
    assert text == module.example()
    for row in SETTINGS:
        assert row.help in text
        assert f"Environment: {row.env}. Default: " in text


@pytest.mark.parametrize("uncommented", [False, True])
def test_the_example_file_loads(desk: Desk, uncommented: bool) -> None:
    """config.yaml.example loads as it is and with every setting uncommented, and means the defaults both times."""
    text = module.example()
    desk.write(re.sub(r"^( *)#(?=\w)", r"\1", text, flags=re.MULTILINE) if uncommented else text)
    settings = desk.load()
    expected = "config.yaml:" if uncommented else "default"
    named = [settings.sources[row.key] for row in SETTINGS if row.default or row.kind.item]
    assert all(source.startswith(expected) for source in named)
    default = desk.load(cwd=desk.data_home)
    for row in SETTINGS:
        if not row.derive:
            assert value_of(settings, row.key) == value_of(default, row.key)


def test_the_table_names_every_setting() -> None:
    """The README's table has one row per setting, and no path of the machine it was made on."""
    _, _, *lines = module.table().splitlines()
    assert [line.split("|")[1].strip(" `") for line in lines] == [row.key for row in SETTINGS]
    assert all(line.count("|") == 5 for line in lines)
    assert str(Path.home()) not in module.table()


def test_the_readme_holds_the_table() -> None:
    """The README shows the table of settings as it is."""
    text = (ROOT / "README.md").read_text()
    found = re.search(r"<!-- settings -->\n(.*?)<!-- /settings -->", text, re.DOTALL)
    assert found, "README.md has no place for the table: <!-- settings --> … <!-- /settings -->"
    assert found[1].strip() == module.table().strip()
