-- Rows of before in the form of now: each old segment becomes a segment an hour. The ones that the
-- lake has are one commit, the others the next one.
CREATE FUNCTION pg_temp.planes(coded bigint[], width integer) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(substr(int8send(value), 8 - width + k, 1), ''::bytea ORDER BY k, place)
    FROM unnest(coded) WITH ORDINALITY AS u (value, place), generate_series(1, width) AS k
$$;
CREATE FUNCTION pg_temp.zigzag(value bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT (value << 1) # (value >> 63)
$$;

DO $$ BEGIN
    IF EXISTS (SELECT FROM tick_segments_before WHERE price IS NULL OR size IS NULL) THEN
        RAISE EXCEPTION 'ticks beyond 64 bits are stored: bring them back from the lake instead';
    END IF;
END $$;

SELECT nextval('commits'), nextval('commits');
CREATE TEMP TABLE commit_of ON COMMIT DROP AS
    SELECT event_id, CASE WHEN EXISTS (SELECT FROM lake_pending_ticks p WHERE p.event_id = s.event_id)
                          THEN 3 ELSE 2 END AS commit_id
    FROM (SELECT DISTINCT event_id FROM tick_segments_before) AS s;

INSERT INTO tick_segments
WITH tick AS (
    SELECT s.event_id, s.part, s.instrument, s.source, s.venue, s.price_scale, s.size_scale,
           u.event_time / 3600000000 AS hour, u.place, u.event_time, u.price, u.size,
           coalesce(u.side, 0) AS side, coalesce(u.flags, 0) AS flags,
           coalesce(u.kind, s.trade_id_kind_all) AS kind, coalesce(u.trade_id, 0) AS trade_id,
           u.trade_id_text, u.receive_time, u.sequence
    FROM tick_segments_before s CROSS JOIN LATERAL unnest(
        s.event_time_us, s.price, s.size, s.side, s.flags, s.trade_id_kind, s.trade_id,
        s.trade_id_text, s.receive_time_us, s.sequence
    ) WITH ORDINALITY AS u (event_time, price, size, side, flags, kind, trade_id, trade_id_text,
                            receive_time, sequence, place)
), coded AS (
    SELECT *, event_time - lag(event_time, 1, event_time) OVER w AS time_step,
           price - lag(price, 1, price) OVER w AS price_step,
           trade_id - lag(trade_id, 1, trade_id) OVER w AS id_step,
           sequence - lag(sequence, 1, sequence) OVER w AS sequence_step
    FROM tick
    WINDOW w AS (PARTITION BY event_id, part, hour ORDER BY place)
)
SELECT date '0001-01-01', commit_id, row_number() OVER ()::int, 1, 0, 0, count(*), 1,
       min(event_time), max(event_time), ARRAY[event_id], ARRAY[source], ARRAY[venue], instrument,
       ARRAY[(array_agg(event_time ORDER BY place))[1], (array_agg(price ORDER BY place))[1],
             (array_agg(trade_id ORDER BY place))[1], (array_agg(sequence ORDER BY place))[1]],
       '\x01', '', '', pg_temp.planes(ARRAY[price_scale], 1), pg_temp.planes(ARRAY[size_scale], 1),
       pg_temp.planes(ARRAY[count(*)], 4),
       pg_temp.planes(array_agg(pg_temp.zigzag(time_step) ORDER BY place), 8),
       pg_temp.planes(array_agg(pg_temp.zigzag(price_step) ORDER BY place), 8),
       pg_temp.planes(array_agg(size ORDER BY place), 8),
       pg_temp.planes(array_agg(side::bigint ORDER BY place), 1),
       pg_temp.planes(array_agg(flags::bigint ORDER BY place), 1),
       pg_temp.planes(array_agg(kind::bigint ORDER BY place), 1),
       pg_temp.planes(array_agg(pg_temp.zigzag(id_step) ORDER BY place), 8),
       CASE WHEN bool_or(kind = 2)
            THEN array_agg(coalesce(trade_id_text, '') ORDER BY place) END,
       pg_temp.planes(array_agg(pg_temp.zigzag(receive_time - event_time) ORDER BY place), 8),
       pg_temp.planes(array_agg(pg_temp.zigzag(sequence_step) ORDER BY place), 8)
FROM coded JOIN commit_of USING (event_id)
GROUP BY commit_id, event_id, part, hour, instrument, source, venue, price_scale, size_scale;

INSERT INTO stored_days (commit_id, day, tick_count)
    SELECT commit_id, date '1970-01-01' + floor(first_time_us / 86400000000.0)::int, sum(tick_count)
    FROM tick_segments GROUP BY 1, 2;
INSERT INTO applied_events (event_id, day, commit_id, applied_at)
    SELECT event_id, date '0001-01-01', coalesce(commit_id, 2), applied_at
    FROM applied_events_before LEFT JOIN commit_of USING (event_id);
INSERT INTO unaggregated (shard, event_id, commit_id, stored_at, received_us, first_us, last_us)
    SELECT unnest(b.shards), event_id, commit_id, applied_at, received.last_us, s.first_us, s.last_us
    FROM applied_events_before AS b JOIN commit_of USING (event_id)
    JOIN (SELECT event_id, min(first_time_us) AS first_us, max(last_time_us) AS last_us
          FROM tick_segments_before GROUP BY event_id) AS s USING (event_id)
    JOIN (SELECT event_id, max(received) AS last_us
          FROM tick_segments_before, unnest(receive_time_us) AS received
          GROUP BY event_id) AS received USING (event_id);
DROP TABLE applied_events_before;
DROP TABLE tick_segments_before;

-- All commits of ticks up to this one are in files of the lake, and none after it.
CREATE TABLE lake_position (commit_id bigint NOT NULL);
INSERT INTO lake_position VALUES (2);
DROP TABLE lake_pending_ticks;
