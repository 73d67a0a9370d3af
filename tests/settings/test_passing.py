"""The way to a worker process and back."""

from __future__ import annotations

from pathlib import Path

from ccproxy import settings as module
from ccproxy.settings import SETTINGS
from tests.settings.conftest import SAMPLES, Desk


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
