-- Gaps of feeds whose ids do not count trades: first_id and last_id are times in milliseconds.
ALTER TABLE gaps ADD COLUMN by_time boolean NOT NULL DEFAULT false;

-- Of the last minute, and how much of its history a symbol has: parts fetched, and in all.
ALTER TABLE feeds ADD COLUMN trades_per_minute integer NOT NULL DEFAULT 0;
ALTER TABLE feeds ADD COLUMN history_done integer NOT NULL DEFAULT 0;
ALTER TABLE feeds ADD COLUMN history_parts integer NOT NULL DEFAULT 0;
