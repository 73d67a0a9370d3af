"""zstd as the store uses it: what goes in comes out, and damage is told."""

from __future__ import annotations

import contextlib
import os

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.errors import StoreError
from ccproxy.stores import compression

TEXT = b"some text that repeats itself, some text that repeats itself. " * 50


@settings(deadline=None)
@given(st.binary(max_size=3000) | st.binary(max_size=30).map(lambda data: data * 100))
def test_compressed_data_comes_back(data: bytes) -> None:
    """Any bytes come back, and never take more room than they are."""
    encoding, packed = compression.compress(data)
    assert len(packed) <= len(data)
    assert compression.decompress(encoding, packed) == data


@settings(deadline=None)
@given(st.binary(max_size=3000), st.binary(max_size=3000))
def test_a_patch_gives_its_data_back(data: bytes, reference: bytes) -> None:
    """Any bytes come back from a patch against any others, empty ones too."""
    assert compression.apply(compression.patch(data, reference), reference) == data


@pytest.mark.parametrize("size", [0, 7, 8, 1000, 100_000, 3_000_000])
def test_a_patch_against_the_same_bytes_is_tiny(size: int) -> None:
    """A reference is used from its first byte to its last, however long it is."""
    reference = os.urandom(size)
    patch = compression.patch(reference[: size // 3] + b"!" + reference[size // 3 :], reference)
    assert len(patch) < 100 + size // 500


def test_small_and_random_bytes_stay_raw() -> None:
    """What does not get smaller is kept as it is."""
    assert compression.compress(b"x" * 100) == ("raw", b"x" * 100)
    noise = os.urandom(5000)
    assert compression.compress(noise) == ("raw", noise)
    assert compression.compress(TEXT)[0] == "zstd"


def test_damage_is_told() -> None:
    """Bytes that cannot be unpacked are an error of the store, in its words."""
    _, packed = compression.compress(TEXT)
    for broken in (packed[:-5], b"", b"\0" * 20, packed[4:]):
        with pytest.raises(StoreError, match="cannot be unpacked"):
            compression.decompress("zstd", broken)
    with pytest.raises(StoreError, match="of which this version knows nothing: lz4"):
        compression.decompress("lz4", packed)


def test_the_wrong_reference_gives_no_silent_success() -> None:
    """A patch against other bytes fails, or gives something else; it never pretends."""
    reference = os.urandom(5000)
    patch = compression.patch(reference, reference)
    with contextlib.suppress(StoreError):
        assert compression.apply(patch, os.urandom(5000)) != reference


def test_a_frame_that_claims_to_be_endless_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage cannot make a reader fill its memory."""
    monkeypatch.setattr(compression, "MAX_SIZE", 1000)
    with pytest.raises(StoreError):
        compression.decompress("zstd", zstandard.ZstdCompressor().compress(b"\0" * 1_000_000))


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_stream_is_decompressed_as_it_comes(step: int) -> None:
    """Pieces and frames may be cut anywhere; what is complete comes out at once."""
    packed = zstandard.ZstdCompressor().compress(TEXT) + zstandard.ZstdCompressor().compress(b"more")
    stream = compression.StreamDecompressor()
    out = b"".join(stream.feed(packed[place : place + step]) for place in range(0, len(packed), step))
    assert out == TEXT + b"more"
