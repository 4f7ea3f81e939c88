"""What stored ticks say of their instruments besides the candles: latest trades, and ids seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from functions.candle_aggregate.cache import Instruments
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.seen import Part, Trades
from functions.candle_aggregate.work import Work
from shared.live_instruments import NEVER_US
from shared.ticks import VOLUME_ONLY, Ticks

Int64s = NDArray[np.int64]


class Witness:
    """Gathers the records of a shard's instruments, numbered as in `names`."""

    def __init__(self, names: Sequence[str], rules: Rules, now_us: int) -> None:
        self._names, self._rules, self._now_us = names, rules, now_us
        self._instruments = Instruments(rules.shards)
        self._gids = self._instruments.gids(names)
        self._instruments.begin(self._gids, range(len(names)))
        self._seen: dict[int, bytes] = defaultdict(bytes)

    def remember(
        self,
        first_us: Int64s,
        newest_us: Int64s,
        last_us: Int64s,
        close: Sequence[Decimal | None],
    ) -> None:
        """Take in what is known without ticks.

        `last_us`, `close`: of the newest stored candle before the ticks that are read; its size is
        not known, and every tick outranks it.
        """
        data = self._instruments.data
        data["first_us"][self._gids] = first_us
        data["newest_us"][self._gids] = newest_us
        data["watermark_us"][self._gids] = np.minimum(newest_us, self._now_us)
        data["received_us"][self._gids] = self._now_us
        for gid, time_us, price in zip(self._gids.tolist(), last_us.tolist(), close, strict=True):
            if price is None:
                continue
            exponent = price.as_tuple().exponent
            assert isinstance(exponent, int)
            scale = max(0, -exponent)
            mantissa = int(price.scaleb(scale))
            data["last"][gid] = NEVER_US
            data["last"][gid][0] = time_us
            data["price_scale"][gid] = scale
            if abs(mantissa) < 2**63:
                data["price"][gid] = mantissa
            else:
                self._instruments.wide[gid] = (mantissa, 0)

    def see(self, ticks: Ticks) -> None:
        """Take in ticks that count, of one source."""
        gids = self._instruments.gids(ticks.names)
        chunks = Trades([Part("", ticks, gids)], self._instruments).decide({})
        for (_, minute), chunk in chunks.items():
            self._seen[minute] += chunk
        data = self._instruments.data
        ends = np.cumsum(ticks.entries.counts)
        starts = ends - ticks.entries.counts
        np.maximum.at(data["newest_us"], gids, ticks.event_time_us[ends - 1])
        known_by = np.minimum(ticks.event_time_us, ticks.receive_time_us)
        np.maximum.at(data["watermark_us"], gids, np.maximum.reduceat(known_by, starts))
        for gid, start, end in zip(gids.tolist(), starts.tolist(), ends.tolist(), strict=True):
            self._see_last(ticks, gid, start, end)

    def write(self, work: Work) -> Int64s:
        """Write instruments and ids; return up to where each instrument's candles are closed."""
        data = self._instruments.data
        limit_us: Int64s = data["watermark_us"][self._gids] - self._rules.allowed_lateness_us
        data["limit_us"][self._gids] = limit_us
        work.put_instruments(self._names, self._instruments.encode(self._gids))
        for minute, body in self._seen.items():
            work.append_seen(minute, body)
        return limit_us

    def _see_last(self, ticks: Ticks, gid: int, start: int, end: int) -> None:
        rows = np.flatnonzero((ticks.flags[start:end] & VOLUME_ONLY) == 0)
        if not len(rows):
            return
        row = start + int(rows[-1])
        key = tuple(ticks.key_at(row))
        here = self._instruments.data[gid : gid + 1]
        if key <= tuple(here["last"][0].tolist()):
            return
        entry = int(np.searchsorted(np.cumsum(ticks.entries.counts), row, side="right"))
        price, size = int(ticks.price[row]), int(ticks.size[row])
        here["last"][0] = key
        here["price_scale"] = ticks.entries.price_scale[entry]
        here["size_scale"] = ticks.entries.size_scale[entry]
        self._instruments.wide.pop(gid, None)
        if abs(price) < 2**63 and size < 2**63:
            here["price"], here["size"] = price, size
        else:
            self._instruments.wide[gid] = (price, size)
