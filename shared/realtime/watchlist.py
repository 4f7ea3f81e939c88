"""Watchlist: the symbols kept by the scanner feed and evaluated for patterns."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from shared.stores.redis import translated

if TYPE_CHECKING:
    import redis

OWN_KEY: Final = "kandle:watch"
"""Set of symbols added by users."""

SCANNER_PREFIX: Final = "scanner:latest:"
"""Keys of another system, one per symbol; only their names are read."""

MAX_SYMBOL_CHARACTERS: Final = 64
REFRESH_S: Final = 15.0
_SCAN_COUNT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Watchlist:
    """The union of Kandle's own set and the scanner's keys. Methods raise TransientError."""

    client: redis.Redis
    scanner_prefix: str = SCANNER_PREFIX

    def add(self, symbols: Iterable[str]) -> int:
        """Add to Kandle's own; return how many are new. Raises ValueError for an invalid symbol."""
        with translated():
            return self.client.sadd(OWN_KEY, *map(checked, symbols))

    def remove(self, symbols: Iterable[str]) -> int:
        """Remove from Kandle's own; return how many were removed."""
        with translated():
            return self.client.srem(OWN_KEY, *symbols)

    def own(self) -> frozenset[str]:
        """Return the symbols added by users."""
        with translated():
            members = cast(set[bytes], self.client.smembers(OWN_KEY))
        return frozenset(member.decode() for member in members)

    def scanner(self) -> frozenset[str]:
        """Return the scanner's symbols, read with SCAN so as not to block the server."""
        pattern = re.sub(r"([\\*?\[\]])", r"\\\1", self.scanner_prefix) + "*"
        start = len(self.scanner_prefix.encode())
        symbols = set()
        with translated():
            for key in self.client.scan_iter(match=pattern, count=_SCAN_COUNT):
                symbol = cast(bytes, key)[start:].decode(errors="replace")
                if _is_symbol(symbol):
                    symbols.add(symbol)
        return frozenset(symbols)

    def symbols(self) -> frozenset[str]:
        """Return all symbols that are watched."""
        return self.own() | self.scanner()


@dataclass(slots=True)
class Watched:
    """A watchlist cached for `refresh_s` (`clock`: monotonic); an empty one selects everything."""

    watchlist: Watchlist
    refresh_s: float = REFRESH_S
    clock: Callable[[], float] = time.monotonic
    symbols: frozenset[str] = frozenset()
    _read_at: float | None = field(default=None)

    def is_due(self) -> bool:
        """Return whether the cache has expired."""
        return self._read_at is None or self.clock() - self._read_at >= self.refresh_s

    def refresh(self) -> None:
        """Refresh the list if due. Raises TransientError, and keeps the old one."""
        if self.is_due():
            self.symbols = self.watchlist.symbols()
            self._read_at = self.clock()

    def selects(self, symbol: str) -> bool:
        """Return whether the symbol is watched, by the cached list."""
        return not self.symbols or symbol in self.symbols


def checked(symbol: str) -> str:
    """Return the symbol. Raises ValueError if it is invalid."""
    if not _is_symbol(symbol):
        raise ValueError(
            f"{symbol!r} is not a symbol: 1 to {MAX_SYMBOL_CHARACTERS} printable characters"
        )
    return symbol


def _is_symbol(text: str) -> bool:
    return (
        1 <= len(text) <= MAX_SYMBOL_CHARACTERS
        and text.isprintable()
        and not any(character.isspace() for character in text)
        and "\ufffd" not in text
    )
