"""Parsing in words of eight bytes gives what plain Python gives for each text."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.inputs.columns.feed_columns import Faults, decimals
from shared.inputs.columns.packed_text import FEW, MAX_DIGITS, Spans, Text
from shared.inputs.text.line import price_of

texts = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.from_regex(rb"[0-9]{0,19}\.?[0-9]{0,19}", fullmatch=True),
        st.sampled_from([b"buy", b"BUY", b"\0buy", b"uy", b"b", b"", b"buybuybuy", b"b\0"]),
    ),
    max_size=12,
)


def laid(some: list[bytes]) -> tuple[Text, Spans]:
    """The texts concatenated."""
    ends = np.cumsum([0, *map(len, some)])
    return Text(b"".join(some)), Spans(ends[:-1], ends[1:])


def is_decimal(text: bytes, *, point: bool) -> bool:
    digits = text.replace(b".", b"", 1) if point else text
    if not point and len(text) == MAX_DIGITS + 1:
        return digits.isdigit() and int(digits) < 2**63
    return len(text) <= MAX_DIGITS and digits.isdigit()


@given(texts)
@example([b"0.000000000000001", b".5", b"5.", b".", b"100.00", b"9" * 18, b"9" * 19])
def test_decimals_are_exact_and_shortest(some: list[bytes]) -> None:
    """Digits with at most one point give their exact value without trailing zeros."""
    text, spans = laid(some)
    for point in (True, False):
        value, scale, ok = text.decimals(spans, point=point)
        assert ok.tolist() == [is_decimal(one, point=point) for one in some]
        for i in np.flatnonzero(ok).tolist():
            expected = Decimal(some[i].decode())
            assert Decimal(int(value[i])).scaleb(-int(scale[i])) == expected
            assert scale[i] == 0 or value[i] % 10 != 0


@given(st.lists(st.one_of(st.text(max_size=3), st.decimals().map(str)), max_size=FEW))
@example(["1.50", "-1.5", "1e3", "9" * 40, "", "0.0"])
def test_few_decimals_are_read_as_many(some: list[str]) -> None:
    """A column that is read one by one has the values and the faults that arrays give."""
    one_by_one, by_arrays = Faults(), Faults()
    few = decimals(price_of, "price", some, one_by_one)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.inputs.columns.feed_columns.FEW", -1)
        many = decimals(price_of, "price", some, by_arrays)
    assert [column.tolist() for column in few] == [column.tolist() for column in many]
    assert one_by_one == by_arrays


@given(texts)
def test_equality_ignores_case_and_nothing_else(some: list[bytes]) -> None:
    """A text equals a word regardless of case; zero bytes and longer texts do not match."""
    text, spans = laid(some)
    found = text.equal(spans, {b"": 0, b"buy": 1, b"b": 2})
    values = {b"": 0, b"buy": 1, b"b": 2}
    assert found.tolist() == [values.get(one.lower(), -1) for one in some]


@given(texts)
def test_distinct_texts_have_distinct_numbers(some: list[bytes]) -> None:
    """Each row's number leads to a row with the same text, and each text has one number."""
    text, spans = laid(some)
    rows, number = text.distinct(spans)
    assert [some[row] for row in rows[number].tolist()] == some
    assert len(rows) == len(set(some))


def test_texts_of_one_slot_have_distinct_numbers() -> None:
    """Texts that share a slot of the hash table are compared whole."""
    some = [b"SYMBOL-%d" % (i % 20_000) for i in range(40_000)]
    text, spans = laid(some)
    rows, number = text.distinct(spans)
    assert len(rows) == 20_000
    assert [some[row] for row in rows[number].tolist()] == some
