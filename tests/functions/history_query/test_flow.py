"""Order flow over the stores: exact sums, anchors, estimates, profiles."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from shared.market.calendar_timeframes import timeframe_of
from shared.market.decimals import EXACT
from shared.wire.instrument_table import Entries, Entry
from shared.wire.ticks import TEXT_ID, Ticks
from tests.functions.history_query.conftest import House
from tests.functions.history_query.market import Tick, columns, generated, trades

FLOW, PROFILE, CANDLES = (f"/api/{each}/A/B" for each in ("flow", "profile", "candles"))
DAY_US = 86_400_000_000


def market(house: House, *, sided: bool, gap_us: int = 400_000_000) -> list[Tick]:
    ticks = [
        tick._replace(source="u", price_scale=2, side=1 + n % 2 if sided else tick.side)
        for n, tick in enumerate(generated(11, 500, gap_us=gap_us))
    ]
    house.take(columns(ticks, "A/B"))
    return trades(ticks)


def estimates(ticks: list[Tick]) -> list[int]:
    found, day, last, side = [], None, Decimal(0), 0
    for tick in ticks:
        if tick.time_us // DAY_US != day:
            day, last, side = tick.time_us // DAY_US, tick.decimal_price, 0
        if tick.decimal_price != last:
            side = 1 if tick.decimal_price > last else 2
        last = tick.decimal_price
        found.append(0 if tick.side else side)
    return found


def sums(ticks: list[Tick], sides: list[int]) -> dict[str, Decimal]:
    zero, pairs = Decimal(0), list(zip(ticks, sides, strict=True))
    return {
        "v": sum((t.decimal_size for t in ticks), zero),
        "bv": sum((t.decimal_size for t in ticks if t.side == 1), zero),
        "sv": sum((t.decimal_size for t in ticks if t.side == 2), zero),
        "ebv": sum((t.decimal_size for t, side in pairs if side == 1), zero),
        "esv": sum((t.decimal_size for t, side in pairs if side == 2), zero),
    }


def delta(of: dict[str, Decimal]) -> Decimal:
    return of["bv"] + of["ebv"] - of["sv"] - of["esv"]


def pages(house: House, **query: str) -> list[dict[str, Any]]:
    return house.rows(FLOW, **query)


@pytest.mark.parametrize("sided", [True, False])
@pytest.mark.parametrize(
    ("query", "frame", "day"),
    [
        ({"timeframe": "1h"}, "1h", "1d"),
        ({"timeframe": "1h", "tz": "Asia/Kolkata"}, "1h@Asia/Kolkata", "1d@Asia/Kolkata"),
        ({"timeframe": "30m", "calendar": "XNYS", "from": "0"}, "30m@XNYS", "1d@XNYS"),
        ({"timeframe": "1d", "from": "0"}, "1d", "1d"),
    ],
)
def test_delta_is_added_up_over_each_day(
    house: House, query: dict[str, str], frame: str, day: str, sided: bool
) -> None:
    """Cumulative delta is the day's sum on any page; the tick rule estimates missing sides."""
    ticks = market(house, sided=sided)
    sides = estimates(ticks)
    interval, session = timeframe_of(frame), timeframe_of(day)
    groups: dict[int, list[int]] = {}
    for n, tick in enumerate(ticks):
        if interval.holds(tick.time_us):
            groups.setdefault(interval.start_us(tick.time_us), []).append(n)
    found = pages(house, limit="9", **query)
    assert [row["t"] * 1000 for row in found] == sorted(groups)
    for row in found:
        rows = groups[row["t"] * 1000]
        of = sums([ticks[n] for n in rows], [sides[n] for n in rows])
        assert {name: Decimal(row[name]) for name in of} == of
        assert Decimal(row["d"]) == delta(of)
        opening = session.start_us(row["t"] * 1000)
        since = [
            n
            for n, tick in enumerate(ticks)
            if opening <= tick.time_us < interval.end_us(row["t"] * 1000)
            and session.holds(tick.time_us)
        ]
        so_far = sums([ticks[n] for n in since], [sides[n] for n in since])
        assert Decimal(row["cd"]) == delta(so_far)
        notional = sum((ticks[n].decimal_price * ticks[n].decimal_size for n in since), Decimal(0))
        assert abs(Decimal(row["vw"]) - notional / so_far["v"]) < Decimal("1e-15")


