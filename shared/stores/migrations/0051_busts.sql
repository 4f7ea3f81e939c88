-- Cancels and corrections whose trade has not come yet; each is tried again until it is a reject.
CREATE TABLE pending_busts (
    event_id  text     NOT NULL,
    position  integer  NOT NULL,
    source    text     NOT NULL,
    format    smallint NOT NULL,                 -- of the raw batch (raw.proto)
    bust      bytea    NOT NULL,                 -- a BustBatch of one (busts.proto)
    tries     smallint NOT NULL DEFAULT 0,
    next_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, position)
);
CREATE INDEX pending_busts_by_time ON pending_busts (next_at);

-- `bust`: a trade of the candle was cancelled or corrected; `start_us` is when that trade was.
ALTER TABLE repairs DROP CONSTRAINT repairs_reason_check;
ALTER TABLE repairs ADD CONSTRAINT repairs_reason_check
    CHECK (reason IN ('late', 'repeated', 'flag', 'asked', 'bust'));

-- One row per trade that counts. A trade is its instrument, venue, trade id and the UTC minute of its
-- event time; the first in the total order counts, unless its venue has cancelled (flag 16) or
-- corrected (flag 32) it: then what was received last. Ticks without an id are each one.
CREATE OR REPLACE VIEW ticks AS
SELECT * FROM (
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
             flags & 48 = 0,
             CASE WHEN flags & 48 <> 0 THEN ~receive_time_us END,
             CASE WHEN flags & 48 <> 0 THEN ~source_key END,
             CASE WHEN flags & 48 <> 0 THEN ~sequence END,
             event_time_us, order_id, receive_time_us, source_key, sequence
) AS t WHERE flags & 16 = 0;

CREATE OR REPLACE FUNCTION ticks_between(symbol text, from_time timestamptz, to_time timestamptz)
RETURNS SETOF ticks LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT * FROM (
    SELECT DISTINCT ON (CASE WHEN trade_id IS NOT NULL THEN event_time_us / 60000000 END, venue,
                        trade_id_kind, trade_id, CASE WHEN trade_id IS NULL THEN source_key END,
                        CASE WHEN trade_id IS NULL THEN sequence END) *
    FROM ticks_raw_between(symbol, from_time, to_time)
    ORDER BY CASE WHEN trade_id IS NOT NULL THEN event_time_us / 60000000 END, venue,
             trade_id_kind, trade_id, CASE WHEN trade_id IS NULL THEN source_key END,
             CASE WHEN trade_id IS NULL THEN sequence END,
             flags & 48 = 0,
             CASE WHEN flags & 48 <> 0 THEN ~receive_time_us END,
             CASE WHEN flags & 48 <> 0 THEN ~source_key END,
             CASE WHEN flags & 48 <> 0 THEN ~sequence END,
             event_time_us, order_id, receive_time_us, source_key, sequence
) AS t WHERE flags & 16 = 0
$$;
