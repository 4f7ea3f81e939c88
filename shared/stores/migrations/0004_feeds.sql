-- Trades that a feed did not deliver, found by their ids.
CREATE TABLE gaps (
    feed        text    NOT NULL,
    symbol      text    NOT NULL,                -- as the exchange writes it
    instrument  text    NOT NULL,
    first_id    bigint  NOT NULL,
    last_id     bigint  NOT NULL,                -- inclusive
    from_us     bigint  NOT NULL,                -- event time of the last trade before
    to_us       bigint  NOT NULL,                -- and of the first one after
    state       text    NOT NULL CHECK (state IN ('open', 'filled')),
    absent      bigint  NOT NULL,                -- ids for which the exchange lists no trade
    opened_us   bigint  NOT NULL,                -- wall clock of the bridge
    changed_us  bigint  NOT NULL,
    judged      boolean NOT NULL DEFAULT false,  -- filled, and the live candles say so
    PRIMARY KEY (feed, symbol, first_id, last_id)
);
CREATE INDEX gaps_open ON gaps (instrument, to_us) WHERE state = 'open';
CREATE INDEX gaps_not_judged ON gaps (instrument) WHERE NOT judged;

-- The newest status of each symbol of each feed.
CREATE TABLE feeds (
    feed            text    NOT NULL,
    symbol          text    NOT NULL,
    instrument      text    NOT NULL,
    source          text    NOT NULL,            -- one life of one bridge process
    state           text    NOT NULL,
    last_message_us bigint  NOT NULL,            -- wall clock; 0: none yet
    last_trade_us   bigint  NOT NULL,            -- event time; 0: none yet
    last_trade_id   bigint,                      -- a new life begins after this one
    id_time_us      bigint  NOT NULL,            -- its event time
    gaps_open       integer NOT NULL,
    gaps_filled     integer NOT NULL,
    reconnects      integer NOT NULL,
    skew_us         bigint,                      -- the exchange's clock less the bridge's
    error           text    NOT NULL,
    reported_us     bigint  NOT NULL,
    PRIMARY KEY (feed, symbol)
);
