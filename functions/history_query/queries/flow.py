"""Order flow: delta, cumulative delta and anchored VWAP of candles, and volume profiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np

from functions.history_query.api.parameters import ParameterError
from functions.history_query.queries.candles import CandlePages
from functions.history_query.queries.closed_and_live import StoredRange
from functions.history_query.queries.flow_request import FlowRequest, ProfileRequest
from shared.candles.order_flow import (
    DAY_US,
    Profile,
    Sides,
    TickRule,
    ValueArea,
    Volumes,
    value_area,
    volumes_by_side,
)
from shared.candles.trades import Trades
from shared.market.decimals import EXACT, from_mantissa, to_text
from shared.market.resolution import covered
from shared.wire.candle_json import vwap_text

MAX_LEVELS: Final = 10_000
_BATCH: Final = 5_000
_WIDTH_US: Final = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Flow:
    """Reads order flow. Raises TransientError while a store is away."""

    pages: CandlePages

    def page(self, symbol: str, request: FlowRequest) -> tuple[list[dict[str, Any]], str | None]:
        """Return a row for each candle, ascending, and the cursor of the next page."""
        candles, cursor = self.pages.page(symbol, request.page)
        if not candles:
            return [], cursor
        sums = [_of_candle(each) for each in candles]
        starts = [each["t"] * 1000 for each in candles]
        ends = [request.page.timeframe.end_us(each) for each in starts]
        self._estimate(symbol, list(zip(starts, ends, strict=True)), sums)
        anchor_us = request.anchor_of(starts[0])
        first_us = next((each for each in starts if each >= anchor_us), anchor_us)
        since = self._sums(symbol, anchor_us, first_us)
        rows = []
        for start_us, candle, each in zip(starts, candles, sums, strict=True):
            if request.anchor_of(start_us) != anchor_us:
                anchor_us, since = request.anchor_of(start_us), Volumes()
            if anchor_us <= start_us:
                since.add(each)
            rows.append(_row(candle, each, since if anchor_us <= start_us else None))
        return rows, cursor

    def profile(self, symbol: str, request: ProfileRequest) -> dict[str, Any]:
        """Return volume by price of the trades in a range.

        Raises ParameterError when they have too many prices.
        """
        profile = Profile(request.step)
        for trades, sides in self._trades(symbol, request.from_us, request.to_us):
            profile.take(trades, sides)
            if len(profile.levels) > MAX_LEVELS:
                raise ParameterError(
                    f"step: more than {MAX_LEVELS} prices; give a step, or a larger one"
                )
        return _profile_json(profile, value_area(profile.levels, request.share))

    def _sums(self, symbol: str, from_us: int, to_us: int) -> Volumes:
        """Return the sums over [from_us, to_us), from the fewest kept candles, and ticks."""
        ladder, total = self.pages.ladder, Volumes()
        first_us = min(-(-from_us // ladder[0].length_us) * ladder[0].length_us, to_us)
        total.add(self._of_ticks(symbol, from_us, first_us))
        for part, low, high in covered(ladder, first_us, to_us):
            stored_range = StoredRange(symbol, part, low, high, newest=False)
            for batch in self.pages.stored.batches(stored_range, _BATCH):
                for row in batch:
                    total.add(_of_candle(row))
            first_us = high
        total.add(self._of_ticks(symbol, first_us, to_us))
        self._estimate(symbol, [(from_us, to_us)], [total])
        return total

    def _of_ticks(self, symbol: str, from_us: int, to_us: int) -> Volumes:
        profile = Profile()
        if from_us < to_us:
            for trades, _ in self._trades(symbol, from_us, to_us):
                profile.take(trades, np.zeros(len(trades), dtype=np.uint8))
        return profile.total

    def _estimate(
        self, symbol: str, ranges: Sequence[tuple[int, int]], sums: Sequence[Volumes]
    ) -> None:
        """Add tick-rule estimates for trades without a side to the sums of ascending ranges."""
        if not any(each.has_unknown for each in sums):
            return
        starts = np.array([low for low, _ in ranges], dtype=np.int64)
        ends = np.array([high for _, high in ranges], dtype=np.int64)
        for trades, sides in self._trades(symbol, ranges[0][0], ranges[-1][1]):
            if not sides.any():
                continue
            range_index = np.searchsorted(starts, trades.rows.time_us, side="right") - 1
            rows = np.flatnonzero(trades.rows.time_us < ends[range_index])
            if not len(rows):
                continue
            groups = np.flatnonzero(np.append(True, np.diff(range_index[rows]) != 0))
            *_, bought, sold = volumes_by_side(trades, sides, rows, groups)
            for n, buy, sell in zip(range_index[rows][groups].tolist(), bought, sold, strict=True):
                scale = trades.size_scale
                sums[n].est_buy = EXACT.add(sums[n].est_buy, from_mantissa(buy, scale))
                sums[n].est_sell = EXACT.add(sums[n].est_sell, from_mantissa(sell, scale))

    def _trades(self, symbol: str, from_us: int, to_us: int) -> Iterator[tuple[Trades, Sides]]:
        """Yield the trades in [from_us, to_us) that count, with the estimates of their sides.

        Reading begins at the start of the UTC day, on which the estimates depend.
        """
        rule = TickRule()
        day_us = from_us // DAY_US * DAY_US
        for part in self.pages.slices.slices(symbol, day_us, to_us, _WIDTH_US, newest=False):
            trades = part.trades.standing()
            sides = rule.sides(trades)
            times = trades.rows.time_us
            inside = slice(int(np.searchsorted(times, from_us)), int(np.searchsorted(times, to_us)))
            yield trades.at(inside), sides[inside]


def _of_candle(row: Mapping[str, Any]) -> Volumes:
    """Return the sums of a candle in its output form."""
    volume, buy, sell, notional = (Decimal(row[key]) for key in ("v", "bv", "sv", "qv"))
    return Volumes(volume, buy, sell, notional=notional)


def _row(candle: Mapping[str, Any], sums: Volumes, since: Volumes | None) -> dict[str, Any]:
    return {
        "t": candle["t"],
        **_volumes_json(sums),
        "d": to_text(sums.delta),
        "cd": None if since is None else to_text(since.delta),
        "vw": None if since is None else vwap_text(since.notional, since.volume),
        "closed": candle["closed"],
    }


def _volumes_json(sums: Volumes) -> dict[str, str]:
    return {
        "v": to_text(sums.volume),
        "bv": to_text(sums.buy),
        "sv": to_text(sums.sell),
        "ebv": to_text(sums.est_buy),
        "esv": to_text(sums.est_sell),
    }


def _profile_json(profile: Profile, area: ValueArea | None) -> dict[str, Any]:
    total = profile.total
    return {
        "n": profile.count,
        **_volumes_json(total),
        "vw": vwap_text(total.notional, total.volume),
        "poc": None if area is None else to_text(area.poc),
        "val": None if area is None else to_text(area.low),
        "vah": None if area is None else to_text(area.high),
        "levels": [
            {"p": to_text(price), **_volumes_json(profile.levels[price])}
            for price in sorted(profile.levels)
        ],
    }
