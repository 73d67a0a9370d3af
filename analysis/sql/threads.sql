-- An agent was started by the call whose result names its id, else by the one whose prompt is its first message.
WITH RECURSIVE runs AS MATERIALIZED (
  SELECT
    thread_id, any_value(session_id) AS session_id, any_value(agent_id) AS agent_id, min_by(agent_type, started_at) AS agent_type,
    min_by(agent_name, started_at) AS agent_name,
    min_by(parent_agent_id, started_at) AS parent_agent_id, bool_or(kind = 'subagent') OR any_value(agent_id) IS NOT NULL AS is_agent,
    min(started_at) AS started_at, max(coalesce(ended_at, started_at)) AS ended_at,
    coalesce(sum(duration_ms), 0) AS model_ms, count(*) FILTER (WHERE kind <> 'compaction') AS turns, {sums}
  FROM exchanges WHERE thread_id IS NOT NULL GROUP BY thread_id
),
calls AS MATERIALIZED (
  SELECT
    c.tool_use_id, e.session_id, e.thread_id, e.started_at,
    CASE WHEN json_valid(c.text) THEN json_extract_string(c.text, '$.prompt') END AS prompt,
    CASE WHEN json_valid(c.text) THEN json_extract_string(c.text, '$.subagent_type') END AS agent
  FROM ask($$
    SELECT tool_use_id, exchange, text FROM blocks
    WHERE tool_use_id IS NOT NULL AND type = 'tool_use' AND tool_name IN ('Agent', 'Task')
  $$) c
  JOIN exchanges e ON e.exchange_id = c.exchange
  QUALIFY row_number() OVER (PARTITION BY c.tool_use_id ORDER BY e.exchange_id) = 1
),
named AS (
  SELECT tool_use_id, nullif(regexp_extract(text, 'agentId: ?([0-9A-Za-z_-]+)', 1), '') AS agent_id
  FROM ask($$
    SELECT tool_use_id, text FROM blocks WHERE type = 'tool_result' AND tool_use_id IN (
      SELECT tool_use_id FROM blocks WHERE tool_use_id IS NOT NULL AND type = 'tool_use' AND tool_name IN ('Agent', 'Task'))
  $$)
),
said AS (
  SELECT DISTINCT e.session_id, e.thread_id, p.text
  FROM ask($$
    WITH RECURSIVE first (id, tip) AS (
      SELECT id, tip FROM exchanges WHERE (agent_id IS NULL AND kind = 'subagent')
        OR id IN (SELECT min(id) FROM exchanges WHERE agent_id IS NOT NULL GROUP BY session_id, agent_id)
    ),
    above (id, node, parent) AS (
      SELECT first.id, n.digest, n.parent FROM first JOIN nodes n ON n.digest = first.tip
      UNION ALL SELECT above.id, n.digest, n.parent FROM above JOIN nodes n ON n.digest = above.parent
    )
    SELECT above.id AS id, b.text AS text FROM above JOIN blocks b ON b.node = above.node
    WHERE above.parent IS NULL AND b.type = 'text'
  $$) p
  JOIN exchanges e ON e.exchange_id = p.id
),
by_result AS (
  SELECT r.thread_id, c.tool_use_id, c.thread_id AS parent, c.agent
  FROM runs r
  JOIN named n ON n.agent_id = r.agent_id
  JOIN calls c ON c.tool_use_id = n.tool_use_id AND c.session_id = r.session_id
  QUALIFY row_number() OVER (PARTITION BY r.thread_id ORDER BY c.started_at) = 1
),
-- Several agents may be given the same prompt: then the first call started the first of them.
asked AS (
  SELECT
    r.thread_id, r.session_id, s.text,
    row_number() OVER (PARTITION BY r.session_id, s.text ORDER BY r.started_at, r.thread_id) AS number
  FROM runs r JOIN said s ON s.thread_id = r.thread_id
  WHERE r.is_agent AND r.thread_id NOT IN (SELECT thread_id FROM by_result)
),
asking AS (
  SELECT *, row_number() OVER (PARTITION BY session_id, prompt ORDER BY started_at, tool_use_id) AS number
  FROM calls WHERE tool_use_id NOT IN (SELECT tool_use_id FROM by_result)
),
by_prompt AS (
  SELECT a.thread_id, c.tool_use_id, c.thread_id AS parent, c.agent
  FROM asked a JOIN asking c ON c.session_id = a.session_id AND c.prompt = a.text AND c.number = a.number
  QUALIFY row_number() OVER (PARTITION BY a.thread_id ORDER BY c.tool_use_id) = 1
),
spawned AS (SELECT * FROM by_result UNION ALL SELECT * FROM by_prompt),
placed AS MATERIALIZED (
  SELECT
    r.*, s.tool_use_id AS spawn_tool_use_id,
    CASE WHEN r.is_agent THEN coalesce(
      CASE WHEN r.parent_agent_id IS NOT NULL THEN r.session_id || '/' || r.parent_agent_id END,
      s.parent, r.session_id || '/main') END AS parent_thread_id,
    CASE WHEN r.is_agent THEN coalesce(r.agent_name, s.agent, r.agent_type, 'subagent') ELSE 'main' END AS agent
  FROM runs r LEFT JOIN spawned s ON s.thread_id = r.thread_id
),
tree (thread_id, depth) AS (
  SELECT thread_id, 0 FROM placed WHERE NOT is_agent
  UNION SELECT p.thread_id, tree.depth + 1 FROM placed p JOIN tree ON p.parent_thread_id = tree.thread_id WHERE tree.depth < 20
),
deep AS (SELECT thread_id AS found, min(depth) AS depth FROM tree GROUP BY thread_id)
SELECT {columns}
FROM (SELECT placed.*, coalesce(deep.depth, is_agent::INTEGER)::BIGINT AS depth FROM placed LEFT JOIN deep ON found = thread_id)
