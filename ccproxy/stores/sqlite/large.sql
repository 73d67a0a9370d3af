-- What a store of many exchanges needs, and a small one would only grow by: pages and totals of lists that are found in an index.
CREATE INDEX exchanges_by_start ON exchanges (started_at, id);
CREATE INDEX exchanges_by_model ON exchanges (routed_model, requested_model, id);
CREATE INDEX exchanges_by_status ON exchanges (status, id);
CREATE INDEX exchanges_by_agent ON exchanges (agent_id, kind, id);
CREATE INDEX exchanges_by_cwd ON exchanges (cwd, id);
CREATE INDEX exchanges_by_state ON exchanges (state);
CREATE INDEX exchanges_by_kind ON exchanges (kind);
CREATE INDEX exchanges_by_provider ON exchanges (provider);
-- Tool calls and their results, without the texts that stand between them.
CREATE INDEX blocks_of_tools ON blocks (tool_use_id, type, tool_name, is_error, characters, node, exchange) WHERE tool_use_id IS NOT NULL;
