"""The ids of messages that no Messages API gave one.

Knows how they look (`msg_…`). They are made of the exchange's own id, so that whoever translates its answer once more comes to
the same message. Refuses to make one from nothing.
"""

from __future__ import annotations


def message_id(exchange: str) -> str:
    """Return the id of the message in the answer of an exchange, whose id is a UUID as text."""
    return f"msg_{exchange.replace('-', '')}"
