"""zstd, in the two ways the store uses it: plain, and as a patch against bytes that are known anyway.

A patch is a frame compressed with those bytes as a raw-content dictionary. Refuses to know what the bytes are.
"""

from __future__ import annotations

import threading

import zstandard

from ccproxy.errors import StoreError

LEVEL = 3
SMALL = 400  # bytes; below it a frame's overhead eats what it saves
MAX_SIZE = 1 << 30  # a frame that claims to be larger than any body was is damaged
_MAX_WINDOW_LOG = 30
_local = threading.local()


def compress(data: bytes) -> tuple[str, bytes]:
    """Return (encoding, bytes): `zstd` where that is smaller, else `raw`."""
    if len(data) < SMALL:
        return "raw", data
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(level=LEVEL)
    packed: bytes = _local.compressor.compress(data)
    return ("zstd", packed) if len(packed) < len(data) else ("raw", data)


def decompress(encoding: str, data: bytes) -> bytes:
    """Give back what `compress` was given. Raises StoreError where the bytes are damaged."""
    if encoding == "raw":
        return data
    if encoding != "zstd":
        raise StoreError(f"the store holds bytes in an encoding of which this version knows nothing: {encoding}")
    return _unpack(zstandard.ZstdDecompressor(max_window_size=1 << _MAX_WINDOW_LOG), data)


def patch(data: bytes, reference: bytes) -> bytes:
    """Return `data` as a patch against `reference`."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        LEVEL,
        source_size=len(data),
        dict_size=len(reference),
        # The window must reach back over the whole reference, and zstd reads only so much of a reference into its
        # tables as 8 << hash_log bytes.
        window_log=max(17, (len(data) + len(reference)).bit_length()),
        hash_log=min(24, max(17, len(reference).bit_length() - 2)),
        write_content_size=True,
    )
    return zstandard.ZstdCompressor(compression_params=parameters, dict_data=_dictionary(reference)).compress(data)


def apply(data: bytes, reference: bytes) -> bytes:
    """Give back what `patch` was given. Raises StoreError where bytes or reference are not the same as then."""
    return _unpack(
        zstandard.ZstdDecompressor(dict_data=_dictionary(reference), max_window_size=1 << _MAX_WINDOW_LOG), data
    )


def _dictionary(reference: bytes) -> zstandard.ZstdCompressionDict:
    # zstd takes no dictionary of fewer than eight bytes
    return zstandard.ZstdCompressionDict(reference.ljust(8, b" "), dict_type=zstandard.DICT_TYPE_RAWCONTENT)


def _unpack(decompressor: zstandard.ZstdDecompressor, data: bytes) -> bytes:
    try:
        if zstandard.frame_content_size(data) > MAX_SIZE:
            raise StoreError("bytes in the store cannot be unpacked: they claim to be larger than any body")
        return decompressor.decompress(data, max_output_size=MAX_SIZE)
    except zstandard.ZstdError as error:
        raise StoreError(f"bytes in the store cannot be unpacked: {error}") from error


class StreamDecompressor:
    """zstd that arrives in pieces, of one frame or several."""

    def __init__(self) -> None:
        self._inner = zstandard.ZstdDecompressor(max_window_size=1 << _MAX_WINDOW_LOG).decompressobj(
            read_across_frames=True
        )

    def feed(self, data: bytes) -> bytes:
        """Return what this piece decompresses to."""
        return self._inner.decompress(data)
