"""One exchange or message looked up: its exact bytes, headers and JSON.

Asks the store's own database, by index. How bodies are packed is known to `ccproxy.stores.rebuild` alone. Refuses to read more
than what was asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import polars as pl

from analysis.errors import AnalysisError
from ccproxy.errors import StoreError
from ccproxy.stores import compression, rebuild

SIDES = ("request", "response", "sent")
_ID, _DIGEST = re.compile(r"[0-9a-f-]{1,36}"), re.compile(r"(?:[0-9a-f]{2}){1,64}")
Ask = Callable[[str], pl.DataFrame]


class Lookups:
    """What hangs on single rows. `ask` runs a query in the store's own SQL, whose `dialect` says how bytes are written in it."""

    def __init__(self, ask: Ask, dialect: str) -> None:
        self._ask = ask
        self._dialect = dialect

    def body(self, exchange_id: str, side: str) -> bytes | None:
        """Return the exact bytes of a body, as they passed; None where there was none, or it was not kept. `sent` is what went
        up where the request was translated."""
        row = self._row(
            f"SELECT encoding, size, {self._hex('data')} AS data FROM bodies WHERE exchange = '{_exchange(exchange_id)}'"
            f" AND side = '{_side(side)}'"
        )
        if row is None:
            return None
        try:
            body = self._unpacked(exchange_id, row["encoding"], bytes.fromhex(row["data"]))
        except StoreError as error:
            raise AnalysisError(f"the {side} of exchange {exchange_id} cannot be given back: {error}") from None
        if len(body) != int(row["size"]):
            raise AnalysisError(f"the {side} of exchange {exchange_id} is damaged: {len(body)} bytes of {row['size']}")
        return body

    def headers(self, exchange_id: str, side: str) -> list[tuple[str, str]]:
        """Return the headers of one side, secrets masked; none where none were kept."""
        row = self._row(
            f'SELECT h."values" AS own, b.encoding, {self._hex("b.data")} AS data FROM headers h JOIN blobs b'
            f" ON b.digest = h.template WHERE h.exchange = '{_exchange(exchange_id)}' AND h.side = '{_side(side)}'"
        )
        return rebuild.fill(_text(row), rebuild.load(row["own"])) if row else []

    def message(self, node: str) -> dict[str, Any]:
        """Return the JSON of a message, as first seen and without `cache_control`."""
        row = self._row(
            f"SELECT b.encoding, {self._hex('b.data')} AS data FROM nodes n JOIN blobs b ON b.digest = n.message"
            f" WHERE n.digest = {self._bytes(node)}"
        )
        if row is None:
            raise AnalysisError(f"there is no message {node}")
        found = json.loads(_text(row))
        return found if isinstance(found, dict) else {"content": found}

    def conversation(self, node: str) -> list[dict[str, Any]]:
        """Return the messages from the first one to this one, each with its `node`; none where there is no such message."""
        _digest(node)
        return [{"node": row["node"], **json.loads(_text(row))} for row in self._line(node)]

    def _unpacked(self, exchange_id: str, encoding: str, data: bytes) -> bytes:
        if encoding == "request":
            return compression.apply(data, self.body(exchange_id, "request") or b"")
        if encoding not in ("parts", "reply"):
            return compression.decompress(encoding, data)
        row = self._row(
            f"SELECT billing_line, {self._hex('preamble')} AS preamble, {self._hex('tip')} AS tip, {self._hex('reply')} AS reply"
            f" FROM exchanges WHERE id = '{_exchange(exchange_id)}'"
        )
        if row is None:
            raise StoreError("its exchange is gone")
        if encoding == "reply":
            return compression.apply(data, _text(self._line(row["reply"])[-1]))
        messages = [_text(message) for message in self._line(row["tip"])]
        return rebuild.unpack(data, rebuild.reference(row["billing_line"], self._preamble(row["preamble"]), messages))

    def _preamble(self, preamble: str | None) -> list[bytes]:
        if not preamble:
            return []
        rows = self._ask(
            f"SELECT b.encoding AS encoding, {self._hex('b.data')} AS data FROM preamble_parts p JOIN blobs b ON b.digest = p.part"
            f" WHERE p.preamble = {self._bytes(preamble)} ORDER BY p.position"
        )
        return [_text(row) for row in rows.rows(named=True)]

    def _line(self, node: str | None) -> list[dict[str, Any]]:
        """Return node, encoding and data of each message from the first one down to `node`."""
        if not node:
            return []
        return self._ask(
            "WITH RECURSIVE line (digest, parent, message, depth) AS (SELECT digest, parent, message, depth FROM nodes WHERE"
            f" digest = {self._bytes(node)} UNION ALL SELECT n.digest, n.parent, n.message, n.depth FROM nodes n"
            f" JOIN line ON n.digest = line.parent) SELECT {self._hex('line.digest')} AS node, b.encoding AS encoding,"
            f" {self._hex('b.data')} AS data FROM line JOIN blobs b ON b.digest = line.message ORDER BY line.depth"
        ).rows(named=True)

    def _row(self, query: str) -> dict[str, Any] | None:
        rows = self._ask(query)
        return rows.row(0, named=True) if rows.height else None

    def _hex(self, column: str) -> str:
        return f"encode({column}, 'hex')" if self._dialect == "postgres" else f"lower(hex({column}))"

    def _bytes(self, digest: str) -> str:
        return f"'\\x{_digest(digest)}'::bytea" if self._dialect == "postgres" else f"x'{_digest(digest)}'"


def _text(row: dict[str, Any]) -> bytes:
    return compression.decompress(row["encoding"], bytes.fromhex(row["data"]))


def _exchange(exchange_id: str) -> str:
    if not _ID.fullmatch(exchange_id):
        raise AnalysisError(f'"{exchange_id}" is no exchange_id; `exchanges()` has them')
    return exchange_id


def _digest(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise AnalysisError(f'"{digest}" is no digest; frames have them as `node`, `tip`, `reply` and `preamble`')
    return digest


def _side(side: str) -> str:
    if side not in SIDES:
        raise AnalysisError(f'a side is one of {", ".join(SIDES)}, not "{side}"')
    return side
