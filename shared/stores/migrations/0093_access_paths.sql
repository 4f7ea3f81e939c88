-- Gaps that are new to the candles are found each second without a look at all others, which stay a
-- year; so are the newest alerts.
CREATE INDEX alerts_newest ON alerts (start_us, rule_id);
-- It takes the strongest lock of gaps first: candle-aggregate may write to them meanwhile.
DROP INDEX gaps_not_judged;
CREATE INDEX gaps_changed ON gaps (instrument) WHERE NOT judged OR NOT queued;
