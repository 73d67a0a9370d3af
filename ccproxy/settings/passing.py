"""The settings on their way to a worker process and back.

Refuses to know what carries them.
"""

from __future__ import annotations

import msgspec

from ccproxy.settings.tree import Settings


def dump(settings: Settings) -> bytes:
    """Return the settings as JSON, secrets included: for the pipe to a child process, never for a file or a log."""
    return msgspec.json.encode(settings, enc_hook=str)


def parse(data: bytes) -> Settings:
    """Return the settings that `dump` wrote."""
    return msgspec.json.decode(data, type=Settings, dec_hook=lambda kind, value: kind(value))
