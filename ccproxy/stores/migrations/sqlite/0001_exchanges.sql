-- A conversation is a tree, a request is a pointer into it. Times are microseconds since 1970 (UTC), durations milliseconds.

CREATE TABLE settings (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE journal_positions (
  writer TEXT PRIMARY KEY,
  segment INTEGER NOT NULL,
  "offset" INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE exchanges (
  id TEXT PRIMARY KEY,               -- UUIDv7: sorts by time
  writer TEXT NOT NULL,              -- the journal writer, that is the proxy worker
  state TEXT NOT NULL,               -- open | complete | failed | client_left | interrupted
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  query TEXT NOT NULL,
  client_address TEXT,
  status INTEGER,
  error TEXT,                        -- a sentence
  error_kind TEXT,                   -- a short word
  api_error TEXT,                    -- the provider's own error type
  capture_note TEXT,                 -- what of the record is missing or could not be understood, and why
  provider TEXT NOT NULL,
  kind TEXT NOT NULL,                -- main | subagent | title | rename | compaction | count_tokens | classifier | probe | auxiliary | other
  kind_sign TEXT,                    -- which sign on the wire decided it
  requested_model TEXT,
  routed_model TEXT,                 -- the model that the request went up with
  response_model TEXT,               -- the model that the answer names
  stream INTEGER NOT NULL,           -- 0 | 1: asked for as a stream
  max_tokens INTEGER,
  effort TEXT,
  thinking TEXT,
  session_id TEXT,
  agent_id TEXT,                     -- null: the main conversation
  parent_agent_id TEXT,
  agent_type TEXT,
  prompt_id TEXT,
  client TEXT,
  client_version TEXT,
  entrypoint TEXT,
  user_agent TEXT,
  account_id TEXT,
  device_id TEXT,
  cwd TEXT,
  retry_count INTEGER,               -- as the client says: 0 for the first attempt
  billing_line TEXT,                 -- the system block that changes with each conversation, as it stood
  request_id TEXT,                   -- the provider's
  message_id TEXT,
  stop_reason TEXT,
  stop_sequence TEXT,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cache_read_tokens INTEGER,
  cache_write_tokens INTEGER,
  cache_write_5m_tokens INTEGER,
  cache_write_1h_tokens INTEGER,
  web_searches INTEGER,
  usage TEXT,                        -- all of it, merged, as JSON
  head_ms REAL,                      -- all from the start of the request: head of the answer,
  first_byte_ms REAL,                -- first byte of its body,
  first_token_ms REAL,               -- first piece of content,
  duration_ms REAL,                  -- end
  gap_p50_ms REAL,                   -- between pieces of content
  gap_p99_ms REAL,
  gap_max_ms REAL,
  tokens_per_second REAL,            -- output tokens over the time from first to last piece of content
  events INTEGER,
  request_bytes INTEGER NOT NULL,
  response_bytes INTEGER NOT NULL,
  tip BLOB,                          -- node: the request's last message
  reply BLOB,                        -- node: the answer, below the tip
  preamble BLOB
) STRICT;                           -- rows of a kilobyte: in a WITHOUT ROWID table each would take a page
CREATE INDEX exchanges_by_session ON exchanges (session_id, started_at);
CREATE INDEX exchanges_by_tip ON exchanges (tip);
CREATE INDEX exchanges_by_reply ON exchanges (reply) WHERE reply IS NOT NULL;
CREATE INDEX exchanges_open ON exchanges (writer) WHERE state = 'open';

-- With a rowid: such a table keeps 4 KB in a page where one without sends all above 1 KB to pages of its own.
CREATE TABLE blobs (
  id INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE,
  encoding TEXT NOT NULL,            -- raw | zstd
  data BLOB NOT NULL,                -- JSON text as first seen
  size INTEGER NOT NULL              -- bytes of that text
) STRICT;

CREATE TABLE nodes (
  digest BLOB PRIMARY KEY,
  parent BLOB,
  role TEXT NOT NULL,
  depth INTEGER NOT NULL,
  message BLOB NOT NULL              -- blob
) STRICT, WITHOUT ROWID;

CREATE TABLE blocks (
  id INTEGER PRIMARY KEY,
  node BLOB NOT NULL,
  position INTEGER NOT NULL,
  type TEXT NOT NULL,
  tool_name TEXT,
  tool_use_id TEXT,
  is_error INTEGER,
  characters INTEGER NOT NULL,
  text TEXT
) STRICT;
CREATE UNIQUE INDEX blocks_by_node ON blocks (node, position);

CREATE VIRTUAL TABLE block_search USING fts5 (
  text, tool_name, content = 'blocks', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);

CREATE TABLE preambles (
  digest BLOB PRIMARY KEY,
  system_parts INTEGER NOT NULL,
  tools INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE preamble_parts (
  preamble BLOB NOT NULL,
  position INTEGER NOT NULL,
  kind TEXT NOT NULL,                -- system | tool
  name TEXT,
  part BLOB NOT NULL,                -- blob
  PRIMARY KEY (preamble, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE bodies (
  exchange TEXT NOT NULL,
  side TEXT NOT NULL,                -- request | response
  encoding TEXT NOT NULL,            -- raw | zstd | parts: against the request's parts | reply: zstd against the answer's
  data BLOB NOT NULL,
  size INTEGER NOT NULL,             -- bytes on the wire
  PRIMARY KEY (exchange, side)
) STRICT;

CREATE TABLE headers (
  exchange TEXT NOT NULL,
  side TEXT NOT NULL,
  template BLOB NOT NULL,            -- blob: the list as JSON, null where a value of its own stands
  "values" TEXT NOT NULL,            -- those values, a JSON list
  PRIMARY KEY (exchange, side)
) STRICT, WITHOUT ROWID;

CREATE TABLE timelines (
  exchange TEXT PRIMARY KEY,
  arrivals TEXT NOT NULL,            -- JSON list: microseconds after the event before, the first after started_at
  kinds TEXT NOT NULL,               -- JSON list of [kind, how many in a row]
  sizes TEXT NOT NULL                -- JSON list: bytes of data
) STRICT, WITHOUT ROWID;
