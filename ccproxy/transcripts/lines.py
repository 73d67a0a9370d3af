"""The lines of a transcript: one JSON object each, of any length.

Knows the members that a summary and a thread need, whatever their types are. Refuses to build what is not asked for: the message
of a line stays raw.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from ccproxy.protocol.surrogates import decoded

_BOM = b"\xef\xbb\xbf"


class Line(msgspec.Struct, rename="camel", frozen=True):
    """One line. Every member may have any type: what Claude Code writes changes with every version."""

    type: Any = None
    uuid: Any = None
    parent_uuid: Any = None
    timestamp: Any = None
    session_id: Any = None
    request_id: Any = None
    cwd: Any = None
    git_branch: Any = None
    version: Any = None
    is_meta: Any = None
    is_sidechain: Any = None
    is_compact_summary: Any = None
    is_api_error_message: Any = None
    custom_title: Any = None
    ai_title: Any = None
    summary: Any = None
    leaf_uuid: Any = None
    message: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(Line).decode


def read_lines(file: BinaryIO, offset: int) -> Iterator[tuple[int, bytes]]:
    """Yield each line from `offset` on, with where it begins. The last one may lack its line feed: it is being written."""
    file.seek(offset)
    for data in file:
        yield offset, data
        offset += len(data)


def parse(data: bytes) -> Line | None:
    """Return what a line says, or None where it is no JSON object."""
    try:
        return decoded(_decode, data.removeprefix(_BOM))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    try:
        return decoded(_decode, fit(data))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def fit(data: bytes) -> bytes:
    """Return a line's JSON fit to stand inside other JSON: without line end and byte order mark, and valid UTF-8."""
    return data.removeprefix(_BOM).strip().decode("utf-8", "replace").encode()
