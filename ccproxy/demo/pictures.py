"""Small pictures, drawn in code: what a person pastes, and what a tool takes of a screen.

Each name gives one picture, always the same. Refuses to be art.
"""

from __future__ import annotations

import base64
import struct
import zlib
from functools import cache

from ccproxy.demo.chance import Chance
from ccproxy.demo.replies import Block

Colour = tuple[int, int, int]

LIGHT, DARK = (250, 250, 248), (24, 26, 32)
INKS: tuple[Colour, ...] = ((36, 99, 179), (226, 120, 44), (70, 148, 92), (176, 62, 74), (120, 120, 128))
SIZES = ((960, 540), (1280, 720), (760, 480), (1100, 400))
BARS = 14
MARGIN = 40


def block(name: str) -> Block:
    """Return a picture as a content block."""
    data = base64.b64encode(png(name)).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


@cache
def png(name: str) -> bytes:
    """Return the picture of this name: some bars above a line, on light or dark ground."""
    chance = Chance("picture", name)
    width, height = chance.pick(SIZES)
    ground = DARK if "dark" in name else LIGHT
    step = (width - 2 * MARGIN) // BARS
    bars = [(chance.pick(INKS), MARGIN + round(chance.between(0, height - 3 * MARGIN))) for _ in range(BARS)]
    rows = [_row(width, height, y, ground, step, bars) for y in range(height)]
    return _file(width, height, b"".join(b"\0" + row for row in rows))


def _row(width: int, height: int, y: int, ground: Colour, step: int, bars: list[tuple[Colour, int]]) -> bytes:
    row = bytearray(bytes(ground) * width)
    if y == height - MARGIN:
        row[3 * MARGIN : 3 * (width - MARGIN)] = bytes(INKS[4]) * (width - 2 * MARGIN)
    elif y < height - MARGIN:
        for number, (ink, top) in enumerate(bars):
            if y >= top:
                left = MARGIN + number * step
                row[3 * left : 3 * (left + step - 6)] = bytes(ink) * (step - 6)
    return bytes(row)


def _file(width: int, height: int, rows: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
