-- Ticks as segments: a row holds ticks of many instruments and events, those that one commit of
-- persist stores of neighbouring shards and one UTC hour. Rows of an instrument stand together.
-- A run is a piece of one instrument, event, venue and pair of scales; its columns have a value for
-- each run, the other ones a value for each tick, as byte planes (shared/stores/planes.py).
DROP VIEW ticks;
DROP VIEW ticks_raw;
ALTER TABLE tick_segments RENAME TO tick_segments_before;
ALTER INDEX tick_segments_by_time RENAME TO tick_segments_before_by_time;
ALTER TABLE tick_segments_before RENAME CONSTRAINT tick_segments_pkey TO tick_segments_before_pkey;

CREATE TABLE tick_segments (
    day             date     NOT NULL,           -- where it is stored: see 0020
    commit_id       bigint   NOT NULL,
    part            integer  NOT NULL,
    shards          smallint NOT NULL,           -- the number that instruments were divided among
    first_shard     smallint NOT NULL,
    last_shard      smallint NOT NULL,
    tick_count      integer  NOT NULL,
    run_count       integer  NOT NULL,
    first_time_us   bigint   NOT NULL,
    last_time_us    bigint   NOT NULL,
    event_ids       text[]   NOT NULL,
    sources         text[]   NOT NULL,           -- of each event
    venues          text[]   NOT NULL,           -- '' where the feed has none
    names           text     NOT NULL,           -- instruments, each once, a line each
    firsts          numeric[] NOT NULL,          -- of event_time, price, trade_id, sequence
    run_name        bytea    NOT NULL,           -- 1 where the next name begins
    run_event       bytea    NOT NULL,           -- place in event_ids, from 0
    run_venue       bytea    NOT NULL,           -- place in venues, from 0
    run_price_scale bytea    NOT NULL,           -- price = mantissa x 10^-price_scale
    run_size_scale  bytea    NOT NULL,
    run_ticks       bytea    NOT NULL,           -- number of ticks
    event_time      bytea    NOT NULL,           -- us: signed differences, from the first of firsts
    price           bytea    NOT NULL,           -- mantissa: signed differences
    size            bytea    NOT NULL,           -- mantissa
    side            bytea    NOT NULL,           -- 0 unknown, 1 buy, 2 sell
    flags           bytea    NOT NULL,           -- bits: 1 volume only, 2 odd lot, 4 auction,
                                                 -- 8 out of sequence
    trade_id_kind   bytea    NOT NULL,           -- 0 none, 1 integer, 2 text
    trade_id        bytea    NOT NULL,           -- signed differences; as before where none
    trade_id_text   text[],                      -- of each tick; NULL: no tick has a text id
    receive_delay   bytea    NOT NULL,           -- receive time less event time, signed
    sequence        bytea    NOT NULL,           -- signed differences
    PRIMARY KEY (day, commit_id, part)
) PARTITION BY RANGE (day);
CREATE INDEX tick_segments_by_time ON tick_segments (first_time_us, last_time_us);
CREATE INDEX tick_segments_by_commit ON tick_segments (commit_id);
CREATE TABLE tick_segments_old PARTITION OF tick_segments
    FOR VALUES FROM (MINVALUE) TO ('0001-01-02');
SELECT make_partitions('tick_segments', -1, 3);

