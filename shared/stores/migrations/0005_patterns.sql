-- Patterns and anomalies found in closed candles. A retracted one stays, so that it is known why
-- it was told; the highest revision wins.
CREATE TABLE patterns (
    id            text    PRIMARY KEY,
    instrument    text    NOT NULL,
    timeframe     text    NOT NULL,
    pattern       text    NOT NULL,
    kind          text    NOT NULL,
    direction     smallint NOT NULL,
    confidence    double precision NOT NULL,
    level         text    NOT NULL,
    trigger_price numeric NOT NULL,
    start_us      bigint  NOT NULL,              -- of the candle that completes it
    end_us        bigint  NOT NULL,
    open          numeric NOT NULL,
    high          numeric NOT NULL,
    low           numeric NOT NULL,
    close         numeric NOT NULL,
    volume        numeric NOT NULL,
    retracted     boolean NOT NULL,
    revision      bigint  NOT NULL,
    begin_us      bigint  NOT NULL,              -- start of the pattern's first candle
    features      jsonb   NOT NULL
);
CREATE INDEX patterns_by_time ON patterns (instrument, end_us, id);
CREATE INDEX patterns_newest ON patterns (end_us, id);
CREATE INDEX patterns_of_series ON patterns (instrument, timeframe, start_us);

-- Revisions of patterns: one more whenever a series is read from storage, so that it outranks
-- what was told before.
CREATE SEQUENCE pattern_epoch AS integer MINVALUE 1;

-- What people want to be told. A removed rule stays, so that its alerts can be read.
CREATE TABLE alert_rules (
    id          text   PRIMARY KEY,
    rule        text   NOT NULL,
    instrument  text   NOT NULL,
    timeframe   text   NOT NULL,
    sink        text,                            -- NULL: only published and kept
    after_us    bigint NOT NULL,                 -- candles that start later count
    created_at  timestamptz NOT NULL DEFAULT now(),
    removed_at  timestamptz
);
CREATE INDEX alert_rules_in_force ON alert_rules (instrument, timeframe) WHERE removed_at IS NULL;

-- Which rules came true on which candles: each once.
CREATE TABLE alerts (
    rule_id    text   NOT NULL,
    start_us   bigint NOT NULL,
    instrument text   NOT NULL,
    timeframe  text   NOT NULL,
    body       jsonb  NOT NULL,
    stored_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (rule_id, start_us)
);
CREATE INDEX alerts_of_series ON alerts (instrument, timeframe, start_us);
