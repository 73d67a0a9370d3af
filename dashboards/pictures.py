"""Whether bytes are an image that a browser may be given: only kinds that hold no script, and only whole ones.

Refuses to fetch any.
"""

from __future__ import annotations

import base64
import binascii

SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp")


def trouble(media_type: str, data: object) -> str:
    """Return why an image in base64 cannot be shown, as a sentence; empty where it can."""
    if media_type not in SHOWN:
        return "images of this kind are not shown here"
    if not isinstance(data, str) or not data:
        return "it is empty"
    try:
        found = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return "its base64 is broken"
    begins, ends = _ENDS[media_type]
    if not found.startswith(begins):
        return f"its bytes are not those of {media_type}"
    return "" if ends in found[-64:] or media_type == "image/webp" else "it breaks off"


_ENDS = {
    "image/png": (b"\x89PNG\r\n\x1a\n", b"IEND"),
    "image/jpeg": (b"\xff\xd8\xff", b"\xff\xd9"),
    "image/gif": (b"GIF8", b"\x3b"),
    "image/webp": (b"RIFF", b""),
}


def size(data: object) -> int:
    """Return how many bytes base64 holds."""
    return len(data) * 3 // 4 - data[-2:].count("=") if isinstance(data, str) and data else 0