-- The ticks of a segment as rows.
CREATE FUNCTION segment_ticks(s tick_segments) RETURNS TABLE (
    instrument text, venue text, event_time_us bigint, price numeric, size numeric, side integer,
    flags integer, trade_id_kind integer, trade_id_integer bigint, trade_id_text text,
    receive_time_us bigint, source text, sequence bigint, event_id text
) LANGUAGE sql STABLE PARALLEL SAFE ROWS 300 AS $$
WITH c AS MATERIALIZED (  -- out of TOAST once
    SELECT s.tick_count AS n, s.run_count AS runs, s.firsts AS firsts, s.event_ids AS event_ids,
           s.sources AS sources, s.venues AS venues, string_to_array(s.names, E'\n') AS names,
           s.run_name || ''::bytea AS run_name, s.run_event || ''::bytea AS run_event,
           s.run_venue || ''::bytea AS run_venue, s.run_price_scale || ''::bytea AS price_scale,
           s.run_size_scale || ''::bytea AS size_scale, s.run_ticks || ''::bytea AS run_ticks,
           s.event_time || ''::bytea AS event_time, s.price || ''::bytea AS price,
           s.size || ''::bytea AS size, s.side || ''::bytea AS side, s.flags || ''::bytea AS flags,
           s.trade_id_kind || ''::bytea AS kind, s.trade_id || ''::bytea AS trade_id,
           s.trade_id_text AS trade_id_text, s.receive_delay || ''::bytea AS receive_delay,
           s.sequence || ''::bytea AS sequence
), run AS (
    SELECT k, sum(new_name) OVER w AS name, event, venue,
           ('1e-' || price_scale)::numeric AS price_unit, ('1e-' || size_scale)::numeric AS size_unit,
           (sum(ticks) OVER w)::int - ticks AS first, ticks
    FROM (SELECT k, plane_value(c.run_name, c.runs, k) AS new_name,
                 plane_value(c.run_event, c.runs, k)::int + 1 AS event,
                 plane_value(c.run_venue, c.runs, k)::int + 1 AS venue,
                 plane_value(c.price_scale, c.runs, k) AS price_scale,
                 plane_value(c.size_scale, c.runs, k) AS size_scale,
                 plane_value(c.run_ticks, c.runs, k)::int AS ticks
          FROM c, generate_series(0, c.runs - 1) AS k OFFSET 0) AS coded
    WINDOW w AS (ORDER BY k)
), tick AS (
    SELECT i, k, side, flags, kind, size, delay,
           sum(event_time) OVER w AS event_time, sum(price) OVER w AS price,
           sum(trade_id) OVER w AS trade_id, sum(sequence) OVER w AS sequence
    FROM (SELECT i, run.k, plane_value(c.side, c.n, i)::int AS side,
                 plane_value(c.flags, c.n, i)::int AS flags,
                 plane_value(c.kind, c.n, i)::int AS kind,
                 CASE WHEN length(c.size) < 8 * c.n THEN plane_value(c.size, c.n, i)::numeric
                      ELSE wide_value(c.size, c.n, i) END AS size,
                 wide_signed_value(c.receive_delay, c.n, i)::bigint AS delay,
                 wide_signed_value(c.event_time, c.n, i) AS event_time,
                 wide_signed_value(c.price, c.n, i) AS price,
                 wide_signed_value(c.trade_id, c.n, i) AS trade_id,
                 wide_signed_value(c.sequence, c.n, i) AS sequence
          FROM c, run, generate_series(run.first, run.first + run.ticks - 1) AS i OFFSET 0) AS coded
    WINDOW w AS (ORDER BY i)
)
SELECT c.names[run.name], c.venues[run.venue], (c.firsts[1] + tick.event_time)::bigint,
       trim_scale((c.firsts[2] + tick.price) * run.price_unit), trim_scale(tick.size * run.size_unit),
       tick.side, tick.flags, tick.kind,
       CASE tick.kind WHEN 1 THEN (c.firsts[3] + tick.trade_id)::bigint END,
       CASE tick.kind WHEN 2 THEN c.trade_id_text[tick.i + 1] END,
       (c.firsts[1] + tick.event_time)::bigint + tick.delay,
       c.sources[run.event], (c.firsts[4] + tick.sequence)::bigint, c.event_ids[run.event]
FROM tick JOIN run USING (k), c
$$;

-- Every stored tick as a plain row, repetitions included. An instrument's range is quicker by
-- ticks_between, which leaves out other times and segments without the instrument.
CREATE VIEW ticks_raw AS
SELECT t.instrument,
       t.venue,
       t.event_time_us,
       timestamptz 'epoch' + t.event_time_us * interval '1 microsecond' AS event_time,
       t.price,
       t.size,
       CASE t.side WHEN 1 THEN 'buy' WHEN 2 THEN 'sell' END AS side,
       t.flags,
       CASE t.trade_id_kind WHEN 1 THEN t.trade_id_integer::text WHEN 2 THEN t.trade_id_text END
           AS trade_id,
       t.trade_id_kind,
       t.trade_id_integer,
       coalesce(t.trade_id_integer, -9223372036854775808) AS order_id,
       t.receive_time_us,
       t.source,
       source_key(t.source) AS source_key,
       t.sequence,
       t.event_id,
       (timestamp 'epoch' + t.event_time_us * interval '1 microsecond')::date AS day
