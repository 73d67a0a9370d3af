-- What routing leaves on record. `bodies` has a third side, `sent`: what went up where the request was translated into another
-- protocol, with the encoding `request`, zstd against the bytes of the request itself.

ALTER TABLE exchanges ADD COLUMN agent_name TEXT;  -- the subagent, as its definition or the mapping calls it
ALTER TABLE exchanges ADD COLUMN agent_sign TEXT;  -- what gave it away: spawn | definition | hint_header | system_prompt
ALTER TABLE exchanges ADD COLUMN endpoint TEXT;    -- scheme, host and path; null: where all that the client asks goes
ALTER TABLE exchanges ADD COLUMN losses TEXT;      -- JSON list of sentences: what could not be said in the other protocol

CREATE INDEX exchanges_by_agent_name ON exchanges (agent_name, id) WHERE agent_name IS NOT NULL;
