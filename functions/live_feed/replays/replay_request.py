"""Replay requests: validated, errors name the field."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.market.timeframes import Timeframe
from shared.market.timestamps import parse_relative_us
from shared.realtime import channels as live
from shared.realtime.channels import ChannelError
from shared.realtime.leases import ALL

MAX_SYMBOLS: Final = 20
MIN_SPEED, MAX_SPEED = 0.01, 100_000.0
BY_EVENT, BY_RECEIPT = "event", "receipt"


class RequestError(ValueError):
    """A client's request that is refused; the message says why, `code` is for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """Channels of named symbols over [from_us, to_us), at `speed` times real time."""

    channels: tuple[str, ...]
    from_us: int
    to_us: int
    speed: float
    by_receipt: bool

    @property
    def symbols(self) -> list[str]:
        """The symbols, each once."""
        return list(dict.fromkeys(map(_symbol, self.channels)))

    def of(self, symbol: str) -> list[str]:
        """Return the channels of a symbol."""
        return [each for each in self.channels if _symbol(each) == symbol]


def read_replay(
    parameters: Mapping[str, Any],
    check: Callable[[str], str],
    ladder: Sequence[Timeframe],
    now_us: int,
) -> ReplayRequest:
    """Read `channels`, `from`, `to`, `speed` and `by`. Raises RequestError.

    `check` returns a channel that exists, or raises ChannelError.
    """
    channels = _channels(parameters.get("channels"), check, ladder)
    from_us = _time_us(parameters, "from", now_us)
    if from_us is None:
        raise RequestError(
            "bad_replay", "from: set the start of the replay, such as 2026-11-27T14Z"
        )
    to_us = _time_us(parameters, "to", now_us) or now_us
    if from_us >= min(to_us, now_us):
        raise RequestError("bad_replay", "from: it must lie before `to`, and before now")
    by = parameters.get("by", BY_EVENT)
    if by not in (BY_EVENT, BY_RECEIPT):
        raise RequestError("bad_replay", f"by: {str(by)[:40]!r} is none of event, receipt")
    speed = read_speed(parameters.get("speed", 1))
    return ReplayRequest(channels, from_us, min(to_us, now_us), speed, by == BY_RECEIPT)


def read_speed(value: object) -> float:
    """Parse the speed. Raises RequestError."""
    speed = float(value) if isinstance(value, int | float) and value is not True else 0.0
    if MIN_SPEED <= speed <= MAX_SPEED:
        return speed
    raise RequestError("bad_replay", f"speed: a number from {MIN_SPEED} to {MAX_SPEED:.0f}")


def _channels(
    value: object, check: Callable[[str], str], ladder: Sequence[Timeframe]
) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(e, str) for e in value):
        raise RequestError("bad_channels", 'channels: a list such as ["candles:1m:BTC-USD"]')
    channels: dict[str, None] = {}
    for channel in value:
        kind, _, rest = channel.partition(":")
        is_live_only = kind in (live.ALERTS, live.BARS, live.BUSTS, live.INDICATORS)
        try:
            if not is_live_only:
                check(channel)
        except ChannelError as error:
            raise RequestError("bad_channels", str(error)) from None
        if is_live_only or _symbol(channel) == ALL:
            raise RequestError(
                "bad_channels",
                f"{channel!r}: ticks, candles and patterns of named symbols can be replayed",
            )
        if kind == live.CANDLES and rest.startswith(f"{ALL}:"):
            channels |= {f"{kind}:{each}:{_symbol(channel)}": None for each in ladder}
        else:
            channels[channel] = None
    if len(set(map(_symbol, channels))) > MAX_SYMBOLS:
        raise RequestError("too_many_channels", f"channels: at most {MAX_SYMBOLS} symbols a replay")
    return tuple(channels)


def _symbol(channel: str) -> str:
    return live.instrument_of(channel) or ""


def _time_us(parameters: Mapping[str, Any], name: str, now_us: int) -> int | None:
    value = parameters.get(name)
    if value in (None, ""):
        return None
    if isinstance(value, str | int) and not isinstance(value, bool):
        try:
            return parse_relative_us(str(value), now_us)
        except ValueError as error:
            raise RequestError("bad_replay", f"{name}: {error}") from None
    raise RequestError("bad_replay", f"{name}: a time such as 2026-11-27T14:30Z, or ms since 1970")
