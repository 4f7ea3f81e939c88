-- The earliest event time ever stored of an instrument: a candle that began before it is partial.
-- A table of its own, since retention may drop the tick itself.
CREATE TABLE first_ticks (
    instrument    text   PRIMARY KEY,
    first_time_us bigint NOT NULL
);
INSERT INTO first_ticks
SELECT instrument, min(first_time_us) FROM tick_segments GROUP BY instrument;

-- Few: one of each instrument and timeframe, but for those that an older tick made whole.
CREATE INDEX candles_partial ON candles (instrument) WHERE partial;

-- Why a candle is to be recomputed: `late` ticks, `repeated` trades with another content, `flag`
-- (it is no longer partial), `asked` for by a person. What is late waits for the ticks of its event.
ALTER TABLE repairs
    ADD COLUMN reason text NOT NULL DEFAULT 'late'
        CHECK (reason IN ('late', 'repeated', 'flag', 'asked'));
CREATE INDEX repairs_by_time ON repairs (requested_at);
