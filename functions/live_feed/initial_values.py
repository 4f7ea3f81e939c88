"""Initial values: the newest stored trades and candles of what is watched."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from functions.live_feed.derived.history_api import HistoryApi
from functions.live_feed.fanout import Message, candle_message
from functions.live_feed.history_reads import HistoryReads, Read
from functions.live_feed.hub import Hub
from shared.market.timeframes import Timeframe
from shared.realtime import channels as live
from shared.realtime.leases import ALL

_NAMES_A_REQUEST: Final = 200
_LOADED_SINGLY: Final = 50
_RELOAD_S: Final = (2, 4, 8, 16, 32, 64)
"""Delays after which initial values are re-read once a lease has started.

Earlier messages were published to nobody and may still have been on their way to storage.
"""


@dataclass(slots=True)
class InitialValues:
    """Used by one event loop. Names are instruments and candle channels, as leased.

    `ladder`: candle-aggregate's timeframes, the base first. `since`: returns the position since
    which each leased name is watched.
    """

    hub: Hub
    history: HistoryApi
    ladder: tuple[Timeframe, ...]
    history_reads: HistoryReads
    since: Callable[[], Mapping[str, int]]
    _loaded: dict[str, tuple[float, ...]] = field(default_factory=dict)
    _unread: set[str] = field(default_factory=set)

    def keep(self, names: set[str]) -> None:
        """Forget all other names."""
        self._loaded = {n: t for n, t in self._loaded.items() if n in names}
        self._unread &= names

    def first(self, names: set[str]) -> dict[str, Read]:
        """Return reads of names that have not been read yet; one that fails is due again."""
        new = names - self._loaded.keys()
        self._unread |= new
        return self._reads(new)

    def due(self) -> dict[str, Read]:
        """Return reads of what may have been on its way to storage, or could not be read."""
        now_s = time.monotonic()
        self._unread -= self._loaded.keys()
        due = {name for name, again_s in self._loaded.items() if again_s and again_s[0] <= now_s}
        return self._reads(due | self._unread)

    def _reads(self, names: set[str]) -> dict[str, Read]:
        """Return reads by channel; a read of several instruments has that of one of them."""
        channels = set(filter(live.is_of_candles, names))
        base = {each for each in channels if each.split(":", 2)[1] in (self.ladder[0].name, ALL)}
        present = {each: {each} for each in names - channels}
        for each in base:
            present.setdefault(live.instrument_of(each) or ALL, set()).add(each)
        if ALL in present:
            present = {ALL: set().union(*present.values())}
        reads: dict[str, Read] = {}
        instruments = sorted(present)
        for n in range(0, len(instruments), _NAMES_A_REQUEST):
            chunk = instruments[n : n + _NAMES_A_REQUEST]
            known = set().union(*map(present.__getitem__, chunk))
            reads[f"{live.TICKS}:{chunk[0]}"] = partial(self._read_present, chunk, known)
        made = {each.name for each in self.ladder}
        longer = [
            each for each in channels - base if ALL not in each and each.split(":", 2)[1] in made
        ]
        first = self.history_reads.ordered(each for each in longer if each not in self._loaded)
        again = self.history_reads.ordered(each for each in longer if each in self._loaded)
        for channel in [*first, *again][:_LOADED_SINGLY]:
            reads[channel] = partial(self._read_newest, channel)
        return reads

    async def _read_present(self, instruments: list[str], names: set[str]) -> None:
        began_s = time.monotonic()
        for each in await self.history.present(instruments, self.ladder[0].name):
            self._pass_on(each)
        self._note_loaded(names, began_s)

    async def _read_newest(self, channel: str) -> None:
        began_s = time.monotonic()
        _, timeframe, symbol = channel.split(":", 2)
        newest = await self.history.newest(symbol, timeframe)
        if newest is not None:
            self._pass_on(candle_message(newest))
        self._note_loaded({channel}, began_s)

    def _pass_on(self, message: Message) -> None:
        """Pass history to the hub, unless the stream has the channel by now."""
        channel, since = message.channel, self.since()
        name = channel if live.is_of_candles(channel) else live.instrument_of(channel) or ALL
        begun = [since[each] for each in leases_of(name) if each in since]
        self.hub.take_history(message, min(begun, default=None))

    def _note_loaded(self, names: set[str], began_s: float) -> None:
        """Note when leased names are due again, their values being those of `began_s`."""
        now_s = time.monotonic()
        for name in names & self.since().keys():
            again_s = self._loaded.get(name)
            if again_s is None:
                self._loaded[name] = tuple(now_s + each for each in _RELOAD_S)
            else:
                self._loaded[name] = tuple(each for each in again_s if each > began_s)


def leases_of(name: str) -> Iterable[str]:
    """Return the leases under which candles of a channel, or an instrument's ticks, are sent."""
    return live.patterns_matching(name) if live.is_of_candles(name) else (name, ALL)
