"""Search in a PostgreSQL store: content blocks by their words, best first.

Of many hits the newest are weighed against each other: a block goes first where the words stand often, for its length.
Refuses to know what counts as a word.
"""

from __future__ import annotations

from ccproxy.errors import StoreError
from ccproxy.stores import words as searching
from ccproxy.stores.contract import Found
from ccproxy.stores.postgres import conditions
from ccproxy.stores.postgres.server import PostgresServer

WEIGHED = 1000
# As bm25 weighs them, but for how rare a word is.
_BEST = """
WITH hit AS MATERIALIZED (
  SELECT id, cardinality(string_to_array(words, ' '))::float AS length,
    ARRAY(SELECT cardinality(array_positions(string_to_array(words, ' '), word)) FROM unnest(%(words)s::text[]) word) AS times
  FROM block_search WHERE {hit} ORDER BY id DESC LIMIT {weighed}
), weighed AS (
  SELECT id, (SELECT sum(n / (n + 1.2 * (0.25 + 0.75 * length / (SELECT avg(length) FROM hit)))) FROM unnest(times) n) AS weight
  FROM hit
), best AS (
  SELECT id, weight FROM weighed ORDER BY weight DESC, id DESC LIMIT %(limit)s
)
SELECT e.id AS exchange, e.session_id, e.started_at, n.role, b.type, b.tool_name, b.text
FROM best JOIN blocks b USING (id) JOIN nodes n ON n.digest = b.node
LEFT JOIN LATERAL (
  WITH RECURSIVE below (digest, steps) AS (
    SELECT n.digest, 0
    UNION ALL SELECT c.digest, steps + 1 FROM nodes c JOIN below ON c.parent = below.digest WHERE steps < 6
  ) SELECT x.id, x.session_id, x.started_at FROM below JOIN exchanges x ON x.reply = below.digest OR x.tip = below.digest
  ORDER BY steps, x.started_at LIMIT 1
) e ON true
ORDER BY best.weight DESC, best.id DESC
"""


class Searching(PostgresServer):
    """The search of the contract."""

    def search(self, words: str, *, limit: int) -> list[Found]:
        """Return content blocks in which all of `words` stand, best first."""
        phrases = searching.wanted(words)
        if phrases is None:
            raise StoreError("there is nothing to search for; give a word or more")
        if not phrases:
            return []
        query = _BEST.format(hit=conditions.hit(phrases), weighed=max(limit, WEIGHED))
        rows = self.rows(query, {**conditions.searched(phrases), "limit": limit})
        return [Found(snippet=searching.snippet(row.pop("text"), phrases), **row) for row in rows]
