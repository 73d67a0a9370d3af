-- A time line is three lists: microseconds since the event before, kinds as [kind, how many in a row], and bytes.
WITH lines AS (
  SELECT
    t.exchange, e.started_at, from_json(t.arrivals, '["BIGINT"]') AS gaps, from_json(t.sizes, '["BIGINT"]') AS sizes,
    flatten(list_transform(from_json(t.kinds, '[["VARCHAR"]]'),
      lambda run: list_transform(range(run[2]::BIGINT), lambda _: run[1]))) AS kinds
  FROM store.timelines t JOIN store.exchanges e ON e.id = t.exchange
),
single AS (
  SELECT
    exchange, started_at, unnest(range(len(gaps))) AS position, unnest(gaps) AS gap, unnest(kinds) AS kind, unnest(sizes) AS bytes
  FROM lines
),
timed AS (
  SELECT *, (sum(gap) OVER (PARTITION BY exchange ORDER BY position))::BIGINT AS passed FROM single
)
SELECT
  exchange AS exchange_id, position, make_timestamptz(started_at + passed) AS arrived_at, passed / 1000.0 AS at_ms,
  gap / 1000.0 AS gap_ms, kind, bytes
FROM timed
