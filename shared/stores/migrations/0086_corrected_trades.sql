-- What a venue said of trades whose corrections get ids of their own: `trade_id` replaces
-- `original_id`, at the time of the trade that was first; empty: the original is cancelled.
CREATE TABLE corrected_trades (
    instrument      text   NOT NULL,
    venue           text   NOT NULL,
    trade_id        text   NOT NULL,
    original_id     text   NOT NULL,
    time_us         bigint NOT NULL,
    receive_time_us bigint NOT NULL,
    sequence        bigint NOT NULL,
    event_id        text     NOT NULL,           -- of the bust, and the rest as in pending_busts
    position        integer  NOT NULL,
    source          text     NOT NULL,
    format          smallint NOT NULL,
    bust            bytea    NOT NULL,
    PRIMARY KEY (instrument, venue, trade_id, time_us, original_id)
);
