"""Per-instrument state from stored ticks: latest trades and trade ids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.session import Session
from functions.candle_aggregate.steps.cache import Instruments
from functions.candle_aggregate.steps.latest import move
from functions.candle_aggregate.steps.seen_ids import Minute, SeenIds
from functions.candle_aggregate.steps.trade_ids import Part, Trades
from shared.realtime.instrument_records import NEVER_US
from shared.wire.ticks import Ticks

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
        floor_us: int,
    ) -> None:
        """Take in the state known without ticks.

        `last_us`, `close`: of the newest stored candle before the ticks that are read; its size is
        not known, and every tick outranks it.
        """
        data = self._instruments.data
        data["first_us"][self._gids] = first_us
        data["newest_us"][self._gids] = newest_us
        data["watermark_us"][self._gids] = np.minimum(newest_us, self._now_us)
        data["received_us"][self._gids] = self._now_us
        data["floor_us"][self._gids] = floor_us
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
        part = Part("", ticks, gids)
        nothing: dict[Minute, SeenIds] = defaultdict(SeenIds)
        chunks = Trades([part], self._instruments).decide(nothing)
        for (_, minute), chunk in chunks.items():
            self._seen[minute] += chunk
        move(self._instruments, [part], self._rules.allowed_lateness_us, self._now_us)

    def write(self, session: Session) -> Int64s:
        """Write instruments and ids; return up to where each instrument's candles are closed."""
        data = self._instruments.data
        limit_us: Int64s = data["watermark_us"][self._gids] - self._rules.allowed_lateness_us
        data["limit_us"][self._gids] = limit_us
        session.put_instruments(self._names, self._instruments.encode(self._gids))
        for minute, body in self._seen.items():
            session.append_seen(minute, body)
        return limit_us
