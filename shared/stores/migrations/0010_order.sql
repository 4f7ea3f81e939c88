-- A source in order keys: a signed 64-bit digest (shared/order.py).
CREATE FUNCTION source_key(source text) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN ('x' || left(md5(source), 16))::bit(64)::bigint;

ALTER TABLE tick_segments
    ALTER COLUMN price DROP NOT NULL,            -- NULL: see price_wide
    ALTER COLUMN size DROP NOT NULL,             -- NULL: see size_wide
    ADD COLUMN price_wide numeric[],             -- mantissas, where one is beyond 64 bits
    ADD COLUMN size_wide numeric[],
    ADD COLUMN flags smallint[],                 -- NULL: no tick has one; bits of TickFlag
    ADD COLUMN venue text NOT NULL DEFAULT '';   -- part of a trade's identity; '': the feed has none

-- Which shards' candles an event of ticks is not known to be in; NULL: no tick event.
ALTER TABLE applied_events ADD COLUMN shards smallint[];
UPDATE applied_events SET shards = CASE WHEN aggregated THEN '{}' ELSE ARRAY[shard] END
    WHERE shard IS NOT NULL;
ALTER TABLE applied_events DROP COLUMN shard, DROP COLUMN aggregated;
CREATE INDEX applied_tick_events ON applied_events (applied_at) WHERE shards IS NOT NULL;
CREATE INDEX applied_not_aggregated ON applied_events (applied_at) WHERE cardinality(shards) > 0;

DROP VIEW ticks;
DROP VIEW ticks_raw;

-- Every stored tick as a plain row, repetitions included. The total order of an instrument's ticks is
-- (event_time_us, order_id, receive_time_us, source_key, sequence).
CREATE VIEW ticks_raw AS
SELECT s.instrument,
       t.event_time_us,
       timestamptz 'epoch' + t.event_time_us * interval '1 microsecond' AS event_time,
       trim_scale(coalesce(t.price, t.price_wide) * ('1e-' || s.price_scale)::numeric) AS price,
       trim_scale(coalesce(t.size, t.size_wide) * ('1e-' || s.size_scale)::numeric) AS size,
       CASE t.side WHEN 1 THEN 'buy' WHEN 2 THEN 'sell' END AS side,
       CASE coalesce(t.trade_id_kind, s.trade_id_kind_all)
           WHEN 1 THEN t.trade_id::text
           WHEN 2 THEN t.trade_id_text
       END AS trade_id,
       coalesce(t.trade_id_kind, s.trade_id_kind_all) AS trade_id_kind,
       CASE coalesce(t.trade_id_kind, s.trade_id_kind_all) WHEN 1 THEN t.trade_id END
           AS trade_id_integer,
       CASE coalesce(t.trade_id_kind, s.trade_id_kind_all)
           WHEN 1 THEN t.trade_id ELSE -9223372036854775808 END AS order_id,
       t.receive_time_us,
       s.source,
       source_key(s.source) AS source_key,
       t.sequence,
       s.venue,
       coalesce(t.flags, 0::smallint) AS flags,
       s.event_id,
       s.day
FROM tick_segments s
CROSS JOIN LATERAL unnest(
    s.event_time_us, s.price, s.price_wide, s.size, s.size_wide, s.side, s.trade_id_kind,
    s.trade_id, s.trade_id_text, s.receive_time_us, s.sequence, s.flags
) AS t (event_time_us, price, price_wide, size, size_wide, side, trade_id_kind,
        trade_id, trade_id_text, receive_time_us, sequence, flags);

-- One row per trade: a trade is its instrument, venue, trade id and the UTC minute of its event time
-- (venues begin their ids anew, so the id alone is not enough). Ticks without an id are each one.
CREATE VIEW ticks AS
SELECT DISTINCT ON (
           instrument,
           CASE WHEN trade_id IS NOT NULL THEN event_time_us / 60000000 END,
           CASE WHEN trade_id IS NOT NULL THEN venue END,
           trade_id_kind,
           trade_id,
           CASE WHEN trade_id IS NULL THEN source END,
           CASE WHEN trade_id IS NULL THEN sequence END)
       instrument, event_time_us, event_time, price, size, side, trade_id, trade_id_kind,
       trade_id_integer, order_id, receive_time_us, source, source_key, sequence, venue, flags,
       event_id, day
FROM ticks_raw
ORDER BY instrument,
         CASE WHEN trade_id IS NOT NULL THEN event_time_us / 60000000 END,
         CASE WHEN trade_id IS NOT NULL THEN venue END,
         trade_id_kind,
         trade_id,
         CASE WHEN trade_id IS NULL THEN source END,
         CASE WHEN trade_id IS NULL THEN sequence END,
         event_time_us, receive_time_us, source_key, sequence;