def test_vwap_and_delta_since_any_time(house: House) -> None:
    """VWAP and delta may be anchored at any time, within a minute too, and are null before."""
    ticks = market(house, sided=False)
    sides = estimates(ticks)
    anchor_ms = ticks[200].time_us // 1000 + 1
    for query in ({"from": "0"}, {"limit": "3"}):
        rows = house.get(FLOW, timeframe="1h", anchor=str(anchor_ms), **query).json()["flow"]
        for row in rows:
            if row["t"] < anchor_ms:
                assert (row["cd"], row["vw"]) == (None, None)
                continue
            end_us = row["t"] * 1000 + 3_600_000_000
            since = [n for n, t in enumerate(ticks) if anchor_ms * 1000 <= t.time_us < end_us]
            so_far = sums([ticks[n] for n in since], [sides[n] for n in since])
            assert Decimal(row["cd"]) == delta(so_far)
        assert rows[-1]["cd"] is not None


@pytest.mark.parametrize("step", ["", "0.5", "7"])
def test_a_profile_has_the_volume_of_the_candles(house: House, step: str) -> None:
    """A profile has exactly the candles' volume, and its value area has its share."""
    ticks = market(house, sided=False)
    hour = 3_600_000
    first = ticks[100].time_us // 1000 // hour * hour
    bounds = {"from": str(first), "to": str(first + 7 * hour)}
    profile = house.get(PROFILE, **bounds, **({"step": step} if step else {})).json()
    candles = house.get(CANDLES, timeframe="1h", **bounds).json()["candles"]
    for name in ("v", "bv", "sv"):
        total = sum((Decimal(each[name]) for each in candles), Decimal(0))
        assert Decimal(profile[name]) == total
        assert sum((Decimal(each[name]) for each in profile["levels"]), Decimal(0)) == total
    assert profile["n"] == sum(each["n"] for each in candles)
    inside = [t for t in ticks if first * 1000 <= t.time_us < (first + 7 * hour) * 1000]
    volumes: dict[Decimal, Decimal] = {}
    for tick in inside:
        price = tick.decimal_price // Decimal(step) * Decimal(step) if step else tick.decimal_price
        volumes[price] = volumes.get(price, Decimal(0)) + tick.decimal_size
    assert {Decimal(e["p"]): Decimal(e["v"]) for e in profile["levels"]} == volumes
    assert volumes[Decimal(profile["poc"])] == max(volumes.values())
    area = [
        v for p, v in volumes.items() if Decimal(profile["val"]) <= p <= Decimal(profile["vah"])
    ]
    assert sum(area) >= Decimal("0.7") * Decimal(profile["v"])


def test_an_invalid_profile_is_refused(house: House) -> None:
    """A bad parameter of a profile is named; a range without trades is empty."""
    market(house, sided=True)
    for name, value in (("step", "0"), ("step", "x"), ("value_area", "1.1"), ("cats", "1")):
        refused = house.get(PROFILE, **{name: value})
        assert (refused.status_code, refused.json()["detail"].partition(":")[0]) == (400, name)
    empty = house.get(PROFILE, **{"from": "0", "to": "1000000000"}).json()
    assert (empty["v"], empty["poc"], empty["levels"]) == ("0", None, [])
    assert house.get("/api/profile/NONE").status_code == 404


WIDE = Decimal("9.500000000000000001")


def wide_ticks(count: int) -> Ticks:
    """Trades of one second with 18 decimals: sizes beyond an int64, prices from 1e-18 to 1e22."""
    narrow = [tick for tick in generated(3, count, gap_us=1_000) if tick.kind != TEXT_ID]
    ticks = columns([each._replace(source="u", price_scale=2) for each in narrow], "A/B")
    n = len(ticks)
    price = [10 ** (18 + row % 23) * (row % 41 > 0) + row + 1 for row in range(n)]
    return replace(
        ticks,
        entries=Entries.of(Entry("A/B", 18, 18, n)),
        price=np.array(price, dtype=object),
        size=np.array([int(WIDE.scaleb(18))] * n, dtype=object),
    )


def test_a_profile_of_18_decimals(house: House) -> None:
    """A profile of sizes beyond an int64 and prices far apart is exact, whatever its step."""
    house.take(wide_ticks(3_000))
    for step in ("", "0.000000000000000000000001", "1000000", "9" * 24):
        profile = house.get(PROFILE, **{"from": "0"}, **({"step": step} if step else {})).json()
        unit = Decimal(step or "1e-18")
        assert not any(EXACT.remainder(Decimal(each["p"]), unit) for each in profile["levels"])
        assert sum(Decimal(each["v"]) for each in profile["levels"]) == WIDE * profile["n"]
    assert len(profile["levels"]) == 1


def test_a_profile_of_too_many_prices_is_refused(house: House) -> None:
    """Beyond 10,000 prices a step is asked for, and with a larger one there are fewer."""
    house.take(wide_ticks(14_000))
    refused = house.get(PROFILE, **{"from": "0"})
    assert (refused.status_code, refused.json()["detail"].partition(":")[0]) == (400, "step")
    assert len(house.get(PROFILE, **{"from": "0", "step": "1"}).json()["levels"]) < 1_000
