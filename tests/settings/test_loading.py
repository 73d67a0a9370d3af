"""Which source counts, which file is read, and what is left to other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ccproxy.settings import SETTINGS, Setting, load, value_of
from tests.settings.conftest import SAMPLES, Desk, as_yaml, every_setting, sentence


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


def test_a_bad_value_in_the_file_is_refused_though_overridden(desk: Desk) -> None:
    """A wrong value in config.yaml is refused even where the command line would win, so that it cannot wait there."""
    desk.write("server: {port: high}")
    assert sentence(lambda: desk.load(cli={"server.port": 1})).startswith("config.yaml line 1: server.port must be")


def test_a_bad_variable_can_be_overridden(desk: Desk) -> None:
    """A variable that another program means otherwise does no harm where the command line says what counts."""
    assert desk.load(cli={"server.port": 1}, environ={"PORT": "tcp://10.0.0.1:80"}).server.port == 1


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
