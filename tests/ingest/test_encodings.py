"""Content encodings undone piece by piece, whatever the cut, and never an exception."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.ingest import encodings
from ccproxy.ingest.encodings import ContentDecoder
from tests.support.splits import cut_at, fixed_cuts, random_cuts

TEXT = b'{"text": "' + "Grüße, 世界. ".encode() * 300 + b'"}'


def _bare(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def _zstd(data: bytes) -> bytes:
    packed: bytes = zstandard.ZstdCompressor().compress(data)
    return packed


def _brotli(data: bytes) -> bytes:
    packed: bytes = brotli.compress(data, quality=4)
    return packed


PACKED: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", _bare),
    ("br", _brotli),
    ("zstd", _zstd),
    ("GZIP ", gzip.compress),
    ("gzip, br", lambda data: _brotli(gzip.compress(data))),
    ("deflate,identity, zstd", lambda data: _zstd(zlib.compress(data))),
    ("identity", bytes),
    ("", bytes),
]


def _decode(name: str | None, pieces: list[bytes]) -> tuple[bytes, str | None]:
    decoder = ContentDecoder(name)
    return b"".join([decoder.feed(piece) for piece in pieces]), decoder.problem


@pytest.mark.parametrize(("name", "pack"), PACKED, ids=[f"{n}-{i}" for i, (n, _) in enumerate(PACKED)])
def test_each_encoding_is_undone_at_any_cut(name: str, pack: Callable[[bytes], bytes]) -> None:
    """Every encoding, and every chain of them, gives back the text, however it is cut."""
    for pieces in fixed_cuts(pack(TEXT)):
        assert _decode(name, pieces) == (TEXT, None)


@settings(deadline=None)
@given(st.binary(max_size=3000), random_cuts(), st.sampled_from(PACKED))
def test_random_bodies_come_back(data: bytes, cuts: list[int], packed: tuple[str, Callable[[bytes], bytes]]) -> None:
    """What was packed is what is unpacked, for any bytes."""
    name, pack = packed
    assert _decode(name, cut_at(pack(data), cuts)) == (data, None)


def test_no_header_means_no_encoding() -> None:
    """A body without the header is the body."""
    decoder = ContentDecoder(None)
    assert not decoder.encoded
    assert decoder.feed(TEXT) == TEXT


@pytest.mark.parametrize("pack", [gzip.compress, _zstd])
def test_several_members_are_one_body(pack: Callable[[bytes], bytes]) -> None:
    """gzip members and zstd frames in a row are one body, however they are cut."""
    name = "gzip" if pack is gzip.compress else "zstd"
    for pieces in fixed_cuts(pack(b"one ") + pack(b"two ") + pack(b"three")):
        assert _decode(name, pieces) == (b"one two three", None)


def test_a_padded_gzip_body_is_whole() -> None:
    """Zeros behind a gzip member are padding, as the gzip tool takes them."""
    for pieces in fixed_cuts(gzip.compress(b"one") + b"\0" * 20):
        assert _decode("gzip", pieces) == (b"one", None)


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_garbage_is_a_problem_and_no_exception(name: str) -> None:
    """What does not decode is told in one sentence, and nothing comes out after it."""
    decoder = ContentDecoder(name)
    decoder.feed(b"\x00\x01 this is not packed at all" * 20)
    assert decoder.problem is not None
    assert decoder.problem.startswith("the body does not decode: ")
    assert decoder.feed(gzip.compress(TEXT)) == b""


def test_what_came_before_the_damage_is_kept() -> None:
    """A body that breaks near its end gives what was good before, also when it comes in one piece."""
    text = random.Random(1).randbytes(100_000)
    out, problem = _decode("gzip", [gzip.compress(text) + b"this is no gzip member"])
    assert problem is not None
    assert text.startswith(out)
    assert len(out) > 80_000


def test_an_encoding_nobody_knows_is_named() -> None:
    """An unknown encoding is a problem with a name, and the body is left alone."""
    decoder = ContentDecoder("gzip, snappy")
    assert decoder.problem == 'unknown content encoding "snappy"'
    assert decoder.encoded
    assert decoder.feed(b"anything") == b""


def test_a_body_that_unpacks_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes that would unpack to more than memory holds are a problem, not the end of ingest."""
    monkeypatch.setattr(encodings, "MAX_DECODED_BYTES", 1 << 22)
    decoder = ContentDecoder("gzip")
    out = decoder.feed(gzip.compress(b"\0" * (1 << 26)))
    assert decoder.problem == "the body decodes to more than 4 MB"
    assert len(out) <= 1 << 24
