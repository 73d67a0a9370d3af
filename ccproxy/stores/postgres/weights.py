"""What rows take on disk, about: with their indexes, and beside the bytes that they hold.

PostgreSQL cannot tell free room from used room for little money, so what is written and deleted is weighed by these figures.
Measured over recorded sessions.
"""

from __future__ import annotations

EXCHANGE = 2600  # with its headers and times
BLOB = 150
NODE = 350
MEMBER = 150  # of a preamble


def block(characters: int) -> int:
    """Return the weight of a block: its text, packed; its words, packed once more; and their index."""
    return 250 + characters * 13 // 10
