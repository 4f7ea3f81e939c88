"""Decimals, timeframes, settings, compression and raw batches."""

from __future__ import annotations

import contextlib
from decimal import Decimal, Inexact

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import PermanentError
from shared.market.decimals import EXACT, from_mantissa, mantissa_text, to_text
from shared.market.timeframes import DEFAULT_LADDER, Timeframe, parse_ladder
from shared.runtime.settings import Environment, SettingsError
from shared.wire.compression import MAX_UNPACKED_BYTES, compress, decompress
from shared.wire.raw_batch import RawBatch


@given(st.integers(-(2**63), 2**63), st.integers(0, 60))
def test_a_decimal_text_reads_back_as_the_same_value(mantissa: int, scale: int) -> None:
    """Text is exact, plain, and the same for equal values."""
    value = from_mantissa(mantissa, scale)
    text = to_text(value)
    assert Decimal(text) == value
    assert "E" not in text
    assert text == to_text(from_mantissa(mantissa * 1000, scale + 3))


@given(st.integers(-(2**63), 2**63), st.integers(0, 30))
def test_a_mantissa_is_written_like_its_decimal(mantissa: int, scale: int) -> None:
    """The short way gives the same text, and division of the whole numbers the nearest double."""
    value = from_mantissa(mantissa, scale)
    assert mantissa_text(mantissa, scale) == to_text(value)
    assert mantissa / 10**scale == float(value)


def test_sums_that_would_round_raise() -> None:
    """No digit is ever dropped without a sound."""
    with pytest.raises(Inexact):
        EXACT.add(Decimal("1e400"), Decimal("1e-400"))


def test_timeframes_must_nest() -> None:
    """Longer candles merge the shorter, so each must be a multiple."""
    assert [t.name for t in parse_ladder(DEFAULT_LADDER)] == ["1m", "5m", "15m", "1h", "4h", "1d"]
    with pytest.raises(ValueError, match="7m is no multiple of 5m"):
        parse_ladder("1m,5m,7m")
    with pytest.raises(ValueError, match="such as 1m"):
        Timeframe.parse("1x")


def test_an_interval_begins_at_its_multiple() -> None:
    """Times before 1970 too."""
    minute = Timeframe.parse("1m")
    assert minute.start_us(119_999_999) == 60_000_000
    assert minute.start_us(120_000_000) == 120_000_000
    assert minute.start_us(-1) == -60_000_000


def test_all_bad_settings_are_reported_together() -> None:
    """One start tells everything that is missing or bad."""
    env = Environment({"COUNT": "many", "TIMEFRAMES": "1m,90s"})
    env.text("DATABASE_URL")
    env.integer("COUNT", 5, 1, 10)
    env.parsed("TIMEFRAMES", "1m", parse_ladder)
    with pytest.raises(SettingsError) as caught:
        env.check()
    text = str(caught.value)
    assert "DATABASE_URL is not set" in text
    assert "COUNT='many' is not a whole number from 1 to 10" in text
    assert "TIMEFRAMES: timeframe 90s is no multiple of 1m" in text


def test_a_compressed_body_may_not_unpack_without_bound() -> None:
    """A small body that claims to unpack to more than the limit is refused before it does."""
    bomb = compress(bytes(MAX_UNPACKED_BYTES + 1))
    with pytest.raises(PermanentError, match="at most"):
        decompress(bomb)
    with pytest.raises(PermanentError, match="no zstd"):
        decompress(b"plain")


@given(st.lists(st.tuples(st.binary(max_size=20), st.integers(0, 2**50)), max_size=10))
def test_raw_payloads_come_back_as_they_were(payloads: list[tuple[bytes, int]]) -> None:
    """Payload bytes, lengths and receive times survive the wire, whatever the bytes."""
    batch = RawBatch(
        1,
        "udp-1",
        7,
        b"".join(p for p, _ in payloads),
        np.array([len(p) for p, _ in payloads], dtype=np.int64),
        np.array([t for _, t in payloads], dtype=np.int64),
    )
    back = RawBatch.decode(batch.encode())
    assert (back.format, back.source, back.first_sequence) == (1, "udp-1", 7)
    assert back.payloads == batch.payloads
    np.testing.assert_array_equal(back.lengths, batch.lengths)
    np.testing.assert_array_equal(back.receive_time_us, batch.receive_time_us)


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_raw_decoder(body: bytes) -> None:
    """Whatever the bytes, the answer is a batch or a PermanentError."""
    with contextlib.suppress(PermanentError):
        RawBatch.decode(body)
