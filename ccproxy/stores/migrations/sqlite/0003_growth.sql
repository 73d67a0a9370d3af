-- What analysis asks of tools and compactions, and a total that is known. Indexes for lists come when the store is large: sqlite/large.sql.

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

CREATE INDEX blocks_by_tool ON blocks (tool_use_id) WHERE tool_use_id IS NOT NULL;

-- How many exchanges there are: to count a million takes too long.
INSERT INTO settings SELECT 'exchanges', CAST(count(*) AS TEXT) FROM exchanges;
CREATE TRIGGER exchange_came AFTER INSERT ON exchanges BEGIN
  UPDATE settings SET value = CAST(value + 1 AS TEXT) WHERE key = 'exchanges';
END;
CREATE TRIGGER exchange_went AFTER DELETE ON exchanges BEGIN
  UPDATE settings SET value = CAST(value - 1 AS TEXT) WHERE key = 'exchanges';
END;
