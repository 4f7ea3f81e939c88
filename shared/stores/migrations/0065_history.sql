-- Candles as a venue publishes them, for the time of which no trades are known in full.
ALTER TABLE candles ADD COLUMN origin text NOT NULL DEFAULT 'trades'
    CHECK (origin IN ('trades', 'venue'));

-- From when on an instrument has candles of its venue; first_time_us: from when on all its trades
-- are known, or the time of the first.
ALTER TABLE first_ticks ADD COLUMN history_us bigint;

-- Which ranges of time the venue's candles were published of. `published_us`: under this revision,
-- `candles` of them. `settled`: the longer candles at the edges of the range have them too.
CREATE TABLE candle_histories (
    instrument   text    NOT NULL,
    from_us      bigint  NOT NULL,
    to_us        bigint  NOT NULL,
    published_us bigint  NOT NULL,
    candles      integer NOT NULL,
    settled      boolean NOT NULL DEFAULT false,
    PRIMARY KEY (instrument, from_us, to_us)
);
CREATE INDEX candle_histories_open ON candle_histories (instrument) WHERE NOT settled;
