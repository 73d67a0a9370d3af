-- The tables of SQLite's store under their names (see ../sqlite): a conversation is a tree, a request is a pointer into it. Times
-- are microseconds since 1970 (UTC), durations milliseconds. What is sorted sorts by its bytes, as in SQLite and on every server.

CREATE TABLE settings (
  key text COLLATE "C" PRIMARY KEY,
  value text NOT NULL
);

CREATE TABLE journal_positions (
  writer text COLLATE "C" PRIMARY KEY,
  segment bigint NOT NULL,
  "offset" bigint NOT NULL
);

CREATE TABLE writers (
  writer text COLLATE "C" PRIMARY KEY,
  journal text COLLATE "C" NOT NULL             -- the journal, that is the machine, in whose folder it writes
);

CREATE TABLE exchanges (
  id text COLLATE "C" PRIMARY KEY,              -- UUIDv7: sorts by time
  writer text COLLATE "C" NOT NULL,             -- the journal writer, that is the proxy worker
  state text NOT NULL,                          -- open | complete | failed | client_left | interrupted
  started_at bigint NOT NULL,
  ended_at bigint,
  method text NOT NULL,
  path text NOT NULL,
  query text NOT NULL,
  client_address text,
  status bigint,
  error text,                                   -- a sentence
  error_kind text,                              -- a short word
  api_error text,                               -- the provider's own error type
  capture_note text,                            -- what of the record is missing or could not be understood, and why
  provider text NOT NULL,
  kind text NOT NULL,                           -- main | subagent | title | rename | compaction | count_tokens | classifier | probe | …
  kind_sign text,                               -- which sign on the wire decided it
  requested_model text COLLATE "C",
  routed_model text COLLATE "C",                -- the model that the request went up with
  response_model text COLLATE "C",              -- the model that the answer names
  stream bigint NOT NULL,                       -- 0 | 1: asked for as a stream
  max_tokens bigint,
  effort text,
  thinking text,
  session_id text COLLATE "C",
  agent_id text COLLATE "C",                    -- null: the main conversation
  parent_agent_id text COLLATE "C",
  agent_type text,
  prompt_id text,
  client text,
  client_version text,
  entrypoint text,
  user_agent text,
  account_id text,
  device_id text,
  cwd text COLLATE "C",
  retry_count bigint,                           -- as the client says: 0 for the first attempt
  billing_line text,                            -- the system block that changes with each conversation, as it stood
  request_id text,                              -- the provider's
  message_id text,
  stop_reason text,
  stop_sequence text,
  input_tokens bigint,
  output_tokens bigint,
  cache_read_tokens bigint,
  cache_write_tokens bigint,
  cache_write_5m_tokens bigint,
  cache_write_1h_tokens bigint,
  web_searches bigint,
  usage text,                                   -- all of it, merged, as JSON
  head_ms double precision,                     -- all from the start of the request: head of the answer,
  first_byte_ms double precision,               -- first byte of its body,
  first_token_ms double precision,              -- first piece of content,
  duration_ms double precision,                 -- end
  gap_p50_ms double precision,                  -- between pieces of content
  gap_p99_ms double precision,
  gap_max_ms double precision,
  tokens_per_second double precision,           -- output tokens over the time from first to last piece of content
  events bigint,
  request_bytes bigint NOT NULL,
  response_bytes bigint NOT NULL,
  tip bytea,                                    -- node: the request's last message
  reply bytea,                                  -- node: the answer, below the tip
  preamble bytea,
  attempts text,                                -- JSON list of what was tried in vain before: kind, error, status, wait_ms
  demoted bigint                                -- 1: one message was asked for, and a stream was asked for in its place
);
CREATE INDEX exchanges_by_start ON exchanges (started_at);
CREATE INDEX exchanges_by_session ON exchanges (session_id, started_at);
CREATE INDEX exchanges_by_tip ON exchanges (tip, id) WHERE tip IS NOT NULL;
CREATE INDEX exchanges_by_reply ON exchanges (reply, id) WHERE reply IS NOT NULL;
CREATE INDEX exchanges_by_preamble ON exchanges (preamble) WHERE preamble IS NOT NULL;
CREATE INDEX exchanges_open ON exchanges (writer) WHERE state = 'open';
CREATE INDEX exchanges_by_end ON exchanges (reverse(right(id, 12)));
-- What lists are filtered by. Few values, so each takes 7 MB for a million rows, and rows are counted without a look at them.
CREATE INDEX exchanges_by_state ON exchanges (state);
CREATE INDEX exchanges_by_status ON exchanges (status);
CREATE INDEX exchanges_by_kind ON exchanges (kind);
CREATE INDEX exchanges_by_agent ON exchanges (agent_id, kind);
CREATE INDEX exchanges_by_provider ON exchanges (provider);
CREATE INDEX exchanges_by_model ON exchanges (requested_model, routed_model);
CREATE INDEX exchanges_by_routed_model ON exchanges (routed_model);
CREATE INDEX exchanges_by_cwd ON exchanges (cwd);

