-- What lists of a million rows need: totals and pages that are found in an index. And what analysis asks of tools and compactions.

ALTER TABLE exchanges ADD COLUMN tool_durations TEXT;  -- as the client measured the tools of the turn before: `Read=37;Bash=742`, in ms
ALTER TABLE exchanges ADD COLUMN compaction TEXT;      -- auto | manual | reactive: what brought the client to have the history summarised

CREATE INDEX exchanges_by_start ON exchanges (started_at, id);
CREATE INDEX exchanges_by_model ON exchanges (routed_model, requested_model, id);
CREATE INDEX exchanges_by_status ON exchanges (status, id);
CREATE INDEX exchanges_by_agent ON exchanges (agent_id, kind, id);
CREATE INDEX exchanges_by_cwd ON exchanges (cwd, id);
CREATE INDEX exchanges_by_state ON exchanges (state);
CREATE INDEX exchanges_by_kind ON exchanges (kind);
CREATE INDEX exchanges_by_provider ON exchanges (provider);

-- Tool calls and their results, without the texts that stand between them.
CREATE INDEX blocks_by_tool ON blocks (tool_use_id, type, tool_name, is_error, characters, node) WHERE tool_use_id IS NOT NULL;

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
