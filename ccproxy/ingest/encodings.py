"""Content encodings, undone for the record only: gzip, deflate, br, zstd, and chains of them.

Works piece by piece, so that each piece keeps its time of arrival. Never raises: what cannot be decoded is told in `problem`,
and what came before it is kept. A few bytes that would unpack to more than memory holds are such a problem.
"""

from __future__ import annotations

import zlib
from typing import Protocol

import brotli

from ccproxy.stores import compression

MAX_DECODED_BYTES = 1 << 29
_SLICE_BYTES = 1 << 14  # looked at between two slices: how much came out so far


class _Step(Protocol):
    def feed(self, data: bytes) -> bytes: ...


class _Gzip:
    """gzip, of one member or several."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    def feed(self, data: bytes) -> bytes:
        out = self._inner.decompress(data)
        while self._inner.eof and (rest := self._inner.unused_data.lstrip(b"\0")):  # members may be padded
            self._inner = zlib.decompressobj(wbits=31)
            out += self._inner.decompress(rest)
        return out


class _Deflate:
    """deflate: with zlib's wrapping as RFC 9110 says, or bare as some servers do."""

    def __init__(self) -> None:
        self._inner: zlib._Decompress | None = None

    def feed(self, data: bytes) -> bytes:
        if not data:
            return b""
        if self._inner is None:
            self._inner = zlib.decompressobj(wbits=15 if data[0] & 0x0F == 8 else -15)
        return self._inner.decompress(data)


class _Brotli:
    def __init__(self) -> None:
        self._inner = brotli.Decompressor()

    def feed(self, data: bytes) -> bytes:
        out: bytes = self._inner.process(data)
        return out


_STEPS: dict[str, type[_Step]] = {
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": compression.StreamDecompressor,
}


class ContentDecoder:
    """Undoes the encodings that a `content-encoding` header names, last one first."""

    def __init__(self, content_encoding: str | None, most: int | None = None) -> None:
        """Undo these encodings, as long as no more than `most` bytes come out (None: what memory is sure to hold)."""
        names = [name.strip().lower() for name in (content_encoding or "").split(",")]
        wanted = [name for name in reversed(names) if name not in ("", "identity")]
        unknown = [name for name in wanted if name not in _STEPS]
        self.problem = f'unknown content encoding "{unknown[0]}"' if unknown else None
        self.encoded = bool(wanted)
        self._steps = [] if unknown else [_STEPS[name]() for name in wanted]
        self._decoded = 0
        self._most = MAX_DECODED_BYTES if most is None else most

    def feed(self, data: bytes) -> bytes:
        """Return what this piece decodes to; nothing after a problem."""
        if self.problem or not self._steps:
            return b"" if self.problem else data
        found = []
        for place in range(0, len(data), _SLICE_BYTES):
            piece = self._decode(data[place : place + _SLICE_BYTES])
            if self.problem:
                break
            found.append(piece)
        return b"".join(found)

    def _decode(self, data: bytes) -> bytes:
        try:
            for step in self._steps:
                data = step.feed(data)
        except Exception as error:  # noqa: BLE001 (each library has errors of its own, and none may stop the line)
            self.problem = f"the body does not decode: {error}"
        self._decoded += len(data)
        if self._decoded > self._most:
            self.problem = self.problem or f"the body decodes to more than {self._most >> 20} MB"
        return data
