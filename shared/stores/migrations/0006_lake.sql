-- The lake: Parquet objects in S3, and what of the tables is in them.

-- Segments that are in no file yet: written with the segment, struck with the file's record. So
-- what is to be copied is claimed row by row; no transaction in flight can fall between two claims.
CREATE TABLE lake_pending_ticks (
    day        date        NOT NULL,
    event_id   text        NOT NULL,
    part       smallint    NOT NULL,
    instrument text        NOT NULL,
    tick_count integer     NOT NULL,
    since      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (day, event_id, part)
);
CREATE INDEX lake_pending_ticks_since ON lake_pending_ticks (since);
CREATE INDEX lake_pending_ticks_of ON lake_pending_ticks (instrument, day);
INSERT INTO lake_pending_ticks (day, event_id, part, instrument, tick_count)
    SELECT day, event_id, part, instrument, tick_count FROM tick_segments;

-- The name of this database's lake, in the names of its objects: it removes no other's garbage.
CREATE TABLE lake_identity (name text PRIMARY KEY);
INSERT INTO lake_identity VALUES (left(replace(gen_random_uuid()::text, '-', ''), 8));

-- Days of candles that changed since their file was written: one row for each change, struck by id.
CREATE TABLE lake_pending_candles (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    timeframe  text   NOT NULL,
    instrument text   NOT NULL,
    day        date   NOT NULL,
    since      timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO lake_pending_candles (timeframe, instrument, day)
    SELECT DISTINCT timeframe, instrument,
           date '1970-01-01' + floor(start_us / 86400000000.0)::int
    FROM candles;

-- The objects that count. One that is not here is garbage; one that is superseded soon will be.
CREATE TABLE lake_files (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bucket        text   NOT NULL,
    path          text   NOT NULL,
    instrument    text   NOT NULL,
    timeframe     text   NOT NULL,              -- '' for ticks
    from_us       bigint NOT NULL,              -- the hour of ticks or the day of candles
    to_us         bigint NOT NULL,
    whole         boolean NOT NULL,             -- false: a part, to be compacted
    row_count     bigint NOT NULL,
    byte_count    bigint NOT NULL,
    sha256        text   NOT NULL,
    min_time_us   bigint NOT NULL,
    max_time_us   bigint NOT NULL,
    stored_until  timestamptz NOT NULL,         -- its newest row came into Postgres before that
    recorded_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    verified_at   timestamptz,                  -- read back and found equal to the rows it covers
    cold_at       timestamptz,                  -- candles: when the rows it covers left Postgres
    superseded_at timestamptz,                  -- another file has its rows since
    UNIQUE (bucket, path)
);
CREATE INDEX lake_files_live ON lake_files (bucket, instrument, timeframe, from_us)
    WHERE superseded_at IS NULL;
CREATE INDEX lake_files_superseded ON lake_files (superseded_at) WHERE superseded_at IS NOT NULL;

-- Days whose partition of tick_segments was dropped. What is stored of them later is read from
-- Postgres only as long as it is pending.
CREATE TABLE cold_days (
    day        date PRIMARY KEY,
    dropped_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
