-- What analysis asks of tools and compactions.

ALTER TABLE exchanges ADD COLUMN tool_durations text;  -- as the client measured the tools of the turn before: `Read=37;Bash=742`, in ms
ALTER TABLE exchanges ADD COLUMN compaction text;      -- auto | manual | reactive: what brought the client to have the history summarised

-- With the id, so that a page of a time span is found in the index alone.
DROP INDEX exchanges_by_start;
CREATE INDEX exchanges_by_start ON exchanges (started_at, id);

-- The exchange that brought a message: whose answer it is, else the first request that ended with it or below it.
ALTER TABLE blocks ADD COLUMN exchange text COLLATE "C";
CREATE TABLE carriers (node bytea PRIMARY KEY, exchange text COLLATE "C" NOT NULL);
INSERT INTO carriers SELECT reply, min(id) FROM exchanges WHERE reply IS NOT NULL GROUP BY reply;
INSERT INTO carriers SELECT tip, min(id) FROM exchanges WHERE tip IS NOT NULL GROUP BY tip ON CONFLICT DO NOTHING;
INSERT INTO carriers
  WITH RECURSIVE above (node, exchange) AS (
    SELECT n.parent, c.exchange FROM carriers c JOIN nodes n ON n.digest = c.node
      WHERE n.parent IS NOT NULL AND NOT EXISTS (SELECT 1 FROM carriers o WHERE o.node = n.parent)
    UNION SELECT n.parent, above.exchange FROM above JOIN nodes n ON n.digest = above.node
      WHERE n.parent IS NOT NULL AND NOT EXISTS (SELECT 1 FROM carriers o WHERE o.node = n.parent)
  ) SELECT node, min(exchange) FROM above GROUP BY node;
UPDATE blocks SET exchange = carriers.exchange FROM carriers WHERE carriers.node = blocks.node;
DROP TABLE carriers;

CREATE INDEX blocks_by_tool ON blocks (tool_use_id) WHERE tool_use_id IS NOT NULL;
