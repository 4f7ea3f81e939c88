"""Failed maintenance of the lake in `kandle lake status` and `kandle status`."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import psycopg

from shared.lake.maintenance.failures import record
from shared.stores.postgres import Postgres
from tests.local.cli.running import instance, invoke


def test_failures_are_shown_with_start_count_and_reason(database: str, tmp_path: Path) -> None:
    """A failure is shown with its start, count, reason and runbook entry.

    One that has succeeded since is not shown.
    """
    postgres = Postgres(database, size=1)
    postgres.check()
    postgres.close()
    instance(tmp_path, {"DATABASE_URL": database})
    url = ("--database-url", database)
    assert "nothing fails" in invoke("lake", "status", *url).stdout
    with psycopg.connect(database, autocommit=True) as connection:
        for _ in range(3):
            record(connection, {"copy": "object storage is away", "state": "", "expire": "no"})
        record(connection, {"expire": ""})
        row = connection.execute("SELECT to_char(since, 'YYYY-MM-DD HH24:MI') FROM lake_failures")
        ((since,),) = row.fetchall()
    for command in (("lake", "status", *url), ("status", "--data-dir", tmp_path)):
        shown = " ".join(invoke(*command).stdout.split())
        assert f"lake: copy failed 3 times in a row since {since}" in shown
        assert "object storage is away (docs/runbook.md#kandlelakefails)" in shown
        assert "expire" not in shown
    (line,) = invoke("lake", "status", *url, "--json").stdout.splitlines()
    assert json.loads(line)["rounds"] == 3
    output = json.loads(invoke("status", "--json", "--data-dir", tmp_path).stdout)
    assert [each["work"] for each in output["lake_failures"]] == ["copy"]


def test_storage_that_hangs_is_shown(servers: dict[str, str], tmp_path: Path) -> None:
    """Object storage that takes a connection and never answers is shown; one that works is not."""
    with socket.create_server(("127.0.0.1", 0)) as hung:
        url = f"http://127.0.0.1:{hung.getsockname()[1]}"
        instance(tmp_path, {"S3_ENDPOINT_URL": url})
        assert (
            f"storage does not answer at {url}" in invoke("status", "--data-dir", tmp_path).stdout
        )
        output = json.loads(invoke("status", "--json", "--data-dir", tmp_path).stdout)
        assert "does not answer" in output["object_storage"]
    instance(tmp_path, {"S3_ENDPOINT_URL": servers["S3_ENDPOINT_URL"]})
    output = json.loads(invoke("status", "--json", "--data-dir", tmp_path).stdout)
    assert output["object_storage"] is None


def test_status_works_without_the_database(tmp_path: Path) -> None:
    """`kandle status` leaves the lake out while the database is away."""
    instance(tmp_path, {"DATABASE_URL": "postgresql://127.0.0.1:1/none"})
    output = json.loads(invoke("status", "--json", "--data-dir", tmp_path).stdout)
    assert output["lake_failures"] is None
