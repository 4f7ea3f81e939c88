"""The symbol that a user gives to a whole file, which must then be a file of one instrument."""

from __future__ import annotations

from pathlib import Path

from local.feeds.formats.errors import FeedFileError


class OneSymbol:
    """Names the ticks of a file: by the file's own symbols, or all by one that was given."""

    def __init__(self, path: Path, given: str | None) -> None:
        self._path = path
        self._given = given
        self._seen: str | None = None

    def of(self, row: int, symbol: str) -> str:
        """Return the symbol to send for the file's own `symbol`.

        Raises FeedFileError: one symbol was given, and the file holds a second instrument; under
        one name their prices would make candles of nothing.
        """
        if self._given is None:
            return symbol
        if self._seen is None:
            self._seen = symbol
        elif symbol != self._seen:
            raise FeedFileError(
                f"{self._path}: row {row} is of {symbol}, earlier rows of {self._seen}: "
                "one --symbol cannot name both; leave it out"
            )
        return self._given
