"""Exact decimals: mantissas with a scale on the wire, Decimal in memory, plain text outside."""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Final

EXACT: Final = Context(prec=400, traps=[Inexact, InvalidOperation, Overflow])
"""Arithmetic that would have to round raises instead. 400 digits hold any sum of any number of
products of two mantissas at any scale up to MAX_SCALE."""

MAX_SCALE: Final = 30
"""Maximum decimal places of a price or size."""

MAX_WIDE_DIGITS: Final = 76
"""Maximum digits of a mantissa: those of a 256-bit decimal, the widest of Arrow."""

INT64_MAX: Final = 2**63 - 1


def from_mantissa(mantissa: int, scale: int) -> Decimal:
    """Return mantissa x 10^-scale, exactly."""
    return Decimal(mantissa).scaleb(-scale, EXACT)


def to_mantissa(value: Decimal, scale: int) -> int:
    """Return value x 10^scale, exactly; `scale` is at least that of the value."""
    return int(value.scaleb(scale, EXACT))


def to_text(value: Decimal) -> str:
    """Format a decimal without exponent and trailing zeros, so equal values are equal texts."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def mantissa_text(mantissa: int, scale: int) -> str:
    """Return `to_text(from_mantissa(mantissa, scale))`, in a fraction of the time."""
    if not scale:
        return str(mantissa)
    digits = str(abs(mantissa)).rjust(scale + 1, "0")
    fraction = digits[-scale:].rstrip("0")
    sign = "-" if mantissa < 0 else ""
    return f"{sign}{digits[:-scale]}.{fraction}" if fraction else f"{sign}{digits[:-scale]}"
