"""The 61 candlestick functions of TA-Lib: how long each pattern is and what trend it needs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Kind(Enum):
    """Kind of a pattern by the trend before it."""

    REVERSAL = "reversal"
    CONTINUATION = "continuation"
    INDECISION = "indecision"
    EITHER = "either"


@dataclass(frozen=True)
class Candlestick:
    """One function; `candles` is the pattern's length, `signed` whether the sign is a direction.

    TA-Lib gives +100 for every doji: "it does not mean it is bullish" (ta_CDLDOJI.c).
    """

    function: str
    candles: int
    kind: Kind
    signed: bool = True

    @property
    def pattern(self) -> str:
        """The name in Kandle: CDL3INSIDE is cdl_3inside."""
        return "cdl_" + self.function.removeprefix("CDL").lower()


_REVERSALS = """
    1 BELTHOLD HAMMER HANGINGMAN INVERTEDHAMMER SHOOTINGSTAR TAKURI
    2 COUNTERATTACK DARKCLOUDCOVER DOJISTAR ENGULFING HARAMI HARAMICROSS HOMINGPIGEON MATCHINGLOW
      PIERCING
    3 2CROWS 3BLACKCROWS 3INSIDE 3OUTSIDE 3STARSINSOUTH 3WHITESOLDIERS ABANDONEDBABY ADVANCEBLOCK
      EVENINGDOJISTAR EVENINGSTAR IDENTICAL3CROWS MORNINGDOJISTAR MORNINGSTAR STALLEDPATTERN
      STICKSANDWICH TRISTAR UNIQUE3RIVER UPSIDEGAP2CROWS
    4 CONCEALBABYSWALL
    5 BREAKAWAY LADDERBOTTOM
"""
_CONTINUATIONS = """
    1 CLOSINGMARUBOZU LONGLINE MARUBOZU
    2 INNECK ONNECK SEPARATINGLINES THRUSTING
    3 GAPSIDESIDEWHITE TASUKIGAP XSIDEGAP3METHODS
    4 3LINESTRIKE
    5 MATHOLD RISEFALL3METHODS
"""
_INDECISIONS = """
    1 DOJI DRAGONFLYDOJI GRAVESTONEDOJI HIGHWAVE LONGLEGGEDDOJI RICKSHAWMAN SHORTLINE SPINNINGTOP
"""
_EITHER = """
    2 KICKING KICKINGBYLENGTH
    3 HIKKAKE
    4 HIKKAKEMOD
"""
_UNSIGNED = {"DOJI", "DRAGONFLYDOJI", "GRAVESTONEDOJI", "LONGLEGGEDDOJI", "RICKSHAWMAN"}


def _read(table: str, kind: Kind) -> list[Candlestick]:
    """Parse a table of lengths and names: a name has the length before it."""
    patterns, candles = [], 0
    for word in table.split():
        if len(word) == 1:
            candles = int(word)
        else:
            patterns.append(Candlestick("CDL" + word, candles, kind, word not in _UNSIGNED))
    return patterns


CANDLESTICKS: Final = tuple(
    sorted(
        _read(_REVERSALS, Kind.REVERSAL)
        + _read(_CONTINUATIONS, Kind.CONTINUATION)
        + _read(_INDECISIONS, Kind.INDECISION)
        + _read(_EITHER, Kind.EITHER),
        key=lambda each: each.function,
    )
)
"""All of them, by name. The kinds follow Nison, Japanese Candlestick Charting Techniques, and
Morris, Candlestick Charting Explained."""
