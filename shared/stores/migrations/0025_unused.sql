-- Records of instruments that left the live state because nobody sent them for long, as they were
-- there (shared/live_instruments.py): an instrument that is sent again goes on with its record.
-- `requested_at`: the instrument is to leave as soon as it can (`kandle forget`).
CREATE TABLE unused_instruments (
    instrument   text        PRIMARY KEY,
    record       bytea,
    requested_at timestamptz
);
CREATE INDEX unused_requested ON unused_instruments (instrument) WHERE requested_at IS NOT NULL;
