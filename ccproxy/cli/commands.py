"""The commands and their options. What they do stands in the modules beside this one."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from ccproxy import __version__
from ccproxy.cli import (
    configuring,
    demonstrating,
    doctor,
    ingesting,
    keeping,
    launcher,
    looking,
    pruning,
    resetting,
    serving,
    showing,
    tailing,
    taking,
)
from ccproxy.cli.places import ServeError
from ccproxy.errors import ConfigError, StoreError
from ccproxy.settings import Settings, environment, load

Function = Callable[..., Any]


def _config_option(function: Function) -> Function:
    return click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Read this file instead of config.yaml here or in your config folder.",
    )(function)


def _store_options(function: Function) -> Function:
    db = click.option("--db", "db_path", metavar="PATH", help="Read this store, a file or a postgresql:// URL.")
    return _config_option(db(function))


def _plain_errors(function: Function) -> Function:
    """Turn an error that a person can mend into one sentence and an exit code."""

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except ConfigError as error:
            click.echo(f"ccproxy: {error}", err=True)
            sys.exit(2)
        except (StoreError, ServeError) as error:
            click.echo(f"ccproxy: {error}", err=True)
            sys.exit(1)
        except BrokenPipeError:  # the reader, `head` say, has seen enough; what is still to be flushed goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)

    return wrapped


def _settings(config_file: Path | None, **options: Any) -> Settings:
    return load(cli=options, environ=environment(), config_file=config_file)


def _storage(db: str | None) -> dict[str, str | None]:
    """Return the settings that --db stands for: a database by its URL, or a file."""
    if db and db.startswith(("postgresql://", "postgres://")):
        return {"storage.db_type": "postgres", "storage.database_url": db}
    return {"storage.db_type": "sqlite", "storage.db_path": db} if db else {}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="ccproxy")
def main() -> None:
    """A transparent streaming proxy for Claude Code that captures every exchange.

    \b
    Start it, point the client at it, work as always:
      ccproxy serve
      export ANTHROPIC_BASE_URL=http://localhost:3001
      claude

    Or do both at once:  ccproxy run -- claude
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # captured text has characters that some terminal does not know


@main.command()
@_config_option
@click.option("--host", metavar="ADDRESS", help="Listen on this address.  [default: 127.0.0.1]")
@click.option("--port", metavar="N", type=int, help="Listen on this port; 0 takes a free one.  [default: 3001]")
@click.option("--upstream", metavar="URL", help="Forward to this API.  [default: https://api.anthropic.com]")
@click.option("--db", "db_path", metavar="PATH", help="Store captures in this file.  [default: in your data folder]")
@click.option("--workers", metavar="N", type=int, help="How many processes forward requests.  [default: 1]")
@click.option("--no-ingest", is_flag=True, help="Leave it to `ccproxy ingest` to bring captures into the store.")
@click.option("--no-dashboard", is_flag=True, help="Start no dashboard beside the proxy.")
@click.option("--no-dotenv", is_flag=True, hidden=True)  # for a proxy that `run` starts in anybody's project
@_plain_errors
def serve(
    config_file: Path | None,
    host: str | None,
    port: int | None,
    upstream: str | None,
    db_path: str | None,
    workers: int | None,
    no_ingest: bool,
    no_dashboard: bool,
    no_dotenv: bool,
) -> None:
    """Run the proxy until Ctrl-C.

    \b
    Example:
      ccproxy serve --port 3005 --db ./captures.db
    """
    options = {
        "server.host": host,
        "server.port": port,
        "server.workers": workers,
        "providers.anthropic.base_url": upstream,
        **_storage(db_path),
        "storage.ingest": "false" if no_ingest else None,
        "dashboard.enabled": "false" if no_dashboard else None,
    }
    settings = load(cli=options, environ=environment(), dotenv=not no_dotenv, config_file=config_file)
    sys.exit(serving.serve(settings))


