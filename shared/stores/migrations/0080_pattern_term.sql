-- The term of a pattern counts from when it was stored, as that of an alert: a file of past years
-- brings patterns that are years old and new to whoever imported it.
ALTER TABLE patterns ADD COLUMN stored_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX patterns_by_storing ON patterns (stored_at);
