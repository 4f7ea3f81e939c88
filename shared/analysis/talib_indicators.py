"""Every indicator of TA-Lib by name: `macd:12:26:9`, `adx:14`, `supertrend`, `vwap`.

Those that depend on the start of their series (sums such as OBV and VWAP, stops such as SAR)
restart each UTC day. The others get enough warm-up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import numpy as np

from shared.analysis.candle_series import Floats
from shared.analysis.neutral_values import with_neutral_values

DAY_US: Final = 86_400_000_000
MAX_WARM_UP: Final = 8_000

_PATH: Final = "Output is path-dependent"
_WITHOUT: Final = ("MAVP", "MAXINDEX", "MININDEX", "MINMAXINDEX", "SMA", "EMA", "RSI", "ATR")
"""Excluded: one takes a series of periods, three return positions; four are in indicators.py."""
_LOOK_BACKS: Final = 40
_LEAST: Final = 400
_SLOW: Final = ("KAMA", "MAMA")
"""Functions that forget slowly in a market without a trend."""
_NUMBER: Final = re.compile(r"-?[0-9]{1,6}(\.[0-9]{1,6})?")
_LARGEST: Final = 200
_INTEGERS: Final = (int, np.integer)


@dataclass(frozen=True)
class TalibIndicator:
    """A function with its parameters. `name`: as requested, with all parameters."""

    name: str
    function: str
    parameters: tuple[tuple[str, float], ...]
    outputs: tuple[str, ...]
    of_day: bool

    @classmethod
    def parse(cls, text: str) -> TalibIndicator:
        """Parse `macd`, `macd:12:26:9` or `macd:12,26,9`; parameters default to TA-Lib's.

        Raises ValueError with the error and the fix.
        """
        kind, *numbers = re.split("[:,]", text.strip().lower())
        function = kind.upper()
        if function not in functions():
            raise ValueError(
                f"there is no indicator {text[:40]!r}; there are sma:20, bb:20:2 and those of"
                " TA-Lib, such as macd:12:26:9, adx:14, stoch:14:3:3 (docs/indicators.md)"
            )
        defaults = parameters_of(function)
        if len(numbers) > len(defaults):
            names = ", ".join(defaults) or "no parameters"
            raise ValueError(f"{text[:40]!r}: {kind} takes {names}")
        parameters = dict(defaults)
        for (name, default), number in zip(defaults.items(), numbers, strict=False):
            parameters[name] = _parameter(text, name, default, number)
        shown = [each for name, each in parameters.items() if not _is_average(name)]
        averages = [name for name in parameters if _is_average(name)]
        if any(parameters[name] != defaults[name] for name in averages):
            shown += [parameters[name] for name in averages]
        canonical = ":".join([kind, *(f"{each:g}" for each in shown)])
        parsed = cls(
            canonical,
            function,
            tuple(parameters.items()),
            tuple(about(function)["output_names"]),
            _PATH in (about(function)["function_flags"] or ()),
        )
        parsed._try(text)
        return parsed

    @property
    def columns(self) -> tuple[str, ...]:
        """The name; with several outputs `macd:12:26:9:macdsignal` and so on."""
        if len(self.outputs) == 1:
            return (self.name,)
        return tuple(f"{self.name}:{output}" for output in self.outputs)

    def _try(self, text: str) -> None:
        """Raise ValueError if TA-Lib refuses the parameters."""
        try:
            steps = np.arange(1.0, self.look_back() + 3)
            names = ("open", "high", "low", "close", "volume")
            self._run(dict.fromkeys(names, steps), slice(0, len(steps)))
        except Exception as error:
            raise ValueError(f"{text[:40]!r}: TA-Lib refuses these parameters") from error

    def look_back(self) -> int:
        """Return the number of candles before the first with a value."""
        return int(_function(self.function, self.parameters).lookback)

    @property
    def warm_up(self) -> int:
        """Candles it needs before the first returned one; if it restarts daily, see `of_day`."""
        if self.function in _SLOW:
            return MAX_WARM_UP
        return min(MAX_WARM_UP, max(_LEAST, _LOOK_BACKS * self.look_back()))

    def values(self, inputs: Mapping[str, Any]) -> tuple[Floats, ...]:
        """Return its columns, each [n]; NaN where there are not enough candles.

        `inputs`: open, high, low, close and volume as float64[n], and `start_us`.
        """
        n = len(inputs["close"])
        if not self.of_day:
            return self._run(inputs, slice(0, n))
        days = inputs["start_us"] // DAY_US
        edges = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), n]
        parts = [self._run(inputs, slice(a, b)) for a, b in pairwise(edges)]
        return tuple(np.concatenate(each) for each in zip(*parts, strict=True))

    def _run(self, inputs: Mapping[str, Any], rows: slice) -> tuple[Floats, ...]:
        n = rows.stop - rows.start
        if n <= self.look_back():
            return tuple(np.full(n, np.nan) for _ in self.outputs)
        names = ("open", "high", "low", "close", "volume")
        series = {name: np.ascontiguousarray(inputs[name][rows]) for name in names}
        output = _function(self.function, self.parameters)(series)
        many: Sequence[Any] = output if isinstance(output, list | tuple) else [output]
        columns = tuple(np.asarray(each, dtype=np.float64) for each in many)
        columns = with_neutral_values(self.function, dict(self.parameters), series, columns)
        for each in columns:
            each[: self.look_back()] = np.nan
        return tuple(np.where(np.isfinite(each), each, np.nan) for each in columns)


@lru_cache(maxsize=1)
def functions() -> frozenset[str]:
    """Return the names of TA-Lib's functions that need candles only."""
    import talib  # imports Polars, 30 MiB: only when an indicator is requested

    names: list[str] = talib.get_functions()  # type: ignore[no-untyped-call]
    return frozenset(names) - set(_WITHOUT)


def parameters_of(function: str) -> dict[str, Any]:
    """Return the parameters with their defaults, in order: kinds of averages are the last."""
    defaults: Mapping[str, Any] = about(function)["parameters"]
    return {name: defaults[name] for name in sorted(defaults, key=_is_average)}


def _is_average(name: str) -> bool:
    return name.endswith("matype")


@lru_cache(maxsize=256)
def about(function: str) -> Mapping[str, Any]:
    """Return TA-Lib's metadata of a function: display_name, group, parameters, flags."""
    from talib import abstract

    function_: Any = abstract.Function(function)  # type: ignore[attr-defined]
    return {**function_.info, "function_flags": function_.function_flags}


def _function(function: str, parameters: tuple[tuple[str, float], ...]) -> Any:
    """Return a new function object with its parameters: it keeps its input."""
    from talib import abstract

    configured: Any = abstract.Function(function)  # type: ignore[attr-defined]
    configured.parameters = dict(parameters)
    return configured


def _parameter(text: str, name: str, default: Any, number: str) -> float:
    if not _NUMBER.fullmatch(number) or abs(float(number)) > _LARGEST:
        raise ValueError(f"{text[:40]!r}: {name} is a number up to {_LARGEST}")
    if isinstance(default, _INTEGERS):
        if not number.isdigit():
            raise ValueError(f"{text[:40]!r}: {name} is a whole number")
        return int(float(number))
    return float(number)
