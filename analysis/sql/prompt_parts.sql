SELECT
  lower(hex(p.preamble)) AS preamble, p.position, p.kind, p.name, lower(hex(p.part)) AS part, b.size AS bytes
  , unpacked(b.encoding, b.data) AS json -- whole
FROM store.preamble_parts p LEFT JOIN store.blobs b ON b.digest = p.part
