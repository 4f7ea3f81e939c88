"""Bring the schema of DATABASE_URL up to date: `python -m shared.stores.migrations`."""

from __future__ import annotations

import os
import sys

import psycopg

from shared.stores.migrations import migrate


def main() -> None:
    """Command line."""
    dsn = os.environ.get("DATABASE_URL")
    if not dsn:
        sys.exit("DATABASE_URL is not set")
    with psycopg.connect(dsn) as connection:
        applied = migrate(connection)
    sys.stdout.write("".join(f"applied {name}\n" for name in applied) or "up to date\n")


if __name__ == "__main__":
    main()
