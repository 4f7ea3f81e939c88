"""Rows in a real Postgres: idempotent and exact."""

from __future__ import annotations

from decimal import Decimal

import psycopg
import pytest

from functions.persist.writer import Writer
from shared.errors import TransientError
from shared.stores.postgres import Postgres
from shared.wire.candle import Candle
from shared.wire.candle_columns import columns_of
from shared.wire.rejects import Reject

DAY_US = 86_400_000_000


@pytest.fixture
def writer(postgres: Postgres) -> Writer:
    return Writer(postgres)


def candle(revision: int, close: str) -> Candle:
    one = Decimal(1)
    return Candle(
        *("A", "1m", 0, one, Decimal("1e30"), Decimal("1e-30"), Decimal(close), one, one, 1),
        *(one, one, 5, 6, True, False, True, revision),
    )


def test_the_highest_revision_stays(writer: Writer, database: str) -> None:
    """A lower revision of a candle never replaces a higher one, in any order."""
    told = [(2, "20"), (3, "30.5"), (1, "10"), (3, "30.5")]
    changed = [writer.candles(columns_of([candle((1 << 32) + n, close)])) for n, close in told]
    assert changed == [1, 1, 0, 0]
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT revision, close, high, low FROM candles").fetchall()
    assert rows == [((1 << 32) + 3, Decimal("30.5"), Decimal("1e30"), Decimal("1e-30"))]


def test_rejects_keep_their_bytes(writer: Writer, database: str) -> None:
    """A reject is stored with its original bytes, whatever they are."""
    original = bytes(range(256))
    rejects = [Reject(original, "bad_text", "byte 128", 5, 65536)]
    assert writer.rejects("e1", "udp-1", rejects)
    assert not writer.rejects("e1", "udp-1", rejects)
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT code, original, sequence FROM rejects").fetchall()
    assert rows == [("bad_text", original, 65536)]


def test_postgres_away_is_a_transient_error() -> None:
    """An unreachable Postgres is a transient error, so that the event is redelivered."""
    postgres = Postgres("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(TransientError, match="Postgres is away"):
        postgres.check()
    postgres.close()
