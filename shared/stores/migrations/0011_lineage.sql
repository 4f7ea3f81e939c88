-- The live state of each shard as Postgres last heard of it. A state of another lineage, or with
-- fewer steps, lacks some of what is recorded as aggregated: it is made anew.
CREATE TABLE shard_lineage (
    shard    smallint PRIMARY KEY,
    lineage  text     NOT NULL,
    steps    bigint   NOT NULL,
    clock_us bigint   NOT NULL                   -- wall clock when Postgres last heard
);

-- What all candles are made by: one row. Who was given another ladder or number of shards says so.
CREATE TABLE aggregation (
    only_row boolean  PRIMARY KEY DEFAULT true CHECK (only_row),
    ladder   text     NOT NULL,
    shards   smallint NOT NULL
);

-- A repair stays in the queue until what it published is stored: these timeframes, under this
-- revision. An empty timeframe is the base one.
ALTER TABLE repairs ADD COLUMN published_us bigint;
ALTER TABLE repairs ADD COLUMN published text[] NOT NULL DEFAULT '{}';

-- Whether the stored candles that a gap touches are queued to be judged.
ALTER TABLE gaps ADD COLUMN queued boolean NOT NULL DEFAULT false;
UPDATE gaps SET queued = true;
