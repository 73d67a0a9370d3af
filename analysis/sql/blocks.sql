SELECT
  lower(hex(b.node)) AS node, b.position, n.role, b.type, b.tool_name, b.tool_use_id, b.is_error <> 0 AS is_error, b.characters
  , b.text -- whole
FROM store.blocks b JOIN store.nodes n ON n.digest = b.node
