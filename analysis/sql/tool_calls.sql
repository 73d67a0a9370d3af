-- A call may stand in several branches of the tree, and its result come with several requests: the first counts.
WITH pairs AS (
  SELECT
    tool_use_id, tool_name, characters::BIGINT AS characters, exchange, node, result_id, is_error::BIGINT AS is_error,
    result_characters::BIGINT AS result_characters, result_exchange, result_node
    , input, result -- whole
  FROM ask($$
    SELECT
      c.tool_use_id AS tool_use_id, c.tool_name AS tool_name, c.characters AS characters, c.exchange AS exchange, hex(c.node) AS node,
      r.tool_use_id AS result_id, r.is_error AS is_error, r.characters AS result_characters, r.exchange AS result_exchange,
      hex(r.node) AS result_node
      , c.text AS input, r.text AS result -- whole
    FROM blocks c
    LEFT JOIN blocks r ON r.tool_use_id = c.tool_use_id AND r.type LIKE '%tool_result' AND NOT EXISTS (
      SELECT 1 FROM blocks o WHERE o.tool_use_id = r.tool_use_id AND o.type = r.type
        AND (o.exchange < r.exchange OR (o.exchange = r.exchange AND o.node < r.node)))
    WHERE c.tool_use_id IS NOT NULL AND c.type IN ('tool_use', 'server_tool_use', 'mcp_tool_use') AND NOT EXISTS (
      SELECT 1 FROM blocks o WHERE o.tool_use_id = c.tool_use_id AND o.type = c.type
        AND (o.exchange < c.exchange OR (o.exchange = c.exchange AND o.node < c.node)))
  $$)
),
exchange AS (SELECT exchange_id, session_id, thread_id, model, started_at, ended_at, tool_durations FROM exchanges),
-- The client measures by name: what it says is one call's where the name was called once.
alone AS (
  SELECT exchange AS of_exchange, tool_name AS of_tool FROM pairs GROUP BY ALL HAVING count(*) = 1
)
SELECT
  c.tool_use_id, e.exchange_id, e.session_id, e.thread_id, e.ended_at AS called_at, e.model, c.tool_name,
  nullif(regexp_extract(c.tool_name, '^mcp__(.+?)__', 1), '') AS mcp_server,
  c.characters AS input_characters, c.result_characters,
  CASE WHEN c.result_id IS NOT NULL THEN coalesce(c.is_error, 0) <> 0 END AS is_error,
  c.result_id IS NOT NULL AS answered, x.exchange_id AS result_exchange_id,
  CASE WHEN x.exchange_id <> e.exchange_id THEN (epoch_us(x.started_at) - epoch_us(e.ended_at)) / 1000.0 END AS wire_ms,
  CASE WHEN of_exchange IS NOT NULL THEN try_cast(
    regexp_extract(x.tool_durations, '(?:^|;)' || regexp_escape(c.tool_name) || '=([0-9.]+)', 1) AS DOUBLE) END AS client_ms,
  c.node, c.result_node
  , c.input, c.result -- whole
FROM pairs c
LEFT JOIN exchange e ON e.exchange_id = c.exchange
LEFT JOIN exchange x ON x.exchange_id = c.result_exchange
LEFT JOIN alone ON of_exchange = c.exchange AND of_tool = c.tool_name
