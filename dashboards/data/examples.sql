-- Tokens by model
SELECT model, count(1) AS exchanges, sum(input_tokens) AS input, sum(cache_read_tokens) AS cache_read,
       sum(cache_write_tokens) AS cache_write, sum(output_tokens) AS output
FROM exchanges
GROUP BY model
ORDER BY output DESC

-- Exchanges by hour
SELECT date_trunc('hour', started_at) AS hour, kind, count(1) AS exchanges
FROM exchanges
GROUP BY hour, kind
ORDER BY hour

-- Share of the input that came from the cache, by day
SELECT date_trunc('day', started_at) AS day,
       sum(cache_read_tokens) / sum(context_tokens) AS from_cache
FROM exchanges
WHERE context_tokens > 0
GROUP BY day
ORDER BY day

-- Tools: calls, errors, what their results weigh
SELECT tool_name, count(1) AS calls, count(1) FILTER (WHERE is_error) AS errors,
       median(wire_ms) AS median_ms, sum(result_characters) AS characters
FROM tool_calls
GROUP BY tool_name
ORDER BY characters DESC

-- The largest results of tools
SELECT called_at, tool_name, result_characters, left(input, 120) AS input, session_id, exchange_id
FROM tool_calls
ORDER BY result_characters DESC NULLS LAST
LIMIT 50

-- How a context grows
SELECT started_at, thread_id, context_tokens
FROM exchanges
WHERE session_id = (SELECT session_id FROM sessions ORDER BY exchanges DESC LIMIT 1) AND kind IN ('main', 'subagent')
ORDER BY started_at

-- What tools and system blocks weigh
SELECT kind, coalesce(name, 'system block ' || position) AS part, max(bytes) AS bytes, count(DISTINCT part) AS versions
FROM prompt_parts
GROUP BY ALL
ORDER BY bytes DESC

-- What went wrong
SELECT started_at, model, status, state, error_kind, api_error, error, exchange_id
FROM exchanges
WHERE state IN ('failed', 'interrupted') OR status >= 400 OR api_error IS NOT NULL
ORDER BY started_at DESC

-- Agents, and who answered them
SELECT coalesce(agent_name, agent_type, agent_id) AS agent, provider, requested_model, routed_model, routed,
       count(1) AS exchanges, sum(context_tokens) AS input, sum(output_tokens) AS output
FROM exchanges
WHERE kind = 'subagent'
GROUP BY ALL
ORDER BY exchanges DESC
