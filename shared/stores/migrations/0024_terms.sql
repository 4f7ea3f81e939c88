-- By what rows that only inform are found when they are past their terms (functions/persist/row_retention.py).
CREATE INDEX rejects_by_time ON rejects (receive_time_us);
CREATE INDEX alerts_by_time ON alerts (stored_at);
CREATE INDEX gaps_by_change ON gaps (changed_us) WHERE state = 'filled';
