"""Sale conditions: their effect on a trade, by the tables of the tapes and of data vendors.

Sources: CTA, "CTS Multicast Output Specification", and UTP, "UTP Trade Data Feed Specification"
(which sale conditions update last, high, low and volume); Polygon's glossary "Stock conditions"
(the numbers); QuantConnect's Lean, `TradeConditionFlags` (the bits), with the rule that its own
bars follow, found by comparing its ticks of SPY with them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from shared.wire.ticks import AUCTION, ODD_LOT, OUT_OF_SEQUENCE, VOLUME_ONLY

MAX_CHARACTERS: Final = 128

_LATE: Final = VOLUME_ONLY | OUT_OF_SEQUENCE
_OFFICIAL: Final = -1
"""Official opening and closing prices and their corrections: not trades, no volume."""

_LETTERS: Final[dict[str, int]] = {
    **dict.fromkeys("@ADEFKSXY18", 0),
    **dict.fromkeys("BCHNRTVW47", VOLUME_ONLY),
    **dict.fromkeys("GPUZ23", _LATE),
    "I": VOLUME_ONLY | ODD_LOT,
    "L": OUT_OF_SEQUENCE,
    **dict.fromkeys("O56", AUCTION),
    **dict.fromkeys("MQ9", _OFFICIAL),
}
"""By letter. What updates high and low but not the last price (G, P, R, Z, 4) counts for volume
only: open and close matter more than the rare extreme."""

_UTP: Final = {"B": 0}
"""Codes on which the tapes differ: UTP's B is a bunched trade, CTA's an average price."""

_NUMBERS: Final[dict[int, int]] = {
    **dict.fromkeys((0, 1, 3, 4, 6, 9, 11, 14, 23, 24, 26, 27, 34, 35, 36, 41), 0),
    **dict.fromkeys((2, 7, 10, 12, 20, 21, 29, 52, 53), VOLUME_ONLY),
    **dict.fromkeys((5, 13, 22, 31, 33), _LATE),
    30: OUT_OF_SEQUENCE,
    37: VOLUME_ONLY | ODD_LOT,
    **dict.fromkeys((8, 17, 18, 19, 25, 28), AUCTION),
    **dict.fromkeys((15, 16, 38), _OFFICIAL),
}

_NAMES: Final = {
    "volume_only": VOLUME_ONLY,
    "odd_lot": ODD_LOT,
    "auction": AUCTION,
    "out_of_sequence": OUT_OF_SEQUENCE,
}

_LEAN_SWEEP, _LEAN_EXTENDED, _LEAN_AUCTIONS = 0x20, 0x2000, 0x1C0
_LEAN_VOLUME_ONLY: Final = 0x200 | 0x100000
_LEAN_OUT_OF_SEQUENCE, _LEAN_ODD_LOT = 0x4000, 0x80000000
_LIST: Final = list[int | str | None]
_BETWEEN: Final = str.maketrans("|+,;[](){}'\"", " " * 12)
_MISSING: Final = frozenset({"null", "nan", "none", "n/a", "na"})
_TAPES_WORD: Final = re.compile("[@CNRY]?[FO4-9]?[LTUZ]?[ABDEGHIKMPQSVWX123]?")
"""Codes of a tape, at most one of each level, in their order; so `OPEN` and `late` are none."""
POLYGON: Final = "polygon"
"""The prefix of its numbers, as `polygon:9`: of one digit they mean other than the tapes' codes."""


class Conditions(NamedTuple):
    """Meaning of conditions: `flags` of the tick, whether it is a trade, and unknown codes."""

    flags: int
    is_trade: bool
    unknown: tuple[str, ...]


@lru_cache(maxsize=4096)
def read_conditions(text: str) -> Conditions:
    """Parse a conditions field.

    A list in JSON or Python syntax, or codes separated by blanks, commas, semicolons, `|` or `+`:
    letters of the tapes (`@TI`; prefixed by `utp:` or `cta:` where they differ), Polygon's numbers
    (of one digit in a list, or prefixed by `polygon:`), `lean:` with hexadecimal bits, or the flag
    names (`volume_only`, `odd_lot`, `auction`, `out_of_sequence`).
    """
    flags, is_trade, unknown = 0, True, []
    for part in _words(text[:MAX_CHARACTERS]):
        for code, flag in _codes(part):
            if flag is None:
                unknown.append(code)
            elif flag == _OFFICIAL:
                is_trade = False
            else:
                flags |= flag
    return Conditions(flags, is_trade, tuple(unknown))


def _words(text: str) -> list[int | str]:
    """Return the codes as text, or as integers if they are Polygon's numbers."""
    prefix = f"{POLYGON}:"
    if text.startswith(prefix):
        words = text.removeprefix(prefix).translate(_BETWEEN).split()
        plain = [word.removesuffix(".0") for word in words]
        return [int(word) if word.isascii() and word.isdigit() else word for word in plain]
    if text.startswith("["):
        try:
            quoted = text.replace("'", '"').replace("None", "null")
            return [each for each in msgspec.json.decode(quoted, type=_LIST) if each is not None]
        except msgspec.DecodeError:
            return [text]
    return [*text.translate(_BETWEEN).split()]


def _codes(part: int | str) -> list[tuple[str, int | None]]:
    if isinstance(part, int):
        return [(str(part), _NUMBERS.get(part))]
    if (name := part.lower()) in _NAMES or name in _MISSING:
        return [(part, _NAMES.get(name, 0))]
    tape, colon, codes = part.rpartition(":")
    codes = codes.removesuffix(".0")  # pandas writes integers of a column with gaps like this
    if tape.lower() == "lean":
        return [(part, _lean(codes))]
    if colon and tape.lower() not in ("utp", "cta"):
        return [(part, None)]
    if codes.isascii() and codes.isdigit() and len(codes) > 1:
        return [(codes, _NUMBERS.get(int(codes)))]
    if _TAPES_WORD.fullmatch(codes) is None:
        return [(part, None)]
    table = {**_LETTERS, **_UTP} if tape.lower() == "utp" else _LETTERS
    return [(code, table.get(code)) for code in codes]


def _lean(text: str) -> int | None:
    try:
        bits = int(text, 16)
    except ValueError:
        return None
    volume_only = bits & _LEAN_VOLUME_ONLY or (bits & _LEAN_SWEEP and not bits & _LEAN_EXTENDED)
    return (
        (VOLUME_ONLY if volume_only else 0)
        | (ODD_LOT if bits & _LEAN_ODD_LOT else 0)
        | (AUCTION if bits & _LEAN_AUCTIONS else 0)
        | (OUT_OF_SEQUENCE if bits & _LEAN_OUT_OF_SEQUENCE else 0)
    )
