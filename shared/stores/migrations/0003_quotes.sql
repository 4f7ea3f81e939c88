-- The latest quote of each instrument: the highest in the total order of quotes.
CREATE TABLE latest_quotes (
    instrument      text    PRIMARY KEY,
    bid             numeric NOT NULL,
    ask             numeric NOT NULL,
    bid_size        numeric,                     -- NULL: the feed does not say it
    ask_size        numeric,
    event_time_us   bigint  NOT NULL,            -- the receive time where the exchange says none
    update_id       bigint  NOT NULL,            -- the exchange's number of the change, -1: none
    receive_time_us bigint  NOT NULL,
    source          text    COLLATE "C" NOT NULL,
    sequence        bigint  NOT NULL
);

-- All quotes, where a setting stores them: segments as those of ticks.
CREATE TABLE quote_segments (
    day             date     NOT NULL,
    event_id        text     NOT NULL,
    part            smallint NOT NULL,           -- the entry's place in the event
    instrument      text     NOT NULL,
    source          text     NOT NULL,
    price_scale     smallint NOT NULL,           -- bid = mantissa x 10^-price_scale
    size_scale      smallint NOT NULL,
    quote_count     integer  NOT NULL,
    first_time_us   bigint   NOT NULL,
    last_time_us    bigint   NOT NULL,
    event_time_us   bigint[] NOT NULL,
    bid             bigint[] NOT NULL,
    ask             bigint[] NOT NULL,
    bid_size        bigint[] NOT NULL,           -- -1: not said
    ask_size        bigint[] NOT NULL,
    update_id       bigint[] NOT NULL,           -- -1: none
    receive_time_us bigint[] NOT NULL,
    sequence        bigint[] NOT NULL,
    PRIMARY KEY (day, event_id, part)
) PARTITION BY RANGE (day);
CREATE INDEX quote_segments_by_time ON quote_segments (instrument, first_time_us, last_time_us);
ALTER TABLE quote_segments
    ALTER COLUMN event_time_us SET STORAGE EXTERNAL,
    ALTER COLUMN bid SET STORAGE EXTERNAL,
    ALTER COLUMN ask SET STORAGE EXTERNAL,
    ALTER COLUMN bid_size SET STORAGE EXTERNAL,
    ALTER COLUMN ask_size SET STORAGE EXTERNAL,
    ALTER COLUMN update_id SET STORAGE EXTERNAL,
    ALTER COLUMN receive_time_us SET STORAGE EXTERNAL,
    ALTER COLUMN sequence SET STORAGE EXTERNAL;

-- Every stored quote as a plain row.
CREATE VIEW quotes AS
SELECT s.instrument,
       q.event_time_us,
       timestamptz 'epoch' + q.event_time_us * interval '1 microsecond' AS event_time,
       trim_scale(q.bid * ('1e-' || s.price_scale)::numeric) AS bid,
       trim_scale(q.ask * ('1e-' || s.price_scale)::numeric) AS ask,
       CASE WHEN q.bid_size >= 0
           THEN trim_scale(q.bid_size * ('1e-' || s.size_scale)::numeric) END AS bid_size,
       CASE WHEN q.ask_size >= 0
           THEN trim_scale(q.ask_size * ('1e-' || s.size_scale)::numeric) END AS ask_size,
       nullif(q.update_id, -1) AS update_id,
       q.receive_time_us,
       s.source,
       q.sequence,
       s.event_id,
       s.day
FROM quote_segments s
CROSS JOIN LATERAL unnest(
    s.event_time_us, s.bid, s.ask, s.bid_size, s.ask_size, s.update_id, s.receive_time_us, s.sequence
) AS q (event_time_us, bid, ask, bid_size, ask_size, update_id, receive_time_us, sequence);

-- What exchanges call the instruments.
CREATE TABLE markets (
    instrument text NOT NULL,
    venue      text NOT NULL,
    original   text NOT NULL,
    PRIMARY KEY (instrument, venue, original)
);
