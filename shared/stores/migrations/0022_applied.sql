-- Which events are stored, written in the transaction of their rows: those of ticks, gaps and stored
-- quotes. All other rows are idempotent by their keys. A day goes once no delivery of its events
-- can come any more.
DROP INDEX applied_tick_events;
DROP INDEX applied_not_aggregated;
ALTER TABLE applied_events RENAME TO applied_events_before;
ALTER TABLE applied_events_before RENAME CONSTRAINT applied_events_pkey TO applied_events_before_pkey;

CREATE TABLE applied_events (
    event_id   text   NOT NULL,
    day        date   NOT NULL,                  -- where it is stored: see 0020
    commit_id  bigint NOT NULL,                  -- of its segments
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, day)
) PARTITION BY RANGE (day);
CREATE TABLE applied_events_old PARTITION OF applied_events
    FOR VALUES FROM (MINVALUE) TO ('0001-01-02');
SELECT make_partitions('applied_events', -1, 3);

-- Stored tick events that are not known to be in the candles yet: a row for each shard of an event,
-- from its commit until candle-aggregate has it in the candles.
CREATE TABLE unaggregated (
    shard       smallint    NOT NULL,
    event_id    text        NOT NULL,
    commit_id   bigint      NOT NULL,
    stored_at   timestamptz NOT NULL DEFAULT now(),
    received_us bigint      NOT NULL,            -- its newest receive time
    first_us    bigint      NOT NULL,            -- event times of its ticks in this shard
    last_us     bigint      NOT NULL,
    PRIMARY KEY (shard, event_id)
);
CREATE INDEX unaggregated_by_age ON unaggregated (shard, stored_at);
CREATE INDEX unaggregated_of_event ON unaggregated (event_id);

-- When an instrument had its last tick (event time; a minute before it at most) and when one was
-- stored.
ALTER TABLE first_ticks
    ADD COLUMN last_time_us bigint,
    ADD COLUMN stored_at timestamptz NOT NULL DEFAULT now();
UPDATE first_ticks SET last_time_us = greatest(first_time_us, (
    SELECT max(last_time_us) FROM tick_segments_before AS s
    WHERE s.instrument = first_ticks.instrument));
ALTER TABLE first_ticks ALTER COLUMN last_time_us SET NOT NULL;
CREATE INDEX first_ticks_unused ON first_ticks (stored_at);

-- Stored quotes: their partitions are made ahead as well.
INSERT INTO partition_days (parent, day)
    SELECT 'quote_segments', to_date(right(c.relname, 8), 'YYYYMMDD')
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'quote_segments'::regclass;
CREATE TABLE quote_segments_old PARTITION OF quote_segments
    FOR VALUES FROM (MINVALUE) TO ('0001-01-02');
SELECT make_partitions('quote_segments', -1, 3);

CREATE OR REPLACE VIEW quotes AS
SELECT s.instrument,
       q.event_time_us,
       timestamptz 'epoch' + q.event_time_us * interval '1 microsecond' AS event_time,
       trim_scale(q.bid * ('1e-' || s.price_scale)::numeric) AS bid,
       trim_scale(q.ask * ('1e-' || s.price_scale)::numeric) AS ask,
       CASE WHEN q.bid_size >= 0
           THEN trim_scale(q.bid_size * ('1e-' || s.size_scale)::numeric) END AS bid_size,
       CASE WHEN q.ask_size >= 0
           THEN trim_scale(q.ask_size * ('1e-' || s.size_scale)::numeric) END AS ask_size,
       nullif(q.update_id, -1) AS update_id,
       q.receive_time_us,
       s.source,
       q.sequence,
       s.event_id,
       (timestamp 'epoch' + q.event_time_us * interval '1 microsecond')::date AS day
FROM quote_segments s
CROSS JOIN LATERAL unnest(
    s.event_time_us, s.bid, s.ask, s.bid_size, s.ask_size, s.update_id, s.receive_time_us, s.sequence
) AS q (event_time_us, bid, ask, bid_size, ask_size, update_id, receive_time_us, sequence);
