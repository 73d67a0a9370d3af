-- What lists of a million rows need: totals and pages that are found in an index. And what analysis asks of tools and compactions.

ALTER TABLE exchanges ADD COLUMN tool_durations TEXT;  -- as the client measured the tools of the turn before: `Read=37;Bash=742`, in ms
ALTER TABLE exchanges ADD COLUMN compaction TEXT;      -- auto | manual | reactive: what brought the client to have the history summarised

-- The exchange that brought a message: whose answer it is, else the first request that ended with it or below it.
ALTER TABLE blocks ADD COLUMN exchange TEXT;
CREATE TABLE carriers (node BLOB PRIMARY KEY, exchange TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO carriers SELECT reply, min(id) FROM exchanges WHERE reply IS NOT NULL GROUP BY reply;
INSERT OR IGNORE INTO carriers SELECT tip, min(id) FROM exchanges WHERE tip IS NOT NULL GROUP BY tip;
INSERT OR IGNORE INTO carriers
  WITH RECURSIVE above (node, exchange) AS (
    SELECT n.parent, c.exchange FROM carriers c JOIN nodes n ON n.digest = c.node
      WHERE n.parent IS NOT NULL AND NOT EXISTS (SELECT 1 FROM carriers o WHERE o.node = n.parent)
    UNION SELECT n.parent, above.exchange FROM above JOIN nodes n ON n.digest = above.node
      WHERE n.parent IS NOT NULL AND NOT EXISTS (SELECT 1 FROM carriers o WHERE o.node = n.parent)
  ) SELECT node, min(exchange) FROM above GROUP BY node;
UPDATE blocks SET exchange = (SELECT exchange FROM carriers WHERE carriers.node = blocks.node);
DROP TABLE carriers;

CREATE INDEX exchanges_by_start ON exchanges (started_at, id);
CREATE INDEX exchanges_by_model ON exchanges (routed_model, requested_model, id);
CREATE INDEX exchanges_by_status ON exchanges (status, id);
CREATE INDEX exchanges_by_agent ON exchanges (agent_id, kind, id);
CREATE INDEX exchanges_by_cwd ON exchanges (cwd, id);
CREATE INDEX exchanges_by_state ON exchanges (state);
CREATE INDEX exchanges_by_kind ON exchanges (kind);
CREATE INDEX exchanges_by_provider ON exchanges (provider);

-- Tool calls and their results, without the texts that stand between them.
CREATE INDEX blocks_by_tool ON blocks (tool_use_id, type, tool_name, is_error, characters, node, exchange) WHERE tool_use_id IS NOT NULL;

CREATE TABLE tallies (
  exchanges INTEGER NOT NULL         -- how many there are: to count a million takes too long
) STRICT;
INSERT INTO tallies SELECT count(*) FROM exchanges;
CREATE TRIGGER exchange_came AFTER INSERT ON exchanges BEGIN
  UPDATE tallies SET exchanges = exchanges + 1;
END;
CREATE TRIGGER exchange_went AFTER DELETE ON exchanges BEGIN
  UPDATE tallies SET exchanges = exchanges - 1;
END;
