"""Many lines of JSON objects at once: lines of one layout are split at their quotes.

A line has the layout of an earlier one, a model, if everything between its values is identical byte
for byte. Its values are then the parts in between: text without a quote or backslash, or a number,
`true`, `false`, `null` or `[]`. Every other line is left to the JSON parser.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from local.feeds.files.blocks import content_of

MODELS: Final = 4
"""Maximum number of layouts in a block of lines."""
_PLAIN: Final = (
    r"^ *: *(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null|\[\])"
    r" *(?:, *|\} *)$"
)
_AROUND: Final = " :,}"

_decode: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

Int64s = NDArray[np.int64]
Values = dict[str, pa.Array]
"""Values by name: text, numbers as written, `null` as empty text."""


@dataclass(frozen=True, slots=True)
class LineGroup:
    """Lines of one layout: their numbers, and the values of each name."""

    rows: Int64s
    values: Values


@dataclass(frozen=True, slots=True)
class _Model:
    """A line split at its quotes. `texts`, `plains`: by name, the part with its value."""

    parts: tuple[bytes, ...]
    texts: dict[str, int]
    plains: dict[str, int]

    @classmethod
    def of(cls, line: bytes) -> _Model | None:
        """Return the model of a line; None if it cannot be one."""
        try:
            values = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        parts = tuple(line.split(b'"'))
        texts, plains, part = {}, {}, 1
        for name, raw in values.items():
            if part >= len(parts) or parts[part] != name.encode():  # a name twice, or escaped
                return None
            if bytes(raw).startswith(b'"'):
                texts[name] = part + 2
                part += 4
            else:
                plains[name] = part + 1
                part += 2
        return cls(parts, texts, plains) if part == len(parts) else None


def group_lines(lines: pa.StringArray) -> tuple[list[LineGroup], Int64s]:
    """Return groups of lines with the same layout, and the numbers of all others.

    `lines`: without line ends, none empty, of valid UTF-8.
    """
    groups: list[LineGroup] = []
    readable = np.ones(len(lines), dtype=bool)
    content = content_of(lines)
    if b"\\" in content or (np.frombuffer(content, np.uint8) < ord(" ")).any():
        readable = ~np.asarray(pc.match_substring_regex(lines, r"[\x00-\x1f\\]"))
    unmatched, unreadable = np.flatnonzero(readable), np.flatnonzero(~readable)
    split = pc.split_pattern(lines, '"')
    cuts = _Cuts(split)
    unread = [unreadable]
    for _ in range(MODELS):
        if not len(unmatched):
            break
        model = _Model.of(lines[int(unmatched[0])].as_py().encode())
        rows = np.zeros(0, dtype=np.int64)
        if model is not None:
            rows, values = cuts.read(unmatched, model)
            groups.append(LineGroup(rows, values))
        if not len(rows):
            rows = unmatched[:1]
            unread.append(rows)
        unmatched = np.setdiff1d(unmatched, rows, assume_unique=True)
    return groups, np.sort(np.concatenate([*unread, unmatched]))


class _Cuts:
    """Lines cut at their quotes."""

    def __init__(self, split: pa.ListArray) -> None:
        self._flat = split.flatten()
        self._first: Int64s = np.asarray(split.offsets).astype(np.int64)
        _, offsets, data = self._flat.buffers()
        count = len(self._flat) + 1
        ends = np.frombuffer(offsets, np.int32)[self._flat.offset :][:count]
        self._ends: Int64s = ends.astype(np.int64)
        content = bytes(8) if data is None else data.to_pybytes() + bytes(8)
        # One word for each byte, overlapping: a gather reads eight bytes an index.
        self._words: NDArray[np.uint64] = np.ndarray((len(content) - 7,), "<u8", content, 0, (1,))

    def read(self, rows: Int64s, model: _Model) -> tuple[Int64s, Values]:
        """Return the rows with the model's layout, and their values."""
        counts = self._first[rows + 1] - self._first[rows]
        rows = rows[counts == len(model.parts)]
        values = {*model.texts.values(), *model.plains.values()}
        for number, text in enumerate(model.parts):
            if number not in values:
                rows = rows[self._are(self._first[rows] + number, text)]
        plains = {
            name: self._flat.take(pa.array(self._first[rows] + part))
            for name, part in model.plains.items()
        }
        is_plain = np.ones(len(rows), dtype=bool)
        for column in plains.values():
            is_plain &= np.asarray(pc.match_substring_regex(column, _PLAIN))
        if not is_plain.all():
            mask = pa.array(is_plain)
            rows, plains = rows[is_plain], {name: c.filter(mask) for name, c in plains.items()}
        columns = {name: _without_null(pc.ascii_trim(c, _AROUND)) for name, c in plains.items()}
        for name, part in model.texts.items():
            columns[name] = self._flat.take(pa.array(self._first[rows] + part))
        return rows, columns

    def _are(self, parts: Int64s, text: bytes) -> NDArray[np.bool_]:
        """Return which of the parts equal the text."""
        start = self._ends[parts]
        same = self._ends[parts + 1] - start == len(text)
        for at in range(0, len(text), 8):
            piece = text[at : at + 8]
            mask = np.uint64((1 << 8 * len(piece)) - 1)
            words = np.minimum(start + at, len(self._words) - 1)
            same &= (self._words[words] & mask) == np.uint64(int.from_bytes(piece, "little"))
        matches: NDArray[np.bool_] = same
        return matches


def _without_null(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(column, "null"), "", column)
