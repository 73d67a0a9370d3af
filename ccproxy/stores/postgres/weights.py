"""What rows take on disk, about: with their indexes, and beside the bytes that they hold.

PostgreSQL cannot tell free room from used room for little money, so what is written and deleted is weighed by these figures.
Measured over sessions of forty turns that read and wrote program text: right to one part in a hundred there; the words of other
texts may take half or twice as much.
"""

from __future__ import annotations

EXCHANGE = 3200  # with its headers and times
BLOB = 200
NODE = 300
MEMBER = 150  # of a preamble


def block(characters: int) -> int:
    """Return the weight of a block: its text, packed; its words, packed once more; and their index."""
    return 300 + characters * 7 // 4
