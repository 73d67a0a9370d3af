"""What exchanges share, put into the tree: parts, messages in their places with their blocks, preambles.

Knows what is in the store already, which of it stands there in another spelling, and what would hang in the air. Refuses to
know exchanges.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ccproxy.errors import StoreSweptError
from ccproxy.records import Block, Part
from ccproxy.stores import compression, words
from ccproxy.stores.postgres import tables, weights
from ccproxy.stores.postgres.batch import Batch
from ccproxy.stores.postgres.server import Database

MOST_KNOWN = 200_000  # what a writer remembers to be stored, at about 100 bytes each


class Known:
    """Digests of which a writer is sure that they are stored, with a fingerprint of the text; up to the next sweep."""

    def __init__(self) -> None:
        self.generation: str | None = None
        self._found: dict[bytes, int] = {}

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._found

    def since(self, generation: str | None) -> None:
        """Forget all, where somebody has swept since it was learned."""
        if generation != self.generation:
            self.generation = generation
            self._found.clear()

    def learn(self, found: dict[bytes, int]) -> None:
        """Remember these, and let go of the oldest where there are too many."""
        self._found |= found
        while len(self._found) > MOST_KNOWN:
            del self._found[next(iter(self._found))]

    def text(self, digest: bytes) -> int | None:
        """Return the fingerprint of a part's text."""
        return self._found.get(digest)

    def forget(self) -> None:
        """Take nothing for stored any more."""
        self._found.clear()


class Planting:
    """A batch on its way into the tree. `fresh` is what is known when the transaction has succeeded, `weight` what it takes."""

    def __init__(self, db: Database, batch: Batch, known: Known) -> None:
        self._db = db
        self._batch = batch
        self._known = known
        self.fresh: dict[bytes, int] = {}
        self.weight = 0

    def plant(self) -> None:
        """Put everything in its place. Raises StoreSweptError where something that was taken for stored is gone."""
        self._put_parts()
        self._put_nodes()
        self._put_preambles()
        self._look_below()

    def respelled(self, parts: Iterable[Part]) -> set[bytes]:
        """Return the digests of the parts that stand in the store in another spelling."""
        return {part.digest for part in parts if self._text(part.digest) != hash(part.text)}

    def _text(self, digest: bytes) -> int | None:
        return self.fresh.get(digest, self._known.text(digest))

    def _unknown(self, digests: Iterable[bytes]) -> list[bytes]:
        return [digest for digest in digests if digest not in self._known and digest not in self.fresh]

    def _put_parts(self) -> None:
        texts = {digest: self._batch.parts[digest].text for digest in self._unknown(self._batch.parts)}
        rows = [(digest, *compression.compress(text), len(text)) for digest, text in texts.items()]
        new = {row["digest"] for row in tables.BLOBS.put(self._db, rows)}
        self.weight += sum(weights.BLOB + len(data) for digest, _, data, _ in rows if digest in new)
        self.fresh |= {digest: hash(texts[digest]) for digest in new}
        standing = stored_texts(self._db, [digest for digest in texts if digest not in new])
        self.fresh |= {digest: hash(text) for digest, text in standing.items()}

    def _put_nodes(self) -> None:
        nodes = [self._batch.nodes[digest] for digest in self._unknown(self._batch.nodes)]
        rows = [(node.digest, node.parent, node.role, node.depth, node.message) for node in nodes]
        new = {row["digest"] for row in tables.NODES.put(self._db, rows)}
        self._put_blocks([(node.digest, block) for node in nodes if node.digest in new for block in node.blocks])
        self.weight += weights.NODE * len(new)
        self.fresh |= dict.fromkeys((node.digest for node in nodes), 0)

    def _put_blocks(self, blocks: Sequence[tuple[bytes, Block]]) -> None:
        told = tables.BLOCKS.put(
            self._db, [_block_row(node, block, self._batch.brought[node]) for node, block in blocks]
        )
        ids = {(row["node"], row["position"]): row["id"] for row in told}
        searched = [
            (ids[node, block.position], words.indexed(block.text, block.tool_name))
            for node, block in blocks
            if block.text and (node, block.position) in ids
        ]
        tables.BLOCK_SEARCH.put(self._db, searched)
        self.weight += sum(weights.block(block.characters) for _, block in blocks)

    def _put_preambles(self) -> None:
        preambles = [self._batch.preambles[digest] for digest in self._unknown(self._batch.preambles)]
        tools = {preamble.digest: sum(part.kind == "tool" for part in preamble.parts) for preamble in preambles}
        rows = [
            (preamble.digest, len(preamble.parts) - tools[preamble.digest], tools[preamble.digest])
            for preamble in preambles
        ]
        new = {row["digest"] for row in tables.PREAMBLES.put(self._db, rows)}
        members = [
            (preamble.digest, part.position, part.kind, part.name, part.part)
            for preamble in preambles
            if preamble.digest in new
            for part in preamble.parts
        ]
        tables.PREAMBLE_PARTS.put(self._db, members)
        self.weight += weights.MEMBER * len(members)
        self.fresh |= dict.fromkeys(tools, 0)

    def _look_below(self) -> None:
        """See to it that nothing is built on what is not there."""
        wanted = self._unknown(self._batch.built_on())
        if not wanted:
            return
        rows = self._db.execute("SELECT digest FROM nodes WHERE digest = ANY(%s)", [wanted], binary=True)
        there = {row["digest"] for row in rows}
        if len(there) < len(wanted):
            raise StoreSweptError(
                "a conversation goes on of which earlier messages were deleted and swept away meanwhile"
            )
        self.fresh |= dict.fromkeys(there, 0)


def stored_texts(db: Database, digests: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return the texts of parts as they are stored."""
    if not digests:
        return {}
    rows = db.execute("SELECT digest, encoding, data FROM blobs WHERE digest = ANY(%s)", [digests], binary=True)
    return {row["digest"]: compression.decompress(row["encoding"], row["data"]) for row in rows}


def _block_row(node: bytes, block: Block, exchange: str) -> tuple[object, ...]:
    is_error = None if block.is_error is None else int(block.is_error)
    return (
        node, block.position, block.type, block.tool_name, block.tool_use_id, is_error, block.characters, block.text, exchange,
    )  # fmt: skip
