-- Rules over anything: those without a timeframe are about a quote, gaps or a feed (then
-- `instrument` is the feed), and are looked at by the clock.
ALTER TABLE alert_rules ADD COLUMN once boolean NOT NULL DEFAULT false;
CREATE INDEX alert_rules_of_states ON alert_rules (id) WHERE removed_at IS NULL AND timeframe = '';

-- Of a rule without a timeframe: whether it held when it was last looked at, and its alert until
-- the broker has it.
CREATE TABLE alert_states (
    rule_id    text    PRIMARY KEY REFERENCES alert_rules (id) ON DELETE CASCADE,
    holds      boolean NOT NULL,
    changed_us bigint  NOT NULL,
    raised     boolean NOT NULL,                 -- whether it ever alerted
    body       text                              -- NULL: nothing to emit
);

-- Which alerts were delivered to which target (a digest of its URL): each once.
CREATE TABLE alert_deliveries (
    event_id     text NOT NULL,
    target       text NOT NULL,
    delivered_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, target)
);
CREATE INDEX alert_deliveries_by_time ON alert_deliveries (delivered_at);