CREATE TABLE blobs (
  digest bytea PRIMARY KEY,
  encoding text NOT NULL,                       -- raw | zstd
  data bytea NOT NULL,                          -- JSON text as first seen
  size bigint NOT NULL                          -- bytes of that text
);

CREATE TABLE nodes (
  digest bytea PRIMARY KEY,
  parent bytea,
  role text NOT NULL,
  depth bigint NOT NULL,
  message bytea NOT NULL                        -- blob
);
CREATE INDEX nodes_by_parent ON nodes (parent) WHERE parent IS NOT NULL;
CREATE INDEX nodes_by_message ON nodes (message);

CREATE TABLE blocks (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  node bytea NOT NULL,
  position bigint NOT NULL,
  type text NOT NULL,
  tool_name text,
  tool_use_id text,
  is_error bigint,
  characters bigint NOT NULL,
  text text
);
CREATE UNIQUE INDEX blocks_by_node ON blocks (node, position);

-- The words of a block, in order and one space apart, as SQLite's full-text index finds them (stores/words.py): a block has a
-- word where the array has it, and words in a row where they are a piece of the text. PostgreSQL's own parser takes paths,
-- addresses and hyphens in another way, and a tsvector knows no place beyond the 16,383rd.
CREATE TABLE block_search (
  id bigint PRIMARY KEY,                        -- block
  words text COLLATE "C" NOT NULL
);
CREATE INDEX block_search_words ON block_search USING gin (string_to_array(words, ' ')) WITH (gin_pending_list_limit = 8192); -- kB

CREATE TABLE preambles (
  digest bytea PRIMARY KEY,
  system_parts bigint NOT NULL,
  tools bigint NOT NULL
);

CREATE TABLE preamble_parts (
  preamble bytea NOT NULL,
  position bigint NOT NULL,
  kind text NOT NULL,                           -- system | tool
  name text,
  part bytea NOT NULL,                          -- blob
  PRIMARY KEY (preamble, position)
);
CREATE INDEX preamble_parts_by_part ON preamble_parts (part);

CREATE TABLE bodies (
  exchange text COLLATE "C" NOT NULL,
  side text NOT NULL,                           -- request | response
  encoding text NOT NULL,                       -- raw | zstd | parts: against the request's parts | reply: zstd against the answer's
  data bytea NOT NULL,
  size bigint NOT NULL,                         -- bytes on the wire
  PRIMARY KEY (exchange, side)
);

CREATE TABLE headers (
  exchange text COLLATE "C" NOT NULL,
  side text NOT NULL,
  template bytea NOT NULL,                      -- blob: the list as JSON, null where a value of its own stands
  "values" text NOT NULL,                       -- those values, a JSON list
  PRIMARY KEY (exchange, side)
);
CREATE INDEX headers_by_template ON headers (template);

CREATE TABLE timelines (
  exchange text COLLATE "C" PRIMARY KEY,
  arrivals text NOT NULL,                       -- JSON list: microseconds after the event before, the first after started_at
  kinds text NOT NULL,                          -- JSON list of [kind, how many in a row]
  sizes text NOT NULL                           -- JSON list: bytes of data
);

CREATE TABLE deleted (
  exchange text COLLATE "C" PRIMARY KEY,
  writer text COLLATE "C" NOT NULL              -- until its journal is gone, a frame could bring the exchange back
);

CREATE TABLE unswept (
  kind text NOT NULL,                           -- node | preamble | blob
  digest bytea NOT NULL,                        -- what a deletion let go of: the next sweep looks whether others point to it
  PRIMARY KEY (kind, digest)
);

CREATE TABLE tallies (
  journal text COLLATE "C" PRIMARY KEY,         -- whose ingest keeps this line, so that no two wait for each other
  exchanges bigint NOT NULL,                    -- written less deleted: the sum over all lines is what there is
  bytes bigint NOT NULL                         -- likewise, as stores/postgres/weights.py weighs rows
) WITH (fillfactor = 50);

-- Rows are written once or twice and read by index: what is new is to be known to all scans soon.
ALTER TABLE exchanges SET (
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05
);
ALTER TABLE block_search SET (autovacuum_vacuum_insert_scale_factor = 0.05);

-- What is packed already is stored as it is.
ALTER TABLE blobs ALTER COLUMN data SET STORAGE EXTERNAL;
ALTER TABLE bodies ALTER COLUMN data SET STORAGE EXTERNAL;

-- A faster packing of long texts, where the server knows it.
DO $$
BEGIN
  ALTER TABLE blocks ALTER COLUMN text SET COMPRESSION lz4;
  ALTER TABLE block_search ALTER COLUMN words SET COMPRESSION lz4;
  ALTER TABLE timelines ALTER COLUMN arrivals SET COMPRESSION lz4, ALTER COLUMN sizes SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
  NULL;
END
$$;
