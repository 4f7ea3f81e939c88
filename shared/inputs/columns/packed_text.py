"""Many short texts at once, eight bytes to a 64-bit word: digits, letters, equality without a loop.

A text stands in words right-aligned: its last byte is the highest of word 0, the eight bytes before
those of word 1, and so on; what the text does not fill is zero. Arithmetic on such words handles
eight characters an operation ("SWAR"; for digits see D. Lemire, "Quickly parsing eight digits",
2018).
"""

from __future__ import annotations

from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.wire.ticks import Int64s

Bools = NDArray[np.bool_]
Words = NDArray[np.uint64]

FEW: Final = 24
"""Up to so many texts are parsed one by one: array operations cost more than they save."""

MAX_DIGITS: Final = 18
"""Longest number: any 18 digits fit 63 bits."""

_WORD: Final = 8
_POINT: Final = ord(".")
_COMMA: Final = ord(",")
_POWERS: Final = 10 ** np.arange(MAX_DIGITS + 1, dtype=np.uint64)
# A point at place p from the right, counted from 1, splits the digits at 10^p; 0 stands for none.
_SPLITS: Final = np.append(_POWERS[-1], _POWERS[1:])
_SURPLUS: Final = np.append(np.uint64(0), 9 * _POWERS[:-1])


def _each(byte: int) -> np.uint64:
    """Return a word of this byte, eight times."""
    return np.uint64(int.from_bytes(bytes([byte]) * _WORD, "little"))


_HIGH_BITS: Final = _each(0x80)
_LOW_BITS: Final = _each(0x7F)
_ZEROS: Final = _each(ord("0"))
_POINTS: Final = _each(_POINT ^ ord("0"))
_NOT_DIGIT: Final = _each(0x7F - 9)
_CASE: Final = _each(0x20)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_SLOT_BITS: Final = 13


class Spans(NamedTuple):
    """Positions of texts in the bytes: [start, end)."""

    start: Int64s
    end: Int64s

    @property
    def length(self) -> Int64s:
        """Bytes of each."""
        return self.end - self.start

    def at(self, rows: Int64s | Bools | slice) -> Spans:
        """Return some of them."""
        return Spans(self.start[rows], self.end[rows])


