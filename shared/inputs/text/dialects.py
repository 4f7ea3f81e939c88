"""CSV dialects: delimiter, decimal comma and columns, from a payload's first line."""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from shared.inputs.objects.fields import Field, Layout, is_header, layout_of
from shared.inputs.objects.trades import SIDES

COLUMNS: Final = (
    Field.SYMBOL, Field.PRICE, Field.SIZE, Field.TIME, Field.SIDE, Field.TRADE_ID, Field.CONDITIONS
)  # fmt: skip
"""The default order of columns, without a header."""

_DELIMITERS: Final = "\t;"
_REMARKS: Final = 50
"""So many comment lines above the first row may be its header."""
_VALUE: Final = re.compile(r'\s*"?\s*([+-]?[.,]?\d|[A-Za-z_<][\w .<>-]*"?\s*$)')


@dataclass(frozen=True, slots=True)
class Dialect:
    """`places[i]`: index of the column of COLUMNS[i]; -1 if there is none.

    `width`: maximum columns of a line. `header`: the header line, or None, with its `names` and
    their `layout`. `side`: the field of the side column.
    """

    delimiter: str = ","
    decimal_comma: bool = False
    places: tuple[int, ...] = tuple(range(len(COLUMNS)))
    width: int = len(COLUMNS)
    header: bytes | None = None
    names: tuple[str, ...] = ()
    layout: Layout | None = None
    side: Field = Field.SIDE

    @property
    def is_regular(self) -> bool:
        """Whether a line's columns, and no others, are the fields of a tick as they stand."""
        read = self.layout
        if read is None:
            return True
        others = {*SIDES, Field.SIGNED_SIZE, Field.IS_BLOCK} - {self.side}
        by_others = (
            read.ids_within or read.conditions_of or read.tape or read.date
            or read.left_out.keys() - {*read.places.get(Field.PRICE, ())}
            or others.intersection(read.places)
        )  # fmt: skip
        return self.side in (Field.SIDE, Field.BUYER_MAKER, Field.TYPE) and not by_others


PLAIN: Final = Dialect()


@lru_cache(maxsize=1024)
def dialect_of(first_line: bytes, *, decimal_comma: bool = False) -> Dialect:
    """Return the dialect of a payload with this first line."""
    text = first_line.decode(errors="replace")
    for delimiter in (",", *_DELIMITERS):
        with contextlib.suppress(csv.Error):
            if is_header(names := split(text, delimiter)):
                break
    else:
        return Dialect(delimiter_of(text), decimal_comma)
    layout = layout_of(tuple(names), is_table=True)
    side = next((each for each in SIDES if each in layout.places), Field.SIDE)
    columns = (side if each is Field.SIDE else each for each in COLUMNS)
    return Dialect(
        delimiter,
        decimal_comma,
        tuple(
            names.index(layout.places[each][0]) if each in layout.places else -1 for each in columns
        ),
        len(names),
        first_line,
        tuple(names),
        layout,
        side,
    )


def first_of(lines: Iterable[bytes]) -> tuple[int, bytes]:
    """Return the line that determines a payload's dialect, with its index: no `# made by ...`.

    Nor is it Excel's `sep=;`. A header `# symbol,price` is returned without its mark.
    """
    remarks: list[tuple[int, bytes]] = []
    for n, line in enumerate(lines):
        if not line.startswith(b"#") and line[:4].lower() != b"sep=":
            for at, remark in reversed(remarks[-_REMARKS:]):
                header = unmarked(remark.decode(errors="replace")).encode()
                with contextlib.suppress(csv.Error):
                    delimiter = dialect_of(header).delimiter
                    names, row = (
                        split(e.decode(errors="replace"), delimiter) for e in (header, line)
                    )
                    if heads(names, row):
                        return at, header
            return n, line
        remarks.append((n, line))
    return remarks[0] if remarks else (0, b"")


def unmarked(line: str) -> str:
    """Return a line that may be a header `# symbol,price` without its mark."""
    return re.sub(r"^# *(?=[A-Za-z_])", "", line)


def heads(names: Sequence[str], row: Sequence[str]) -> bool:
    """Tell whether the names in a comment are the header of the first row below the comments.

    They are a remark if one is not known, if the row is a header, or has another number of fields.
    """
    if len(names) != len(row) or not is_header(names) or is_header(row):
        return False
    return {*layout_of(tuple(names), is_table=True).unread} <= {"#"}


def delimiter_of(text: str) -> str:
    """Return the delimiter of a line.

    It is a tab or semicolon if that follows a field without a comma and precedes a name or
    something like a number; else a comma.
    """
    for delimiter in _DELIMITERS:
        if delimiter in text:
            first, second = text.split(delimiter, 2)[:2]
            if "," not in first and _VALUE.match(second):
                return delimiter
    return ","


def split(text: str, delimiter: str) -> list[str]:
    """Return the fields of a line, without quotes and the blanks around them."""
    if '"' not in text:
        return [field.strip() for field in text.split(delimiter)]
    (fields,) = csv.reader([text], delimiter=delimiter, skipinitialspace=True, strict=True)
    return [field.strip() for field in fields]
