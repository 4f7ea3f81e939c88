-- Days of candles that the lake has, with their timeframes; `is_in_postgres` until they left.
CREATE TABLE lake_candle_days (
    day            date    PRIMARY KEY,
    timeframes     text[]  NOT NULL,
    is_in_postgres boolean NOT NULL DEFAULT true
);
INSERT INTO lake_candle_days (day, timeframes)
    SELECT day, array_agg(timeframe)
    FROM (SELECT DISTINCT date '1970-01-01' + floor(start_us / 86400000000.0)::int AS day, timeframe
          FROM candles) AS stored
    WHERE day NOT IN (SELECT day FROM lake_pending_candles)
    GROUP BY day;

-- A day is read, and leaves, without a look at all others.
CREATE INDEX candles_start ON candles (start_us);
