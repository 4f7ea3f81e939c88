"""`kandle rejects list` over a real Postgres."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import typer
from typer.testing import CliRunner, Result

from local.cli.commands import rejects
from local.cli.commands.rejects import excerpt
from local.errors import CliError, PlatformError
from local.servers.ports import free_port
from shared.adapter.sink import CONNECTIONS
from shared.stores.migrations import migrate
from shared.wire import raw_batch as raw
from shared.wire.compression import decompress
from tests.local.broker.subscriber import Reply, Subscriber
from tests.local.cli.running import instance

DAY = timedelta(days=1)
NEWEST = datetime.now(UTC).replace(microsecond=0) - DAY
NEWEST_US = int(NEWEST.timestamp()) * 1_000_000
"""A day ago, so that the age of a reject is the same however long the tests before took."""

app = typer.Typer(pretty_exceptions_enable=False)
app.add_typer(rejects.app)


def invoke(*arguments: object, url: str | None = None, command: str = "list") -> Result:
    settings = {"DATABASE_URL": url, "KANDLE_DATA_DIR": None, "COLUMNS": None}
    return CliRunner().invoke(app, ["rejects", command, *map(str, arguments)], env=settings)


def refusal(*arguments: object, url: str | None = None) -> str:
    result = invoke(*arguments, url=url)
    assert isinstance(result.exception, PlatformError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


@pytest.fixture
def filled(database: str) -> str:
    """A database with five rejects, one an hour, the newest a day old."""
    rows = [
        ("bad_symbol", "SYMBOL must be ...", b"'; DROP TABLE rejects; --,1"),
        ("bad_price", "PRICE 'NaN' is not a decimal", b"BTC-USD,NaN"),
        ("bad_text", "byte 0 is not UTF-8", b"\xff\x00BTC\x1b]0;owned\x07\r\n"),
        ("bad_price", "PRICE '-1' must be above 0", b"ETH-USD,-1"),
        ("bad_price", "PRICE has \x1b[31m60,000 digits", b"BTC-USD," + b"9" * 60_000),
    ]
    with psycopg.connect(database) as connection:
        migrate(connection)
        for n, (code, detail, original) in enumerate(rows):
            connection.execute(
                "INSERT INTO rejects VALUES ('e', %s, %s, %s, %s, %s, 'udp-1', %s)",
                (n, code, detail, original, NEWEST_US - (4 - n) * 3_600_000_000, n),
            )
    return database


def listed(url: str, *arguments: object) -> list[int]:
    lines = invoke(*arguments, "--json", url=url).stdout.splitlines()
    return [json.loads(line)["sequence"] for line in lines]


def test_rejects_are_listed_with_reason_and_original(filled: str) -> None:
    """Rejects are listed with time, code, detail, original and source, then counted by code."""
    result = invoke("--database-url", filled)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    row = next(line for line in lines if "NaN" in line)
    for part in ("bad_price", "PRICE 'NaN' is not a decimal", "BTC-USD,NaN", "udp-1"):
        assert part in row
    assert lines[-3:] == ["bad_price: 3", "bad_symbol: 1", "bad_text: 1"]


def test_originals_cannot_control_the_terminal(filled: str) -> None:
    """Control characters and bytes that are not text are shown as escapes."""
    result = invoke(url=filled)
    assert r"\xff\x00BTC\x1b]0;owned\x07\r\n" in result.output
    assert all(c.isprintable() or c == "\n" for c in result.output)


def test_json_lines_have_the_whole_original(filled: str) -> None:
    """JSON lines have the whole original, with the counts on stderr."""
    result = invoke("--json", url=filled)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["sequence"] for each in found] == [0, 1, 2, 3, 4]
    assert base64.b64decode(found[2]["original_base64"]) == b"\xff\x00BTC\x1b]0;owned\x07\r\n"
    assert found[4]["original_bytes"] == 60_008
    assert len(found[4]["original"]) == rejects.EXCERPT_CHARS
    assert datetime.fromisoformat(found[4]["time"]).timestamp() * 1e6 == NEWEST_US
    assert "bad_price: 3" in result.stderr


def test_rejects_are_filtered_by_text_code_and_time(filled: str) -> None:
    """Each option filters rejects and counts, and its value is never SQL."""
    assert listed(filled, "--symbol-contains", "BTC") == [1, 2, 4]
    assert listed(filled, "--symbol-contains", "BTC", "--code", "bad_price") == [1, 4]
    assert listed(filled, "--since", "-1590m") == [2, 3, 4]
    assert listed(filled, "--since", NEWEST_US // 1000) == [4]
    assert listed(filled, "--symbol-contains", "'; DROP TABLE rejects; --") == [0]
    assert listed(filled, "--code", "x' OR 'a' = 'a") == []
    assert listed(filled, "--symbol-contains", "%") == []
    assert invoke("--code", "none", url=filled).stdout == "no rejects\n"


def test_a_limit_shows_the_newest_and_counts_all(filled: str) -> None:
    """With a limit the newest rejects are shown, and the counts are of all."""
    result = invoke("--limit", 2, "--json", url=filled)
    assert [json.loads(line)["sequence"] for line in result.stdout.splitlines()] == [3, 4]
    assert "bad_symbol: 1" in result.stderr
    assert "5 rejects, the newest 2 shown" in result.stderr


def test_database_url_of_the_running_instance_is_the_default(filled: str, tmp_path: Path) -> None:
    """Without a flag DATABASE_URL of the running instance is used; without an instance it is an
    error.
    """
    assert "kandle up" in refusal("--data-dir", tmp_path)
    instance(tmp_path, {"DATABASE_URL": filled})
    assert "bad_text: 1" in invoke("--data-dir", tmp_path).stdout


def test_an_unreadable_database_is_one_line(empty_database: str) -> None:
    """An unreachable, missing or unused database is one line without the password."""
    away = refusal(url=f"postgresql://me:secret@127.0.0.1:{free_port()}/x")
    assert "cannot use Postgres" in away
    assert "secret" not in away
    assert "cannot use Postgres" in refusal(url="nonsense")
    assert 'not used this database: relation "rejects" does not' in refusal(url=empty_database)
    assert "--since: 'soon' is not a time" in refusal("--since", "soon", url=empty_database)


def test_a_long_excerpt_is_truncated() -> None:
    """An excerpt is at most as long as its limit, with a mark where it is truncated."""
    assert excerpt(b"abc", 3) == "abc"
    assert excerpt(b"abcd", 3) == "ab…"
    assert excerpt("\N{RIGHT-TO-LEFT OVERRIDE}é".encode()) == "\\u202eé"


def test_each_reason_has_a_sample_and_a_fix(filled: str) -> None:
    """Each reason and source has its newest sample and a fix, the most frequent first."""
    result = invoke("--by", "reason", "--json", url=filled)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(each["reason"], each["source"], each["rejects"]) for each in found] == [
        ("bad_price", "udp", 3),
        ("bad_symbol", "udp", 1),
        ("bad_text", "udp", 1),
    ]
    assert found[0]["sample"].startswith("BTC-USD,999")
    assert found[1]["fix"] == "SYMBOL must be ..."
    table = invoke("--by", "reason", url=filled).stdout
    assert "SYMBOL must be ..." in table
    assert "\x1b" not in table


def test_replayed_rejects_leave_the_table(database: str) -> None:
    """Replayed rejects are sent unchanged and removed.

    One that is not a whole payload, or that the broker refused, stays.
    """
    rows = [
        (b"A,1", raw.FORMAT_CSV),
        (b"symbol;price\nB;2", raw.FORMAT_CSV),
        (b'{"symbol":"C","price":3}', raw.FORMAT_SCANNER),
        (b"\x0a\x01D", raw.FORMAT_TICKER_STREAM),
        (b'{"px":"1"}', raw.FORMAT_OKX),
        (b"", raw.FORMAT_CSV),
    ]
    with psycopg.connect(database) as connection:
        migrate(connection)
        for n, (original, format_) in enumerate(rows):
            connection.execute(
                "INSERT INTO rejects VALUES ('e', %s, 'c', 'd', %s, %s, 'udp-1', %s, %s)",
                (n, original, NEWEST_US + n, n, format_),
            )
    broker = Subscriber()
    try:
        broker.is_away = True
        refused = invoke("--broker-url", broker.url, url=database, command="replay")
        assert isinstance(refused.exception, CliError)
        broker.is_away = False
        result = invoke("--broker-url", broker.url, url=database, command="replay")
        batches = [raw.RawBatch.decode(decompress(each.body)) for each in broker.received]
        again = invoke("--broker-url", broker.url, "--json", url=database, command="replay")
        assert json.loads(again.stdout) == {"sent": 0, "left": 2}
    finally:
        broker.close()
    assert "sent 4 rejects again" in result.stdout
    sent = sorted((b.format, b.payloads, b.receive_time_us.tolist()) for b in batches)
    assert sent == [  # they are posted at the same time
        (raw.FORMAT_CSV, b"A,1symbol;price\nB;2", [NEWEST_US, NEWEST_US + 1]),
        (raw.FORMAT_TICKER, b"\x0a\x01D", [NEWEST_US + 3]),
        (raw.FORMAT_SCANNER, b'{"symbol":"C","price":3}', [NEWEST_US + 2]),
    ]
    with psycopg.connect(database) as connection:
        left = connection.execute("SELECT original FROM rejects ORDER BY position").fetchall()
    assert left == [(b'{"px":"1"}',), (b"",)]


def test_a_replay_that_was_cut_off_is_repeated_under_the_same_ids(database: str) -> None:
    """Rejects that the broker has and the table still lists keep their event ids.

    So do those of one event when rejects of others have come meanwhile.
    """

    def add(connection: psycopg.Connection, events: str) -> None:
        for n, event in enumerate(events):
            for position in (0, 1):
                connection.execute(
                    "INSERT INTO rejects VALUES (%s, %s, 'c', 'd', 'A,1', %s, 'udp-1', %s, %s)",
                    (event, position, NEWEST_US + n, position, raw.FORMAT_CSV),
                )

    broker = Subscriber()
    try:
        with psycopg.connect(database) as connection:
            migrate(connection)
            add(connection, "ab")
        invoke("--broker-url", broker.url, url=database, command="replay")
        before = {each.id for each in broker.received}
        with psycopg.connect(database) as connection:
            add(connection, "abc")
        invoke("--broker-url", broker.url, url=database, command="replay")
    finally:
        broker.close()
    assert len(before) == 2
    after = [each.id for each in broker.received][2:]
    assert len(after) == 3
    assert before < set(after)


def test_a_limit_divides_no_event(database: str) -> None:
    """A limit within an event takes the rest of it too, so that its id is that of any limit."""
    rows = [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2), ("c", 0)]

    def replayed(limit: int) -> list[str]:
        with psycopg.connect(database) as connection:
            migrate(connection)
            connection.execute("DELETE FROM rejects")
            for n, (event, position) in enumerate(rows):
                connection.execute(
                    "INSERT INTO rejects VALUES (%s, %s, 'c', 'd', 'A,1', %s, 'udp-1', %s, %s)",
                    (event, position, NEWEST_US + n, n, raw.FORMAT_CSV),
                )
        done = len(broker.received)
        url = broker.url
        invoke("--broker-url", url, "--limit", limit, url=database, command="replay")
        return sorted(each.id for each in broker.received[done:])

    broker = Subscriber()
    try:
        found = {limit: replayed(limit) for limit in range(1, 7)}
    finally:
        broker.close()
    assert [len(each) for each in found.values()] == [1, 1, 2, 2, 2, 3]
    assert found[3] == found[5]
    assert set(found[1]) < set(found[3]) < set(found[6])


def test_rejects_of_many_events_are_sent_in_batches(database: str) -> None:
    """A refused event keeps those of its batch; what was sent in batches before has left."""

    def fill(events: range) -> None:
        with psycopg.connect(database) as connection:
            migrate(connection)
            for n in events:
                connection.execute(
                    "INSERT INTO rejects VALUES (%s, 0, 'c', 'd', 'A,1', %s, 'okx-1', %s, %s)",
                    (f"e{n}", NEWEST_US + n, n, raw.FORMAT_CSV),
                )

    broker = Subscriber()
    try:
        fill(range(100, 101))
        invoke("--broker-url", broker.url, url=database, command="replay")
        (one,) = broker.received
        broker.script[one.id] = [Reply(503)]
        fill(range(130))
        refused = invoke("--broker-url", broker.url, url=database, command="replay")
    finally:
        broker.close()
    assert isinstance(refused.exception, CliError)
    with psycopg.connect(database) as connection:
        left = connection.execute("SELECT min(sequence), count(*) FROM rejects").fetchone()
    assert left == (CONNECTIONS, 130 - CONNECTIONS)


def test_two_replays_at_once_are_refused(filled: str) -> None:
    """The second of two replays names the first: both would send the same rejects."""
    with psycopg.connect(filled) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext('kandle rejects replay'))")
        refused = invoke("--broker-url", "http://127.0.0.1:9", url=filled, command="replay")
        assert "another replay" in str(refused.exception)
