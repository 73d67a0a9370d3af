-- What analysis asks of tools and compactions.

ALTER TABLE exchanges ADD COLUMN tool_durations text;  -- as the client measured the tools of the turn before: `Read=37;Bash=742`, in ms
ALTER TABLE exchanges ADD COLUMN compaction text;      -- auto | manual | reactive: what brought the client to have the history summarised

CREATE INDEX blocks_by_tool ON blocks (tool_use_id) WHERE tool_use_id IS NOT NULL;
