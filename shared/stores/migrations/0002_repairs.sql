-- Which of the applied events are ticks, of which shard, and whether they are known to be in the
-- candles. candle-aggregate holds them against its markers: a marker may expire once this says it.
ALTER TABLE applied_events
    ADD COLUMN shard smallint,                          -- NULL: no tick event
    ADD COLUMN aggregated boolean NOT NULL DEFAULT false;
CREATE INDEX applied_tick_events ON applied_events (shard, applied_at) WHERE shard IS NOT NULL;
CREATE INDEX applied_not_aggregated ON applied_events (shard)
    WHERE shard IS NOT NULL AND NOT aggregated;

-- Candles that ticks came for after they had left the live state: to be recomputed from ticks.
CREATE TABLE repairs (
    instrument   text   NOT NULL,
    timeframe    text   NOT NULL,
    start_us     bigint NOT NULL,
    event_id     text   NOT NULL,                -- whose ticks must be stored first
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (instrument, timeframe, start_us, event_id)
);
