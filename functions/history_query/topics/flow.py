"""GET /api/flow and /api/profile: who traded, over time and by price."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.endpoints import as_json
from functions.history_query.api.formats import TABLES, Content, Row
from functions.history_query.api.parameters import (
    Page,
    ParameterError,
    now_us,
    read_days,
    read_page,
    read_range,
    read_time_us,
    read_zone,
)
from functions.history_query.api.presentation import Presentation
from functions.history_query.api.topic import Topic
from functions.history_query.queries.candles import CandlePages
from functions.history_query.queries.readers import Readers
from functions.history_query.topics.candles import CURSOR
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
from shared.market.calendar_timeframes import of_days
from shared.market.decimals import EXACT, from_mantissa, to_text
from shared.market.resolution import covered
from shared.market.timeframes import Timeframe
from shared.market.trading_days import trading_days
from shared.reading.stored_candles import Ranges
from shared.wire.candle_json import vwap_text

_NUMBER: Final = r"[0-9]{1,24}(\.[0-9]{1,24})?"
_OWN: Final = spec.queries(
    """
    anchor      day  anchor  Anchor of `cd` and `vw`: `day`, the start of each trading day (UTC, or
        by tz, session, calendar), or any time in the format of `from`.
    step        0.5  step    Price step: prices are rounded down to a multiple of it; by default
        they are not rounded.
    value_area  0.7  share   Share of the volume in the value area.
    """,
    anchor={"type": "string", "default": "day"},
    step={"type": "string", "pattern": f"^{_NUMBER}$"},
    share={"type": "string", "pattern": f"^{_NUMBER}$", "default": "0.7"},
)
_COLUMNS: Final = ("t", "time", "v", "bv", "sv", "ebv", "esv", "d", "cd", "vw", "closed")
MAX_LEVELS: Final = 10_000
_BATCH: Final = 5_000
_WIDTH_US: Final = 3_600_000_000

TOPIC: Final = Topic(
    spec.schemas(
        """
        Flow?
          t       ms        Start of the candle, ms since 1970 UTC.
          time    string    Local time, if `tz` is given.
          v       decimal   Volume.
          bv      decimal   Volume of trades whose aggressor bought.
          sv      decimal   Volume of trades whose aggressor sold.
          ebv     decimal   Volume of unknown side, estimated as bought by the tick rule.
          esv     decimal   Volume of unknown side, estimated as sold by the tick rule.
          d       decimal   Delta: bought minus sold volume, including estimates.
          cd      decimal?  Delta since the anchor; null before it.
          vw      decimal?  VWAP since the anchor, 20 digits.
          closed  boolean
        Flows
          symbol,timeframe  string
          flow    [Flow]
          next    cursor
        Level
          p       decimal   Price.
          v,bv,sv,ebv,esv  =Flow
        Profile
          symbol  string
          from,to  ms
          n       count     Trades.
          v,bv,sv,ebv,esv  =Flow
          vw      decimal?  VWAP, 20 digits.
          poc     decimal?  Point of control: the price with the most volume.
          val     decimal?  The lowest price of the value area.
          vah     decimal?  The highest price of the value area.
          levels  [Level]   Ascending by price.
        """
    ),
    _OWN,
)


@TOPIC.get(
    "/api/flow/{symbol}",
    "Delta, cumulative delta and anchored VWAP of each candle, ascending; without `from`"
    " the newest.",
    "Flows",
    "symbol timeframe from to",
    spec.limit(1_000),
    CURSOR,
    "anchor session calendar tz",
    spec.columns_of("t,d,cd,vw"),
    spec.format_of(TABLES),
)
def _flow(readers: Readers, request: Request) -> Response:
    symbol = request.path_params["symbol"]
    presentation = Presentation.read(request, TABLES, _COLUMNS)
    flow_request = read_flow(request.query_params, readers.candles.ladder)
    rows, cursor = Flow(readers.candles).page(symbol, flow_request)
    if not rows:
        readers.require(symbol)
    envelope = {"symbol": symbol, "timeframe": flow_request.page.timeframe.name}
    rows = map(presentation.row, rows)
    return presentation.answer(request, Content("flow", envelope, rows, cursor))


@TOPIC.get(
    "/api/profile/{symbol}",
    "Volume by price and side of any range, by default the last 24 hours.",
    "Profile",
    "symbol from to tz step value_area",
)
def _profile(readers: Readers, request: Request) -> Response:
    symbol = request.path_params["symbol"]
    profile_request = read_profile(request.query_params)
    result = Flow(readers.candles).profile(symbol, profile_request)
    if not result["n"]:
        readers.require(symbol)
    bounds = {"from": profile_request.from_us // 1000, "to": profile_request.to_us // 1000}
    return as_json({"symbol": symbol, **bounds, **result})


@dataclass(frozen=True, slots=True)
class FlowRequest:
    """Candles, and the anchor of their cumulative flow: each trading day, or a time."""

    page: Page
    day: Timeframe
    since_us: int | None

    def anchor_of(self, start_us: int) -> int:
        """Return the anchor (us) of the candle that starts at `start_us`."""
        return self.day.start_us(start_us) if self.since_us is None else self.since_us


@dataclass(frozen=True, slots=True)
class ProfileRequest:
    """Trades in [from_us, to_us) by steps of price; `share` of the volume is the value area."""

    from_us: int
    to_us: int
    step: Decimal | None
    share: Decimal


def read_flow(query: Mapping[str, str], ladder: tuple[Timeframe, ...]) -> FlowRequest:
    """Read the parameters of a page of candles, and `anchor`. Raises ParameterError."""
    page = read_page(query, ladder)
    _, _, days = page.timeframe.name.partition("@")
    day = of_days("1d", trading_days(days) if days else read_days(query))
    since_us = None
    if (query.get("anchor") or "day") != "day":
        since_us = read_time_us(query, "anchor", now_us(), read_zone(query))
    return FlowRequest(page, day, since_us)


def read_profile(query: Mapping[str, str]) -> ProfileRequest:
    """Read from, to, tz, step and value_area. Raises ParameterError."""
    zone, now = read_zone(query), now_us()
    from_us, to_us = read_range(query, now, zone)
    if from_us is None:
        from_us = max(0, min(now, to_us) - DAY_US)
    step, share = _number(query, "step"), _number(query, "value_area")
    if step is not None and not step:
        raise ParameterError("step: more than 0")
    if share is not None and not 0 < share <= 1:
        raise ParameterError("value_area: a share of the volume above 0, up to 1, such as 0.7")
    return ProfileRequest(from_us, to_us, step, Decimal("0.7") if share is None else share)


def _number(query: Mapping[str, str], name: str) -> Decimal | None:
    text = query.get(name)
    if not text:
        return None
    if re.fullmatch(_NUMBER, text) is None:
        raise ParameterError(f"{name}: {text[:40]!r} is not a number, such as 0.5")
    return Decimal(text)


@dataclass(frozen=True, slots=True)
class Flow:
    """Reads order flow. Raises TransientError while a store is away."""

    pages: CandlePages

    def page(self, symbol: str, request: FlowRequest) -> tuple[Iterable[Row], str | None]:
        """Return a row for each candle, ascending, and the cursor of the next page.

        The rows are made as they are read, once.
        """
        candles, cursor = self.pages.page(symbol, request.page)
        if not candles:
            return (), cursor
        needed = [(each["t"] * 1000, each["closed"], _of_candle(each)) for each in candles]
        starts, closed, sums = zip(*needed, strict=True)
        ends = [request.page.timeframe.end_us(each) for each in starts]
        self._estimate(symbol, list(zip(starts, ends, strict=True)), sums)
        anchor_us = request.anchor_of(starts[0])
        first_us = next((each for each in starts if each >= anchor_us), anchor_us)
        since = self._sums(symbol, anchor_us, first_us)

        def rows(anchor_us: int, since: Volumes) -> Iterator[Row]:
            for start_us, is_closed, each in zip(starts, closed, sums, strict=True):
                if request.anchor_of(start_us) != anchor_us:
                    anchor_us, since = request.anchor_of(start_us), Volumes()
                if anchor_us <= start_us:
                    since.add(each)
                sums_since = since if anchor_us <= start_us else None
                yield {"t": start_us // 1000, **_flow_json(each, sums_since), "closed": is_closed}

        return rows(anchor_us, since), cursor

    def profile(self, symbol: str, request: ProfileRequest) -> dict[str, Any]:
        """Return volume by price in a range. Raises ParameterError: it has too many prices."""
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
            for batch in self.pages.stored.batches(
                Ranges.same(part.name, [symbol], low, high), _BATCH
            ):
                for row in batch.rows():
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
            del part, trades


def _of_candle(row: Mapping[str, Any]) -> Volumes:
    """Return the sums of a candle in its output form."""
    volume, buy, sell, notional = (Decimal(row[key]) for key in ("v", "bv", "sv", "qv"))
    return Volumes(volume, buy, sell, notional=notional)


def _flow_json(sums: Volumes, since: Volumes | None) -> dict[str, Any]:
    return {
        **_volumes_json(sums),
        "d": to_text(sums.delta),
        "cd": None if since is None else to_text(since.delta),
        "vw": None if since is None else vwap_text(since.notional, since.volume),
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
