-- Agents of clients that give them no id are told apart by the first message of their conversation.
SELECT {columns}
FROM store.exchanges e
LEFT JOIN ask($$
  WITH RECURSIVE above (id, node, parent) AS (
    SELECT e.id, n.digest, n.parent FROM exchanges e JOIN nodes n ON n.digest = e.tip
      WHERE e.agent_id IS NULL AND e.kind = 'subagent'
    UNION ALL SELECT above.id, n.digest, n.parent FROM above JOIN nodes n ON n.digest = above.parent
  ) SELECT id AS rooted, hex(node) AS root FROM above WHERE parent IS NULL
$$) ON rooted = e.id
