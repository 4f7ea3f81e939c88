"""Channels of the live feed, and the NATS subjects that carry them.

A channel is `ticks:<symbol>`, `candles:<timeframe>:<symbol>`, `bars:<measure>:<amount>:<symbol>`,
`indicators:<name with parameters>:<timeframe>:<symbol>`, or `busts:`, `patterns:` or
`alerts:<symbol>`; in what a client asks for, a part may be `*`, but of bars and indicators. On
NATS: `live.ticks.<venue>.<symbol>`, `live.candles.<timeframe>.<symbol>`, `live.busts.<symbol>`,
`live.patterns.<symbol>`, `live.alerts.<symbol>`, and neither bars nor indicators; the symbol
percent-encoded where a subject could not hold it. The venue is what stands behind an instrument's
last dot, else `-`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, unquote

from shared.analysis.indicators import parse_indicators
from shared.errors import TransientError
from shared.market.bar_types import BarType
from shared.market.calendar_timeframes import timeframe_of
from shared.market.symbols import check_symbol
from shared.market.timeframes import Timeframe

PREFIX: Final = "live."
ALL: Final = "live.>"
STREAM: Final = "KANDLE_LIVE"
LATEST_STREAM: Final = "KANDLE_LIVE_LATEST"
RECEIVED_HEADER: Final = "Kandle-Received"
"""Receive time of the newest tick behind a message, microseconds since 1970 UTC."""
REPUBLISHED_HEADER: Final = "Kandle-Again"
"""A republished message, for readers of only the last message per subject."""
FIRST_SEQ_HEADER: Final = "Kandle-First-Seq"
"""Position in the stream that a republished message had at first."""

TICKS: Final = "ticks"
CANDLES: Final = "candles"
BARS: Final = "bars"
INDICATORS: Final = "indicators"
BUSTS: Final = "busts"
PATTERNS: Final = "patterns"
ALERTS: Final = "alerts"

MAX_CHANNEL_CHARACTERS: Final = 128
_PARTS: Final = {TICKS: 2, CANDLES: 3, BARS: 4, BUSTS: 2, PATTERNS: 2, ALERTS: 2}
_NO_VENUE: Final = "-"
_INDICATOR: Final = re.compile(r"([A-Za-z]\w*(?::[0-9.]+)*):([0-9]+[A-Za-z][^:]*):(.+)", re.ASCII)
"""Parameters are numbers and a timeframe ends with a letter, so each part is unambiguous."""


class ChannelError(ValueError):
    """A channel that cannot be subscribed to; the message says why."""


def subject_of(channel: str) -> str:
    """Return the subject that carries a channel (one without a wildcard)."""
    kind, _, rest = channel.partition(":")
    tokens = rest.split(":", _PARTS[kind] - 2)
    if kind == TICKS:
        symbol, dot, venue = rest.rpartition(".")
        is_of_venue = dot and symbol and venue not in ("", _NO_VENUE)
        tokens = [venue, symbol] if is_of_venue else [_NO_VENUE, rest]
    return ".".join([f"{PREFIX}{kind}", *map(_token, tokens)])


def channel_of(subject: str) -> str:
    """Return the channel that a subject carries. Raises ValueError for any other subject."""
    kind, *tokens = subject.removeprefix(PREFIX).split(".")
    if kind == TICKS and len(tokens) == 2:
        venue, symbol = tokens
        whole = symbol if venue == _NO_VENUE else f"{symbol}.{venue}"
        return f"{TICKS}:{unquote(whole)}"
    if kind == CANDLES and len(tokens) == 2:
        return f"{CANDLES}:{tokens[0]}:{unquote(tokens[1])}"
    if kind in (BUSTS, PATTERNS, ALERTS) and len(tokens) == 1:
        return f"{kind}:{unquote(tokens[0])}"
    raise ValueError(f"{subject} is not a subject of the live feed")


def checked(channel: str) -> str:
    """Return a client's channel, normalized. Raises ChannelError that names the fix."""
    if len(channel) > MAX_CHANNEL_CHARACTERS:
        raise ChannelError(f"a channel has at most {MAX_CHANNEL_CHARACTERS} characters")
    if channel.startswith(f"{INDICATORS}:"):
        return _checked_indicator(channel)
    parts = channel.split(":", _PARTS.get(channel.partition(":")[0], 2) - 1)
    if parts[0] not in _PARTS or len(parts) != _PARTS[parts[0]] or not all(parts):
        raise ChannelError(
            f"{channel!r} is not a channel: ticks:SYMBOL, candles:TIMEFRAME:SYMBOL, busts:SYMBOL,"
            " patterns:SYMBOL or alerts:SYMBOL, where * stands for all, or bars:volume:1000:SYMBOL,"
            " indicators:rsi:14:1m:SYMBOL"
        )
    try:
        if parts[0] == CANDLES and parts[1] != "*":
            timeframe_of(parts[1])
        if parts[0] == BARS:
            bars_of(channel)
        if parts[-1] != "*":
            _check_symbol(parts[-1])
    except (ValueError, TransientError) as error:
        raise ChannelError(f"{channel!r}: {error}") from None
    return channel


