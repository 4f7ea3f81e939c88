-- Ticks as array segments: one row per event, instrument entry and UTC day.
CREATE TABLE tick_segments (
    day             date     NOT NULL,
    event_id        text     NOT NULL,
    part            smallint NOT NULL,           -- the entry's place in the event
    instrument      text     NOT NULL,
    source          text     NOT NULL,
    price_scale     smallint NOT NULL,           -- price = mantissa x 10^-price_scale
    size_scale      smallint NOT NULL,
    tick_count      integer  NOT NULL,
    first_time_us   bigint   NOT NULL,
    last_time_us    bigint   NOT NULL,
    event_time_us   bigint[] NOT NULL,
    price           bigint[] NOT NULL,
    size            bigint[] NOT NULL,
    side            smallint[],                  -- NULL: no tick has one
    trade_id        bigint[],                    -- NULL: no tick has an integer id
    trade_id_text   text[],                      -- NULL: no tick has a text id
    trade_id_kind   smallint[],                  -- 0 none, 1 integer, 2 text; NULL: all alike
    trade_id_kind_all smallint,                  -- the kind of all ticks, where they are alike
    receive_time_us bigint[] NOT NULL,
    sequence        bigint[] NOT NULL,
    PRIMARY KEY (day, event_id, part)
) PARTITION BY RANGE (day);

CREATE INDEX tick_segments_by_time ON tick_segments (instrument, first_time_us, last_time_us);

-- Arrays outside the row and uncompressed: three times the insert rate for twice the bytes.
ALTER TABLE tick_segments
    ALTER COLUMN event_time_us SET STORAGE EXTERNAL,
    ALTER COLUMN price SET STORAGE EXTERNAL,
    ALTER COLUMN size SET STORAGE EXTERNAL,
    ALTER COLUMN trade_id SET STORAGE EXTERNAL,
    ALTER COLUMN receive_time_us SET STORAGE EXTERNAL,
    ALTER COLUMN sequence SET STORAGE EXTERNAL;

-- Every stored tick as a plain row, repetitions included.
CREATE VIEW ticks_raw AS
SELECT s.instrument,
       t.event_time_us,
       timestamptz 'epoch' + t.event_time_us * interval '1 microsecond' AS event_time,
       trim_scale(t.price * ('1e-' || s.price_scale)::numeric) AS price,
       trim_scale(t.size * ('1e-' || s.size_scale)::numeric) AS size,
       CASE t.side WHEN 1 THEN 'buy' WHEN 2 THEN 'sell' END AS side,
       CASE coalesce(t.trade_id_kind, s.trade_id_kind_all)
           WHEN 1 THEN t.trade_id::text
           WHEN 2 THEN t.trade_id_text
       END AS trade_id,
       coalesce(t.trade_id_kind, s.trade_id_kind_all) AS trade_id_kind,
       CASE coalesce(t.trade_id_kind, s.trade_id_kind_all) WHEN 1 THEN t.trade_id END
           AS trade_id_integer,
       t.receive_time_us,
       s.source,
       t.sequence,
       s.event_id,
       s.day
FROM tick_segments s
CROSS JOIN LATERAL unnest(
    s.event_time_us, s.price, s.size, s.side, s.trade_id_kind, s.trade_id, s.trade_id_text,
    s.receive_time_us, s.sequence
) AS t (event_time_us, price, size, side, trade_id_kind, trade_id, trade_id_text,
        receive_time_us, sequence);

-- One row per trade: a trade is its instrument, trade id and the UTC minute of its event time
-- (venues begin their ids anew, so the id alone is not enough). Ticks without an id are each one.
CREATE VIEW ticks AS
SELECT DISTINCT ON (
           instrument,
           CASE WHEN trade_id IS NOT NULL THEN event_time_us / 60000000 END,
           trade_id_kind,
           trade_id,
           CASE WHEN trade_id IS NULL THEN source END,
           CASE WHEN trade_id IS NULL THEN sequence END)
       instrument, event_time_us, event_time, price, size, side, trade_id, trade_id_kind,
       trade_id_integer, receive_time_us, source, sequence, event_id, day
FROM ticks_raw
ORDER BY instrument,
         CASE WHEN trade_id IS NOT NULL THEN event_time_us / 60000000 END,
         trade_id_kind,
         trade_id,
         CASE WHEN trade_id IS NULL THEN source END,
         CASE WHEN trade_id IS NULL THEN sequence END,
         event_time_us, receive_time_us, source COLLATE "C", sequence;

CREATE TABLE candles (
    instrument    text    NOT NULL,
    timeframe     text    NOT NULL,
    start_us      bigint  NOT NULL,
    open          numeric NOT NULL,
    high          numeric NOT NULL,
    low           numeric NOT NULL,
    close         numeric NOT NULL,
    volume        numeric NOT NULL,
    notional      numeric NOT NULL,
    trade_count   bigint  NOT NULL,
    buy_volume    numeric NOT NULL,
    sell_volume   numeric NOT NULL,
    first_time_us bigint  NOT NULL,
    last_time_us  bigint  NOT NULL,
    closed        boolean NOT NULL,
    partial       boolean NOT NULL,
    complete      boolean NOT NULL,
    revision      bigint  NOT NULL,              -- the highest wins
    PRIMARY KEY (instrument, timeframe, start_us)
);

-- Input that is no tick, whole: original bytes, why, and when it came.
CREATE TABLE rejects (
    event_id        text   NOT NULL,
    position        integer NOT NULL,
    code            text   NOT NULL,
    detail          text   NOT NULL,
    original        bytea  NOT NULL,
    receive_time_us bigint NOT NULL,
    source          text   NOT NULL,
    sequence        bigint NOT NULL,
    PRIMARY KEY (event_id, position)
);

-- Which events are in the tables above: written in the same transaction as their rows.
CREATE TABLE applied_events (
    event_id   text PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- Epochs of candle revisions: one more whenever state is built anew, so that it outranks the old.
CREATE SEQUENCE candle_epoch AS integer MINVALUE 1;