@main.command("dashboard")
@_config_option
@click.option("--port", metavar="N", type=int, help="Listen on this port; 0 takes a free one.  [default: 5174]")
@click.option("--db", "db_path", metavar="PATH", help="Show this store, a file or a postgresql:// URL.")
@_plain_errors
def dashboard_command(config_file: Path | None, port: int | None, db_path: str | None) -> None:
    """Show what was captured, in a browser, until Ctrl-C.

    It only reads. `ccproxy serve` has one beside it already, unless it was started with --no-dashboard.

    \b
    Example:
      ccproxy dashboard --db ./captures.db
    """
    sys.exit(showing.show(_settings(config_file, **{"dashboard.port": port}, **_storage(db_path))))


@main.command("ingest")
@_config_option
@click.option("--db", "db_path", metavar="PATH", help="Store captures in this file.  [default: in your data folder]")
@_plain_errors
def ingest_command(config_file: Path | None, db_path: str | None) -> None:
    """Bring a journal into the store until Ctrl-C.

    For a proxy that was started with --no-ingest. A journal has one ingest; a second one is refused.

    \b
    Example:
      ccproxy serve --no-ingest &
      ccproxy ingest
    """
    sys.exit(ingesting.ingest(_settings(config_file, **_storage(db_path))))


@main.command(context_settings={"allow_interspersed_args": False})
@_config_option
@click.option("--print", "print_only", is_flag=True, help="Show the command line instead of running it.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@_plain_errors
def run(config_file: Path | None, print_only: bool, command: tuple[str, ...]) -> None:
    """Run COMMAND through a proxy, and say then what was captured.

    Uses the proxy that is running; starts one on a free port where there is none. All that follows COMMAND belongs to
    it. Its exit code is passed on. A .env file here is COMMAND's own and is not read.

    \b
    Examples:
      ccproxy run -- claude
      ccproxy run -- claude -p "say hi"
      ccproxy run -- python my_agent.py
    """
    settings = load(environ=environment(), dotenv=False, config_file=config_file)
    sys.exit(launcher.run(settings, list(command), print_only=print_only, config_file=config_file))


@main.command()
@_store_options
@click.option(
    "-n", "count", metavar="N", default=20, show_default=True, type=click.IntRange(0), help="Begin with so many."
)
@click.option("-f", "--follow", is_flag=True, help="Go on as exchanges happen, until Ctrl-C.")
@_plain_errors
def tail(config_file: Path | None, db_path: str | None, count: int, follow: bool) -> None:
    """List the newest exchanges, one line each.

    Tokens: all that went in, those of them from the cache, those that came out. Times: to the first token, and in all.

    \b
    Examples:
      ccproxy tail -n 5
      ccproxy tail -f
    """
    tailing.tail(_settings(config_file, **_storage(db_path)), count, follow=follow)


@main.command()
@_store_options
@click.argument("exchange_id", metavar="ID")
@click.option("--request", "form", flag_value="request", help="The request's exact bytes.")
@click.option("--sent", "form", flag_value="sent", help="The exact bytes that went up, where it was translated.")
@click.option("--response", "form", flag_value="response", help="The answer's message, as JSON.")
@click.option("--raw", "form", flag_value="raw", help="The answer's exact bytes.")
@click.option("--json", "form", flag_value="json", help="Everything, as one JSON object.")
@_plain_errors
def show(config_file: Path | None, db_path: str | None, exchange_id: str, form: str | None) -> None:
    """Show one exchange. The beginning or the end of its ID is enough.

    \b
    Examples:
      ccproxy show 5f6a1b2c3d4e
      ccproxy show 5f6a1b2c3d4e --request | jq .messages
    """
    looking.show(_settings(config_file, **_storage(db_path)), exchange_id, form)


@main.command()
@_store_options
@click.argument("words", nargs=-1, required=True)
@click.option(
    "-n", "count", metavar="N", default=20, show_default=True, type=click.IntRange(1), help="Show so many hits."
)
@_plain_errors
def search(config_file: Path | None, db_path: str | None, words: tuple[str, ...], count: int) -> None:
    """Find what was said, and what tools did.

    A hit is a block in which all WORDS stand. Quotes and operators in them mean nothing.

    \b
    Examples:
      ccproxy search connection refused
      ccproxy search -n 5 README.md
    """
    looking.search(_settings(config_file, **_storage(db_path)), " ".join(words), count)


@main.command()
@_store_options
@click.option("--older-than", metavar="AGE", callback=pruning.age, help="All that began longer ago, such as 30d.")
@click.option("--before", metavar="DATE", callback=pruning.moment, help="All that began before a date, or a time.")
@click.option("--session", metavar="ID", help="A session; the beginning of its ID is enough.")
@click.option("--exchange", metavar="ID", help="One exchange; the beginning or the end of its ID is enough.")
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_plain_errors
def prune(
    config_file: Path | None,
    db_path: str | None,
    older_than: float | None,
    before: datetime | None,
    session: str | None,
    exchange: str | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Delete some captures for ever, after asking.

    What later exchanges repeat of them stays with those. The proxy may be running; what still runs through it stays.

    \b
    Examples:
      ccproxy prune --older-than 30d --dry-run
      ccproxy prune --session 0b9ae4d1
    """
    choice = pruning.Choice(older_than, before, session, exchange)
    pruning.prune(_settings(config_file, **_storage(db_path)), choice, dry_run=dry_run, sure=yes)


@main.command()
@_store_options
@click.argument("query")
@click.option(
    "--format",
    "form",
    metavar="FORMAT",
    type=click.Choice(taking.FORMATS),
    default="table",
    show_default=True,
    help="How rows are written: table, csv, json or parquet.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write them to this file.")
@_plain_errors
def sql(config_file: Path | None, db_path: str | None, query: str, form: str, output: Path | None) -> None:
    """Ask what was captured, by a SELECT of SQL.

    The views are exchanges, sessions, threads, messages, blocks, tool_calls, events and prompt_parts; `DESCRIBE exchanges` lists
    the columns of one. QUERY may be - for standard input. --db may name a folder that was exported.

    \b
    Examples:
      ccproxy sql "SELECT model, sum(output_tokens) FROM exchanges GROUP BY 1"
      ccproxy sql "DESCRIBE tool_calls"
    """
    taking.sql(_settings(config_file, **_storage(db_path)), query, form, output)


@main.command()
@_store_options
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--format",
    "form",
    metavar="FORMAT",
    type=click.Choice(taking.EXPORTS),
    default="parquet",
    show_default=True,
    help="A file per grain and day, as parquet, jsonl or csv.",
)
@click.option("--since", metavar="DATE", callback=pruning.moment, help="Only what began then or later.")
@click.option("--until", metavar="DATE", callback=pruning.moment, help="Only what began before.")
@click.option("--session", metavar="ID", help="Only this session.")
@click.option("--model", metavar="NAME", help="Only models with this in their name.")
@click.option("--no-bodies", is_flag=True, help="Leave out texts, inputs and results.")
@_plain_errors
def export(
    config_file: Path | None,
    db_path: str | None,
    folder: Path,
    form: str,
    since: datetime | None,
    until: datetime | None,
    session: str | None,
    model: str | None,
    no_bodies: bool,
) -> None:
    """Take captures away, as files that other programs read.

    Repeated, it writes only days that are new or have changed; stopped and started again, it goes on.

    \b
    Examples:
      ccproxy export captures/
      ccproxy export --format jsonl --since 2026-11-01 november/
    """
    chosen = {"since": since, "until": until, "session": session, "model": model, "bodies": not no_bodies}
    taking.export(_settings(config_file, **_storage(db_path)), folder, format=form, **chosen)


@main.command("demo")
@_config_option
@click.option("--db", "db_path", metavar="PATH", help="Keep it in this file.  [default: demo.db beside your store]")
@click.option("--again", is_flag=True, help="Make it anew, where it is there already.")
@click.option("--quiet", is_flag=True, help="Print where it is, and nothing else.")
@_plain_errors
def demo_command(config_file: Path | None, db_path: str | None, again: bool, quiet: bool) -> None:
    """Make a store with a made-up week in it.

    Some forty sessions of Claude Code, played through the proxy itself; nothing leaves this machine. What is there already
    is kept.

    \b
    Example:
      ccproxy demo --db ./demo.db
    """
    settings = _settings(config_file, **_storage(db_path))
    demonstrating.demo(settings, chosen=db_path is not None, again=again, quiet=quiet)


@main.command("doctor")
@_store_options
def doctor_command(config_file: Path | None, db_path: str | None) -> None:
    """Check the whole set-up: each line is fine, or says what to do.

    \b
    Example:
      ccproxy doctor && ccproxy serve
    """
    sys.exit(doctor.run(config_file, _storage(db_path)))


@main.group()
def db() -> None:
    """Look after the store.

    \b
    Example:
      ccproxy db reset
    """


@db.command("stats")
@_store_options
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@_plain_errors
def db_stats(config_file: Path | None, db_path: str | None, as_json: bool) -> None:
    """Say what is in the store, and how large it is.

    \b
    Example:
      ccproxy db stats
    """
    keeping.stats(_settings(config_file, **_storage(db_path)), as_json=as_json)


@db.command("check")
@_store_options
@_plain_errors
def db_check(config_file: Path | None, db_path: str | None) -> None:
    """Look at every digest, pointer and body in the store.

    Each fault is a line; with any, the exit code is 1. The proxy may run meanwhile.

    \b
    Example:
      ccproxy db check
    """
    sys.exit(keeping.check(_settings(config_file, **_storage(db_path))))


@db.command("copy")
@_store_options
@click.option("--to", "url", metavar="URL", required=True, help="A postgresql:// URL, or a file.")
@_plain_errors
def db_copy(config_file: Path | None, db_path: str | None, url: str) -> None:
    """Copy all that was captured into another store.

    Stopped and started again, it goes on where it was. Exchanges that still run are left out.

    \b
    Example:
      ccproxy db copy --to postgresql://me:secret@host/ccproxy
    """
    keeping.copy(_settings(config_file, **_storage(db_path)), url)


@db.command("migrate")
@_store_options
@_plain_errors
def db_migrate(config_file: Path | None, db_path: str | None) -> None:
    """Bring the store up to date, as every start of the proxy does.

    \b
    Example:
      ccproxy db migrate
    """
    keeping.migrate(_settings(config_file, **_storage(db_path)))


@db.command("reset")
@_store_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@_plain_errors
def db_reset(config_file: Path | None, db_path: str | None, yes: bool) -> None:
    """Delete all captures, after asking. The proxy must not be running.

    \b
    Example:
      ccproxy db reset --yes
    """
    resetting.reset(_settings(config_file, **_storage(db_path)), sure=yes)


@main.group()
def config() -> None:
    """Show and check the settings.

    \b
    Examples:
      ccproxy config show
      ccproxy config example > config.yaml
    """


@config.command("show")
@_config_option
@click.option("--json", "as_json", is_flag=True, help="As one JSON object, for programs.")
@_plain_errors
def config_show(config_file: Path | None, as_json: bool) -> None:
    """Show every setting, its value and where that comes from.

    A secret shows by its hash.

    \b
    Example:
      ccproxy config show | grep port
    """
    configuring.show(_settings(config_file), as_json=as_json)


@config.command("example")
@_plain_errors
def config_example() -> None:
    """Print a config.yaml in which every setting stands.

    \b
    Example:
      ccproxy config example > config.yaml
    """
    configuring.example()


@config.command("check")
@_config_option
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@_plain_errors
def config_check(config_file: Path | None, file: Path | None) -> None:
    """Load the settings and say that they are fine.

    FILE is read instead of config.yaml. What is wrong is one sentence, and exit code 2.

    \b
    Example:
      ccproxy config check new.yaml
    """
    configuring.check(_settings(file or config_file))