FROM tick_segments s CROSS JOIN LATERAL segment_ticks(s) AS t;

CREATE FUNCTION ticks_raw_between(symbol text, from_time timestamptz, to_time timestamptz)
RETURNS SETOF ticks_raw LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT t.instrument, t.venue, t.event_time_us,
       timestamptz 'epoch' + t.event_time_us * interval '1 microsecond', t.price, t.size,
       CASE t.side WHEN 1 THEN 'buy' WHEN 2 THEN 'sell' END, t.flags,
       CASE t.trade_id_kind WHEN 1 THEN t.trade_id_integer::text WHEN 2 THEN t.trade_id_text END,
       t.trade_id_kind, t.trade_id_integer, coalesce(t.trade_id_integer, -9223372036854775808),
       t.receive_time_us, t.source, source_key(t.source), t.sequence, t.event_id,
       (timestamp 'epoch' + t.event_time_us * interval '1 microsecond')::date
FROM (SELECT (extract(epoch FROM from_time) * 1000000)::bigint AS from_us,
             (extract(epoch FROM to_time) * 1000000)::bigint AS to_us) AS bounds
JOIN tick_segments s
    ON s.first_time_us >= from_us - from_us % 3600000000  -- a segment lies within an hour
    AND s.first_time_us < to_us AND s.last_time_us >= from_us
    AND (s.day = '0001-01-01' OR s.day BETWEEN (from_time AT TIME ZONE 'UTC')::date
         AND (to_time AT TIME ZONE 'UTC')::date)
    AND strpos(E'\n' || s.names || E'\n', E'\n' || symbol || E'\n') > 0
CROSS JOIN LATERAL segment_ticks(s) AS t
WHERE t.instrument = symbol AND t.event_time_us >= from_us AND t.event_time_us < to_us
$$;

-- One row per trade: a trade is its instrument, venue, trade id and the UTC minute of its event
-- time (venues begin their ids anew, so the id alone is not enough). The first in the total order
-- counts. Ticks without an id are each one.
CREATE VIEW ticks AS
SELECT DISTINCT ON (
           instrument,
           CASE WHEN trade_id IS NOT NULL THEN event_time_us / 60000000 END,
           venue,
           trade_id_kind,
           trade_id,
           CASE WHEN trade_id IS NULL THEN source_key END,
           CASE WHEN trade_id IS NULL THEN sequence END)
       *
FROM ticks_raw
ORDER BY instrument,
         CASE WHEN trade_id IS NOT NULL THEN event_time_us / 60000000 END,
         venue,
         trade_id_kind,
         trade_id,
         CASE WHEN trade_id IS NULL THEN source_key END,
         CASE WHEN trade_id IS NULL THEN sequence END,
         event_time_us, order_id, receive_time_us, source_key, sequence;

CREATE FUNCTION ticks_between(symbol text, from_time timestamptz, to_time timestamptz)
RETURNS SETOF ticks LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT DISTINCT ON (CASE WHEN trade_id IS NOT NULL THEN event_time_us / 60000000 END, venue,
                    trade_id_kind, trade_id, CASE WHEN trade_id IS NULL THEN source_key END,
                    CASE WHEN trade_id IS NULL THEN sequence END) *
FROM ticks_raw_between(symbol, from_time, to_time)
ORDER BY CASE WHEN trade_id IS NOT NULL THEN event_time_us / 60000000 END, venue,
         trade_id_kind, trade_id, CASE WHEN trade_id IS NULL THEN source_key END,
         CASE WHEN trade_id IS NULL THEN sequence END,
         event_time_us, order_id, receive_time_us, source_key, sequence
$$;
