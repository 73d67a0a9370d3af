-- A call may stand in several branches of the tree, and its result come with several requests: the first counts.
WITH rows AS MATERIALIZED (
  SELECT
    tool_use_id, type, tool_name, is_error, characters::BIGINT AS characters, exchange, node
    , text -- whole
  FROM ask($$
    SELECT
      tool_use_id, type, tool_name, is_error, characters, exchange, hex(node) AS node
      , text -- whole
    FROM blocks WHERE tool_use_id IS NOT NULL
  $$)
),
calls AS (
  SELECT * FROM rows WHERE type IN ('tool_use', 'server_tool_use', 'mcp_tool_use')
  QUALIFY row_number() OVER (PARTITION BY tool_use_id ORDER BY exchange NULLS LAST, node) = 1
),
results AS (
  SELECT * FROM rows WHERE type LIKE '%tool_result'
  QUALIFY row_number() OVER (PARTITION BY tool_use_id ORDER BY exchange NULLS LAST, node) = 1
),
exchange AS MATERIALIZED (
  SELECT exchange_id, session_id, thread_id, model, started_at, ended_at, tool_durations FROM exchanges
),
-- The client measures by name: what it says is one call's where the name was called once.
alone AS (SELECT exchange, tool_name FROM calls GROUP BY ALL HAVING count(*) = 1)
SELECT
  c.tool_use_id, e.exchange_id, e.session_id, e.thread_id, e.ended_at AS called_at, e.model, c.tool_name,
  nullif(regexp_extract(c.tool_name, '^mcp__(.+?)__', 1), '') AS mcp_server,
  c.characters AS input_characters, r.characters AS result_characters,
  CASE WHEN r.tool_use_id IS NOT NULL THEN coalesce(r.is_error::INTEGER, 0) <> 0 END AS is_error,
  r.tool_use_id IS NOT NULL AS answered, x.exchange_id AS result_exchange_id,
  CASE WHEN x.exchange_id <> e.exchange_id THEN (epoch_us(x.started_at) - epoch_us(e.ended_at)) / 1000.0 END AS wire_ms,
  CASE WHEN a.exchange IS NOT NULL THEN try_cast(
    regexp_extract(x.tool_durations, '(?:^|;)' || regexp_escape(c.tool_name) || '=([0-9.]+)', 1) AS DOUBLE) END AS client_ms,
  c.node, r.node AS result_node
  , c.text AS input, r.text AS result -- whole
FROM calls c
LEFT JOIN results r ON r.tool_use_id = c.tool_use_id
LEFT JOIN exchange e ON e.exchange_id = c.exchange
LEFT JOIN exchange x ON x.exchange_id = r.exchange
LEFT JOIN alone a ON a.exchange = c.exchange AND a.tool_name = c.tool_name
