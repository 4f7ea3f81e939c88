-- Work of the lake that fails, until a round does it: since when, in how many rounds, and why.
CREATE TABLE lake_failures (
    work   text        PRIMARY KEY,
    since  timestamptz NOT NULL DEFAULT clock_timestamp(),
    rounds integer     NOT NULL DEFAULT 1,
    reason text        NOT NULL
);
