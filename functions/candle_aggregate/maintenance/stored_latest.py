"""Per-instrument state from stored ticks: latest trades and trade ids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from functions.candle_aggregate.session import Session
from functions.candle_aggregate.steps.cache import Instruments
from functions.candle_aggregate.steps.latest import move
from functions.candle_aggregate.steps.seen_ids import Minute, SeenIds
from functions.candle_aggregate.steps.trade_ids import Part, Trades
from shared.realtime.instrument_records import NEVER_US
from shared.wire.ticks import Ticks

Int64s = NDArray[np.int64]


class StoredInstruments:
    """The records of a shard's instruments, numbered as in `names`, from what is stored."""

    def __init__(self, session: Session, names: Sequence[str]) -> None:
        self._session, self._names = session, names
        self._instruments = Instruments(session.rules.shards)
        self._gids = self._instruments.gids(names)
        self._instruments.begin(self._gids, range(len(names)))
        self._seen: dict[int, bytes] = defaultdict(bytes)

    def begin(
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
        data, now_us = self._instruments.data, self._session.now_us
        data["first_us"][self._gids] = first_us
        data["newest_us"][self._gids] = newest_us
        data["watermark_us"][self._gids] = np.minimum(newest_us, now_us)
        data["received_us"][self._gids] = now_us
        data["floor_us"][self._gids] = floor_us
        for gid, time_us, price in zip(self._gids.tolist(), last_us.tolist(), close, strict=True):
            if price is None:
                continue
            scale = max(0, -int(price.as_tuple().exponent))
            mantissa = int(price.scaleb(scale))
            data["last"][gid] = NEVER_US
            data["last"][gid][0] = time_us
            data["price_scale"][gid] = scale
            if abs(mantissa) < 2**63:
                data["price"][gid] = mantissa
            else:
                self._instruments.wide[gid] = (mantissa, 0)

    def take(self, ticks: Ticks) -> None:
        """Take in ticks that count, of one source."""
        part = Part("", ticks, self._instruments.gids(ticks.names))
        nothing: dict[Minute, SeenIds] = defaultdict(SeenIds)
        for (_, minute), chunk in Trades([part], self._instruments).decide(nothing).items():
            self._seen[minute] += chunk
        lateness_us = self._session.rules.allowed_lateness_us
        move(self._instruments, [part], lateness_us, self._session.now_us)

    def write(self) -> Int64s:
        """Write instruments and ids; return up to where each instrument's candles are closed."""
        session, data = self._session, self._instruments.data
        limit_us: Int64s = data["watermark_us"][self._gids] - session.rules.allowed_lateness_us
        data["limit_us"][self._gids] = limit_us
        session.put_instruments(self._names, self._instruments.encode(self._gids))
        for minute, body in self._seen.items():
            session.append_seen(minute, body)
        return limit_us
