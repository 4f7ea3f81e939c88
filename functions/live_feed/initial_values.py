"""Initial values: the newest stored trades and candles of what is watched."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Final

from functions.live_feed.derived.history_api import HistoryApi
from functions.live_feed.fanout import Message, candle_message
from functions.live_feed.history_reads import HistoryReads
from functions.live_feed.hub import Hub
from shared.market.timeframes import Timeframe
from shared.realtime import channels as live
from shared.realtime.leases import ALL

_NAMES_A_REQUEST: Final = 200
_RELOAD_S: Final = (2, 4, 8, 16, 32, 64)
"""Delays after which initial values are re-read once a lease has started.

Earlier messages were published to nobody and may still have been on their way to storage. The
first is also the pause until a lease has started.
"""

Load = Callable[[], Awaitable[Iterable[Message]]]


@dataclass(slots=True)
class _Values:
    """Values that one request returns. `again_s`: when to read them, on the monotonic clock."""

    values: InitialValues
    names: set[str]
    load: Load
    is_leased: bool = False
    again_s: Sequence[float] = ()

    def due_s(self) -> float:
        """Return in how many seconds to read them."""
        return self.again_s[0] - time.monotonic() if self.again_s else math.inf

    async def read(self) -> None:
        """Read them, and again once they are leased. Raises TransientError."""
        began_s = time.monotonic()
        for each in await self.load():
            self.values.pass_on(each)
        self.again_s = [each for each in self.again_s if each > began_s]
        if not self.is_leased:
            self.is_leased = not self.names.isdisjoint(self.values.since())
            delays_s, now_s = _RELOAD_S if self.is_leased else _RELOAD_S[:1], time.monotonic()
            self.again_s = [now_s + each for each in delays_s]

    begin = read


@dataclass(slots=True)
class InitialValues:
    """Used by one event loop. Names are instruments and candle channels, as leased.

    `ladder`: candle-aggregate's timeframes, the base first. `since`: returns the position since
    which each leased name is watched.
    """

    hub: Hub
    history: HistoryApi
    ladder: tuple[Timeframe, ...]
    reads: HistoryReads
    since: Callable[[], Mapping[str, int]]
    _read_as: dict[str, str] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=count)

    def keep(self, names: set[str]) -> None:
        """Read no other names any more."""
        before = set(self._read_as.values())
        self._read_as = {name: each for name, each in self._read_as.items() if name in names}
        for each in before.difference(self._read_as.values()):
            self.reads.end(each)

    def begin(self, names: set[str]) -> list[str]:
        """Begin to read names, as few requests for many instruments; return their reads."""
        made = [each.name for each in self.ladder]
        present: dict[str, set[str]] = {}
        for name in names - self._read_as.keys():
            _, timeframe, symbol = (
                name.split(":", 2) if live.is_of_candles(name) else ("", ALL, name)
            )
            if timeframe in (made[0], ALL):
                present.setdefault(symbol, set()).add(name)
            elif symbol != ALL and timeframe in made:
                self._begin(name, symbol, {name}, partial(self._newest, symbol, timeframe))
        if ALL in present:
            present = {ALL: set().union(*present.values())}
        instruments = sorted(present)
        for n in range(0, len(instruments), _NAMES_A_REQUEST):
            some = instruments[n : n + _NAMES_A_REQUEST]
            known = set().union(*map(present.__getitem__, some))
            load = partial(self.history.present, some, made[0])
            read = f"present {next(self._numbers)} of {some[0]}"
            self._begin(read, some[0], known, load, turn=read)
        return [self._read_as[name] for name in names & self._read_as.keys()]

    def _begin(self, read: str, symbol: str, names: set[str], load: Load, turn: str = "") -> None:
        self._read_as |= dict.fromkeys(names, read)
        self.reads.begin(read, symbol, _Values(self, names, load), turn)

    async def _newest(self, symbol: str, timeframe: str) -> list[Message]:
        newest = await self.history.newest(symbol, timeframe)
        return [] if newest is None else [candle_message(newest)]

    def pass_on(self, message: Message) -> None:
        """Pass history to the hub, unless the stream has the channel by now."""
        channel, since = message.channel, self.since()
        name = channel if live.is_of_candles(channel) else live.instrument_of(channel) or ALL
        begun = [since[each] for each in leases_of(name) if each in since]
        self.hub.take_history(message, min(begun, default=None))


def leases_of(name: str) -> Iterable[str]:
    """Return the leases under which candles of a channel, or an instrument's ticks, are sent."""
    return live.patterns_matching(name) if live.is_of_candles(name) else (name, ALL)
