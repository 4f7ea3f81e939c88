"""Bounds of instruments, timeframes and times, checked before any store is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.errors import PermanentError
from shared.market.timeframes import Timeframe

EARLIEST_US: Final = -(10**16)
LATEST_US: Final = 10**17
"""Range of times (1653 to 5138): every store has days for them, and every sum fits 64 bits."""
MAX_NAME_CHARACTERS: Final = 128


def check_instrument(code: str, name: str) -> None:
    """Raise PermanentError `code` for a name not valid in every store, key or subject."""
    if not (1 <= len(name) <= MAX_NAME_CHARACTERS and name.isprintable()):
        raise PermanentError(
            code,
            f"an instrument is 1 to {MAX_NAME_CHARACTERS} printable characters, not {name[:40]!r}",
        )


def check_instruments(code: str, names: Sequence[str]) -> None:
    """Raise PermanentError `code` if any of the names is invalid."""
    if names and not (
        "".join(names).isprintable()
        and 1 <= min(map(len, names)) <= max(map(len, names)) <= MAX_NAME_CHARACTERS
    ):
        for name in names:
            check_instrument(code, name)


def check_start(code: str, instrument: str, timeframe: str, start_us: int) -> None:
    """Raise PermanentError `code` for times outside the range of candles."""
    check_instrument(code, instrument)
    try:
        Timeframe.parse(timeframe)
    except ValueError as error:
        raise PermanentError(code, f"a candle of {instrument!r}: {error}") from error
    if not EARLIEST_US <= start_us < LATEST_US:
        raise PermanentError(code, f"a candle of {instrument!r} at a time that is none: {start_us}")
