"""A client of Kandle: history as rows or frames, the live feed as events, and ticks to send.

    from kandle.client import Kandle

    with Kandle() as kandle:                      # API_URL, LIVE_URL, INGEST_URL, KANDLE_TOKEN
        for candle in kandle.candles("BTC-USD", "1m", start="-24h"):
            print(candle.time, candle.close)
        frame = kandle.candles("BTC-USD", "1h", start="-30d").to_pandas(floats=True)
        kandle.send([{"symbol": "BTC-USD", "price": "61845.68", "size": "0.5"}])
        for event in kandle.stream("candles:1m:BTC-USD", "ticks:*"):
            print(event.seq, event.data)

`AsyncKandle` is the same with `async with`, `async for` and `await`. Prices and sizes are Decimals,
times aware datetimes in UTC. A time is given as an aware datetime, milliseconds since 1970,
ISO 8601, or a time ago such as `-24h`. Every error is a KandleError that says what to do; 503 is
asked again, as the server says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kandle._errors import (
    AddressError,
    ApiError,
    KandleError,
    MissingPackageError,
    UnreachableError,
)
from kandle._flow_rows import Bar, Flow, Profile
from kandle._live import Event
from kandle._rows import Alert, Candle, Latest, Overview, Pattern, Sent, Series, Tick
from kandle._sync.client import Kandle
from kandle._sync.ranges import Rows

if TYPE_CHECKING:
    from kandle._async.client import AsyncKandle
    from kandle._async.ranges import AsyncRows

__all__ = [
    "AddressError",
    "Alert",
    "ApiError",
    "AsyncKandle",
    "AsyncRows",
    "Bar",
    "Candle",
    "Event",
    "Flow",
    "Kandle",
    "KandleError",
    "Latest",
    "MissingPackageError",
    "Overview",
    "Pattern",
    "Profile",
    "Rows",
    "Sent",
    "Series",
    "Tick",
    "UnreachableError",
]


def __getattr__(name: str) -> Any:
    """Import the asyncio client on first use."""
    if name == "AsyncKandle":
        from kandle._async.client import AsyncKandle

        return AsyncKandle
    if name == "AsyncRows":
        from kandle._async.ranges import AsyncRows

        return AsyncRows
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
