SELECT
  lower(hex(n.digest)) AS node, lower(hex(n.parent)) AS parent, n.depth, n.role, e.exchange_id, e.session_id, e.thread_id,
  coalesce(b.blocks, 0) AS blocks, coalesce(b.characters, 0)::BIGINT AS characters
  , unpacked(m.encoding, m.data) AS json -- whole
FROM store.nodes n
LEFT JOIN (
  SELECT node, count(*) AS blocks, sum(characters) AS characters, min(exchange) AS exchange FROM store.blocks GROUP BY node
) b ON b.node = n.digest
LEFT JOIN (SELECT exchange_id, session_id, thread_id FROM exchanges) e ON e.exchange_id = b.exchange
LEFT JOIN store.blobs m ON m.digest = n.message -- whole
