-- The lake as two Iceberg tables: their catalog, and what of Postgres is in them.

-- The catalog, as Iceberg's JdbcCatalog and PyIceberg's SqlCatalog define it.
CREATE TABLE iceberg_tables (
    catalog_name               varchar(255) NOT NULL,
    table_namespace            varchar(255) NOT NULL,
    table_name                 varchar(255) NOT NULL,
    metadata_location          varchar(1000),
    previous_metadata_location varchar(1000),
    iceberg_type               varchar(5),
    PRIMARY KEY (catalog_name, table_namespace, table_name)
);
CREATE TABLE iceberg_namespace_properties (
    catalog_name   varchar(255)  NOT NULL,
    namespace      varchar(255)  NOT NULL,
    property_key   varchar(255)  NOT NULL,
    property_value varchar(1000) NOT NULL,
    PRIMARY KEY (catalog_name, namespace, property_key)
);
INSERT INTO iceberg_namespace_properties VALUES ('kandle', 'kandle', 'exists', 'true');

-- The lake's position is changed in the transaction that gives the table its new snapshot.
UPDATE lake_position SET commit_id = 0;

-- A UTC day of ticks in the lake. `taken`: rows copied; `row_count` and `digest`: what its files
-- must hold, once repeated trades were dropped.
CREATE TABLE lake_days (
    day          date        PRIMARY KEY,
    taken        bigint      NOT NULL,
    row_count    bigint      NOT NULL,
    digest       bigint      NOT NULL,
    changed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    tried_at     timestamptz,               -- when compaction last looked at it
    compacted_at timestamptz,               -- when nothing was left to be compacted
    verified_at  timestamptz                -- when its files were read back, and were all there
);

-- Days of candles that changed since they were copied: a row for each change, struck by its id.
DROP TABLE lake_pending_candles;
CREATE TABLE lake_pending_candles (
    id    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day   date        NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO lake_pending_candles (day)
    SELECT DISTINCT date '1970-01-01' + floor(start_us / 86400000000.0)::int FROM candles;

-- Days of which candles left Postgres.
CREATE TABLE cold_candle_days (day date PRIMARY KEY);

-- `lake_files` names the objects of a lake made before; `kandle lake take-over` drops it.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM lake_files) THEN
        DROP TABLE lake_files;
    END IF;
END $$;