class Text:
    """Bytes that can be read as a word from any position."""

    def __init__(self, content: bytes) -> None:
        padded = content + bytes(_WORD)
        self._content = content
        self.bytes = np.frombuffer(padded, dtype=np.uint8)[: len(content)]
        # One word for each byte of the text, overlapping: a gather reads eight bytes an index.
        self._words: Words = np.ndarray((len(content) + 1,), "<u8", padded, 0, (1,))

    @cached_property
    def commas(self) -> Int64s:
        """Position of each comma, and the end of the text."""
        return np.append(np.flatnonzero(self.bytes == _COMMA), len(self.bytes))

    def word(self, spans: Spans, number: int, differ: np.uint64 | None = None) -> Words:
        """Return word `number` of each text, each of its bytes xor those of `differ`."""
        end = spans.end - number * _WORD
        start = np.maximum(end - _WORD, spans.start)
        words = self._words[start]
        if differ is not None:
            words ^= differ
        # By the bits that are missing: a shift by 64 or more leaves zero (NumPy's, not C's, rule).
        words <<= ((start - end + _WORD) << 3).view(np.uint64)
        return words

    def cut(self, spans: Spans, row: int) -> bytes:
        """Return one text."""
        return self._content[spans.start[row] : spans.end[row]]

    def cuts(self, spans: Spans) -> list[bytes]:
        """Return each text."""
        content, bounds = self._content, zip(spans.start.tolist(), spans.end.tolist(), strict=True)
        return [content[start:end] for start, end in bounds]

    def eight(self, position: Int64s) -> Words:
        """Return the eight bytes from each position, the first one lowest; zeros past the end."""
        return self._words[np.minimum(position, len(self._words) - 1)]

    def byte(self, position: Int64s) -> Int64s:
        """Return the byte at each position; zero past the end."""
        return (self.eight(position) & np.uint64(0xFF)).view(np.int64)

    def varint(self, position: Int64s) -> tuple[Int64s, Int64s]:
        """Return the protobuf varint at each position and its length, 0 if more than eight."""
        words = self.eight(position)
        last = ~words & _HIGH_BITS
        last &= -last
        words &= (last << np.uint64(1)) - np.uint64(1)
        size = (np.bitwise_count(last - np.uint64(1)).astype(np.int64) >> 3) + 1
        value = np.zeros(len(words), dtype=np.uint64)
        for group in range(_WORD):
            bits = (words >> np.uint64(8 * group)) & np.uint64(0x7F)
            value |= bits << np.uint64(7 * group)
        return value.view(np.int64), np.where(last == 0, 0, size)

    def decimals(self, spans: Spans, *, point: bool = True) -> tuple[Int64s, Int64s, Bools]:
        """Parse digits with at most one point.

        Returns mantissas without trailing zeros, scales, and which texts are of that form, at most
        MAX_DIGITS bytes long (without a point a byte more, if the number fits 63 bits); where they
        are not, the numbers mean nothing.
        """
        length = spans.length
        ok = (length >= 1) & (length <= MAX_DIGITS + (not point))
        value = np.zeros(len(length), dtype=np.uint64)
        point_at = np.zeros(len(length), dtype=np.uint64)
        points = np.zeros(len(length), dtype=np.int64)
        faults = np.zeros(len(length), dtype=np.uint64)
        longest = int(length[ok].max()) if ok.any() else 0
        for number in range(-(-longest // _WORD)):
            digits = self.word(spans, number, _ZEROS)
            if point:
                point_bytes = _zero_bytes(digits ^ _POINTS)
                count = np.bitwise_count(point_bytes)
                points += count
                if count.any():
                    digits &= ~((point_bytes >> np.uint64(7)) * np.uint64(0xFF))
                    # Bits below the flag: all 64 without one, so that the position is then 0.
                    below = np.bitwise_count(point_bytes - np.uint64(1)) >> np.uint8(3)
                    point_at += (np.uint64(_WORD) - below) + count * np.uint64(number * _WORD)
            fault = digits + _NOT_DIGIT
            fault |= digits
            faults |= fault
            value += _eight_digits(digits) * _POWERS[number * _WORD]
        ok &= (faults & _HIGH_BITS) == 0
        if not point or not points.any():
            ok &= value < np.uint64(1 << 63)
            return value.view(np.int64), points, ok
        ok &= (points <= 1) & (length > points)
        point_at[~ok] = 0
        # The point was read as a digit 0: the digits before it are ten times too large.
        value -= value // _SPLITS[point_at] * _SURPLUS[point_at]
        scale = np.maximum(point_at.view(np.int64) - 1, 0)
        return *shortest(value, scale), ok

    def equal(self, spans: Spans, values_of: dict[bytes, int]) -> Int64s:
        """Return the value of the word that each text equals, ignoring case; -1 if none."""
        result = np.full(len(spans.start), -1, dtype=np.int64)
        length = spans.length
        folded = self.word(spans, 0) | _CASE
        for word, value in values_of.items():
            packed = np.uint64(int.from_bytes(word.rjust(_WORD, b"\0"), "little")) | _CASE
            result[(folded == packed) & (length == len(word))] = value
        return result

    def distinct(self, spans: Spans) -> tuple[Int64s, Int64s]:
        """Return one row for each distinct text, and for each row the number of its text."""
        n = len(spans.start)
        length = spans.length
        longest = int(length.max()) if n else 0
        # The length is included: a text with leading zero bytes is different.
        words = [length.astype(np.uint64)]
        words += [self.word(spans, number) for number in range(-(-longest // _WORD))]
        mixed = np.zeros(n, dtype=np.uint64)
        for word in words:
            mixed = (mixed ^ word) * _MIX
        slot = mixed >> np.uint64(64 - _SLOT_BITS)
        owners = np.zeros(1 << _SLOT_BITS, dtype=np.int64)
        owners[slot] = np.arange(n)
        owner = owners[slot]
        same = np.ones(n, dtype=bool)
        for word in words:
            same &= word == word[owner]
        collided = np.flatnonzero(~same)
        if len(collided):  # hash collision
            columns = np.stack([word[collided] for word in words], axis=1)
            _, first, inverse = np.unique(columns, axis=0, return_index=True, return_inverse=True)
            owner[collided] = collided[first][inverse.reshape(-1)]
        is_owner = np.zeros(n, dtype=bool)
        is_owner[owner] = True
        return np.flatnonzero(is_owner), (np.cumsum(is_owner) - 1)[owner]


def _zero_bytes(words: Words) -> Words:
    """Return words with the high bit set in each byte that was zero, exactly."""
    return ~(((words & _LOW_BITS) + _LOW_BITS) | words | _LOW_BITS)


def _eight_digits(digits: Words) -> Words:
    """Return the number of eight digit values (0 to 9), lowest byte first."""
    value = digits * np.uint64(10 * 2**8 + 1)
    value >>= np.uint64(8)
    value &= np.uint64(0x00FF00FF00FF00FF)
    value *= np.uint64(100 * 2**16 + 1)
    value >>= np.uint64(16)
    value &= np.uint64(0x0000FFFF0000FFFF)
    value *= np.uint64(10_000 * 2**32 + 1)
    value >>= np.uint64(32)
    return value


def shortest(value: Words, scale: Int64s) -> tuple[Int64s, Int64s]:
    """Strip trailing zeros of decimals, in place, so that equal numbers have equal forms."""
    rows = np.flatnonzero(scale)
    ten = np.uint64(10)
    while len(rows):
        left = value[rows]
        tenth = left // ten
        even = (tenth * ten == left) & (scale[rows] > 0)
        rows = rows[even]
        value[rows] = tenth[even]
        scale[rows] -= 1
    return value.view(np.int64), scale