def _checked_indicator(channel: str) -> str:
    try:
        name, timeframe, symbol = indicator_of(channel)
        parse_indicators(name)
        timeframe_of(timeframe)
        if symbol == "*":
            raise ValueError("an indicator is of a named symbol")
        _check_symbol(symbol)
    except (ValueError, TransientError) as error:
        raise ChannelError(f"{channel!r}: {error}") from None
    return channel


def _check_symbol(symbol: str) -> None:
    try:
        check_symbol(symbol)
    except ValueError as error:
        raise ValueError(f"the symbol {error}; * alone stands for all symbols") from None


def indicator_of(channel: str) -> tuple[str, str, str]:
    """Return name with parameters, timeframe and symbol of an indicator channel, or ValueError."""
    match = _INDICATOR.fullmatch(channel.removeprefix(f"{INDICATORS}:"))
    if match is None:
        raise ValueError("an indicator's channel is such as indicators:macd:12:26:9:1m:BTC-USD")
    return match[1], match[2], match[3]


def bars_of(channel: str) -> tuple[BarType, Timeframe, str]:
    """Return type, trading days and symbol of a bar channel. Raises ValueError.

    The trading days follow the amount: `bars:tick:100@XNYS:AAPL`.
    """
    _, measure, amount, symbol = channel.split(":", 3)
    amount, at, days = amount.partition("@")
    if symbol == "*":
        raise ValueError("bars are made for named symbols")
    return BarType.parse(f"{measure}:{amount}"), timeframe_of(f"1d{at}{days}"), symbol


def instrument_of(channel: str) -> str | None:
    """Return the instrument to watch for a channel, or `*`; None: none."""
    kind, _, rest = channel.partition(":")
    if kind == ALERTS:
        return None
    if kind == INDICATORS:
        return indicator_of(channel)[2]
    return rest.split(":", _PARTS[kind] - 2)[-1]


def is_of_candles(name: str) -> bool:
    """Tell whether a name is a candle channel; an instrument may be called `candles` too."""
    return name.startswith(f"{CANDLES}:") and name.count(":") > 1


def patterns_matching(channel: str) -> Iterator[str]:
    """Yield every pattern that matches this channel, itself first."""
    kind, rest = channel.split(":", 1)
    yield channel
    if kind == CANDLES:
        timeframe, symbol = rest.split(":", 1)
        yield f"{CANDLES}:{timeframe}:*"
        yield f"{CANDLES}:*:{symbol}"
        yield f"{CANDLES}:*:*"
    elif kind not in (BARS, INDICATORS):
        yield f"{kind}:*"


def _token(text: str) -> str:
    """Return the text as one token of a subject: no dot, wildcard or blank."""
    return quote(text, safe="/:+@$!'(),;=&").replace(".", "%2E")
