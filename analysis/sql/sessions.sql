WITH figures AS (
  SELECT
    session_id, min(started_at) AS started_at, max(coalesce(ended_at, started_at)) AS ended_at,
    count(DISTINCT thread_id) FILTER (WHERE agent_id IS NOT NULL OR kind = 'subagent') AS agents,
    min_by(cwd, started_at) AS cwd, min_by(project, started_at) AS project,
    max_by(client_version, started_at) AS client_version, count(*) FILTER (WHERE kind = 'main') AS turns, {sums}
  FROM exchanges WHERE session_id IS NOT NULL GROUP BY session_id
),
named AS (
  SELECT session_id AS named_session, max_by(text, id) AS named
  FROM ask($$
    SELECT e.session_id AS session_id, e.id AS id, b.text AS text
    FROM exchanges e JOIN blocks b ON b.node = e.reply WHERE e.kind = 'title' AND b.type = 'text'
  $$) GROUP BY session_id
),
-- The first texts of the conversation that a session began with; from session to session along the index.
said AS (
  SELECT session_id AS said_session, list(text ORDER BY depth::BIGINT, position::BIGINT) AS texts
  FROM ask($$
    WITH RECURSIVE session (id) AS (
      SELECT min(session_id) FROM exchanges
      UNION ALL SELECT (SELECT min(session_id) FROM exchanges WHERE session_id > session.id) FROM session WHERE id IS NOT NULL
    ),
    first (id, tip) AS (
      SELECT session.id, (
        SELECT tip FROM exchanges e WHERE e.session_id = session.id AND tip IS NOT NULL AND kind = 'main' ORDER BY started_at LIMIT 1)
      FROM session WHERE session.id IS NOT NULL
    ),
    above (id, node, parent, role, depth) AS (
      SELECT first.id, n.digest, n.parent, n.role, n.depth FROM first JOIN nodes n ON n.digest = first.tip
      UNION ALL SELECT above.id, n.digest, n.parent, n.role, n.depth FROM above JOIN nodes n ON n.digest = above.parent
    )
    SELECT above.id AS session_id, above.depth AS depth, b.position AS position, b.text AS text
    FROM above JOIN blocks b ON b.node = above.node WHERE above.role = 'user' AND b.type = 'text' AND above.depth < 20
  $$) GROUP BY session_id
)
SELECT {columns}
FROM (
  SELECT figures.*, title_of(named, texts) AS title
  FROM figures LEFT JOIN named ON named_session = session_id LEFT JOIN said ON said_session = session_id
)
