-- Partitions by day that nobody waits for. `day` of a row is where it is stored: its UTC day while
-- that has a partition that is open, else '0001-01-01', the one partition of old and far days. So
-- no input makes a partition, and none is missing.
CREATE TABLE partition_days (
    parent    text NOT NULL,
    day       date NOT NULL,
    closed_at timestamptz,                       -- writers store elsewhere since
    PRIMARY KEY (parent, day)
);

-- Make a day's partition. Who reads or writes the parent is not stopped: LIKE and ATTACH conflict
-- with other changes of the parent only, and the CHECK says what ATTACH would scan for.
CREATE FUNCTION make_partition(parent text, made date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    name text := parent || to_char(made, '_YYYYMMDD');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', name, parent);
    EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I CHECK (day >= %L AND day < %L)',
                   name, name || '_day', made, made + 1);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   parent, name, made, made + 1);
    INSERT INTO partition_days (parent, day) VALUES (make_partition.parent, made);
    RETURN true;
END $$;

-- Make the partitions of the days from `first` to `last`, counted from today; return how many.
CREATE FUNCTION make_partitions(parent text, first integer, last integer) RETURNS integer
LANGUAGE sql AS $$
    SELECT count(*) FILTER (WHERE make_partition(parent, (now() AT TIME ZONE 'UTC')::date + n))::int
    FROM generate_series(first, last) AS n
$$;

-- A commit is what one transaction of persist stores. Its number is taken under a shared advisory
-- lock on the number before it, so that a reader knows which numbers are still to come
-- (shared/stores/commits.py).
CREATE SEQUENCE commits MINVALUE 1;
SELECT nextval('commits');

-- The number of stored ticks by UTC day of event time: what the lake has to take, and what a day
-- is proved by before its partition goes.
CREATE TABLE stored_days (
    commit_id  bigint      NOT NULL,
    day        date        NOT NULL,
    tick_count integer     NOT NULL,
    stored_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (commit_id, day)
);
CREATE INDEX stored_days_of_day ON stored_days (day);

-- Value `i` of `n` in byte planes: the highest byte of each of them, then the next one, and so on.
-- Up to seven planes; `wide_value` reads any number.
CREATE FUNCTION plane_value(planes bytea, n integer, i integer) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE length(planes) / n
        WHEN 0 THEN 0::bigint
        WHEN 1 THEN get_byte(planes, i)::bigint
        WHEN 2 THEN get_byte(planes, i)::bigint << 8 | get_byte(planes, n + i)
        WHEN 3 THEN (get_byte(planes, i)::bigint << 8 | get_byte(planes, n + i))
            << 8 | get_byte(planes, 2 * n + i)
        WHEN 4 THEN ((get_byte(planes, i)::bigint << 8 | get_byte(planes, n + i))
            << 8 | get_byte(planes, 2 * n + i)) << 8 | get_byte(planes, 3 * n + i)
        WHEN 5 THEN (((get_byte(planes, i)::bigint << 8 | get_byte(planes, n + i))
            << 8 | get_byte(planes, 2 * n + i)) << 8 | get_byte(planes, 3 * n + i))
            << 8 | get_byte(planes, 4 * n + i)
        WHEN 6 THEN ((((get_byte(planes, i)::bigint << 8 | get_byte(planes, n + i))
            << 8 | get_byte(planes, 2 * n + i)) << 8 | get_byte(planes, 3 * n + i))
            << 8 | get_byte(planes, 4 * n + i)) << 8 | get_byte(planes, 5 * n + i)
        WHEN 7 THEN (((((get_byte(planes, i)::bigint << 8 | get_byte(planes, n + i))
            << 8 | get_byte(planes, 2 * n + i)) << 8 | get_byte(planes, 3 * n + i))
            << 8 | get_byte(planes, 4 * n + i)) << 8 | get_byte(planes, 5 * n + i))
            << 8 | get_byte(planes, 6 * n + i)
    END
$$;

CREATE FUNCTION wide_value(planes bytea, n integer, i integer) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(sum(get_byte(planes, k * n + i) * 256::numeric ^ (length(planes) / n - 1 - k)), 0)
    FROM generate_series(0, length(planes) / n - 1) AS k
$$;

-- A signed value: 0, -1, 1, -2, 2 ... stand as 0, 1, 2, 3, 4 ...
CREATE FUNCTION signed_value(planes bytea, n integer, i integer) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (plane_value(planes, n, i) >> 1) # -(plane_value(planes, n, i) & 1)
$$;

CREATE FUNCTION wide_signed_value(planes bytea, n integer, i integer) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN length(planes) / n < 8 THEN signed_value(planes, n, i)::numeric
        WHEN wide_value(planes, n, i) % 2 = 0 THEN div(wide_value(planes, n, i), 2)
        ELSE -div(wide_value(planes, n, i) + 1, 2)
    END
$$;
