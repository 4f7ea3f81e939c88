-- The format of the raw batch that a reject was in (raw.proto), so that it can be read again.
ALTER TABLE rejects ADD COLUMN format smallint NOT NULL DEFAULT 0;
