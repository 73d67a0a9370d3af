"""A body that was packed against texts, packed again where the store has other texts for the same parts.

That happens where two who write see the same part first, at the same moment and in different spellings: the text of one of
them is kept, and the other's body has to be packed against that. Gives back bodies that come back byte for byte. Refuses to
know which texts those are.
"""

from __future__ import annotations

from collections.abc import Sequence

from ccproxy.errors import StoreError
from ccproxy.records import Body
from ccproxy.stores import compression, rebuild


def against_parts(body: Body, own: Sequence[bytes], stored: Sequence[bytes]) -> Body:
    """Return a body that was packed against `own` texts of its parts, packed against the `stored` ones."""
    raw = rebuild.unpack(body.data, own)
    packed = rebuild.pack(raw, own, stored)
    if len(packed) < len(raw) and rebuild.unpack(packed, stored) == raw:
        return Body(body.side, body.encoding, packed, body.size)
    return _plain(body, raw)


def against_reply(body: Body, own: bytes, stored: bytes) -> Body:
    """Return a body that was packed against its `own` text of the answer's message, packed against the `stored` one."""
    raw = compression.apply(body.data, own)
    packed = compression.patch(raw, stored)
    if len(packed) < len(raw) and _gives_back(packed, stored, raw):
        return Body(body.side, body.encoding, packed, body.size)
    return _plain(body, raw)


def _gives_back(packed: bytes, text: bytes, raw: bytes) -> bool:
    try:
        return compression.apply(packed, text) == raw
    except StoreError:
        return False


def _plain(body: Body, raw: bytes) -> Body:
    encoding, data = compression.compress(raw)
    return Body(body.side, encoding, data, body.size)
