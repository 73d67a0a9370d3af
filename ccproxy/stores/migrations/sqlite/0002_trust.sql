-- What operations need to know: attempts, demotion, and exchanges that were deleted while their journal was still there.

ALTER TABLE exchanges ADD COLUMN attempts TEXT;    -- JSON list of what was tried in vain before: kind, error, status, wait_ms
ALTER TABLE exchanges ADD COLUMN demoted INTEGER;  -- 1: one message was asked for, and a stream was asked for in its place

CREATE TABLE deleted (
  exchange TEXT PRIMARY KEY,
  writer TEXT NOT NULL               -- until its journal is gone, a frame could bring the exchange back
) STRICT, WITHOUT ROWID;

CREATE INDEX nodes_by_parent ON nodes (parent);
