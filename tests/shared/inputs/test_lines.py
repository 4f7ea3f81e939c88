"""The vectorised parser of CSV lines and the one-line parser give the same result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.inputs.columns.packed_text import FEW
from shared.inputs.columns.rows import Rows
from shared.inputs.text.dialects import dialect_of, first_of
from shared.inputs.text.line import RejectedLineError, parse_line
from shared.inputs.text.lines import line_at, parse_lines
from shared.wire.raw_batch import FORMAT_CSV, RawBatch

NOW_US = 1_800_000_000_000_000


@pytest.fixture(autouse=True, scope="module", params=[0, FEW])
def few(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run each test with arrays for the smallest batch, and line by line for a small one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.inputs.text.lines.FEW", request.param)
        yield


def batch(*payloads: bytes) -> RawBatch:
    return RawBatch.of(FORMAT_CSV, "udp-1", 0, payloads, NOW_US)


def row(rows: Rows, i: int) -> tuple[object, ...]:
    return (
        rows.names[rows.symbol[i]],
        Decimal(int(rows.price[i])).scaleb(-int(rows.price_scale[i])),
        Decimal(int(rows.size[i])).scaleb(-int(rows.size_scale[i])),
        int(rows.time_us[i]),
        int(rows.side[i]),
        int(rows.id_kind[i]),
        int(rows.trade_id[i]),
        "" if rows.text is None else rows.text[i],
    )


def one_by_one(payloads: tuple[bytes, ...]) -> tuple[dict[object, object], dict[object, str]]:
    """The one-line parser's result of each line, by (payload, line)."""
    ticks: dict[object, object] = {}
    codes: dict[object, str] = {}
    for p, payload in enumerate(payloads):
        lines = [line[:-1] if line.endswith(b"\r") else line for line in payload.split(b"\n")]
        lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
        if not any(lines):
            codes[p, 0] = "empty_payload"
            continue
        dialect = dialect_of(first_of(filter(None, lines))[1])
        for n, line in enumerate(lines):
            if not line or line == dialect.header:
                continue
            try:
                t = parse_line(line, dialect)
            except RejectedLineError as error:
                codes[p, n] = error.code
                continue
            ticks[p, n] = (
                t.symbol,
                Decimal(t.price.mantissa).scaleb(-t.price.scale),
                Decimal(t.size.mantissa).scaleb(-t.size.scale),
                -1 if t.time_us is None else t.time_us,
                t.side,
                t.trade_id_kind,
                t.trade_id,
                t.trade_id_text,
            )
    return ticks, codes


plain_number = st.from_regex(r"[0-9]{1,12}(\.[0-9]{1,10})?", fullmatch=True)
odd_number = st.sampled_from(
    ["", "0", "-1", "NaN", "inf", "1e3", "1.", ".5", "1.2.3", ".", "+7", "007", "1e999", "9" * 40,
     "0.000000000000000000000000000000001", "1_000", " 1", "9223372036854775807",
     "9223372036854775808", "1e-30", "0.0", "1.50000000000000000000000"]
)  # fmt: skip
line = st.builds(
    lambda fields: ",".join(fields).encode(),
    st.one_of(
        st.tuples(
            st.sampled_from(["BTC-USD", "A", "XRP/ETH", "^GSPC", "币安人生", "L" * 64, "SPX  24"]),
            st.one_of(plain_number, plain_number.map("-{}".format)),
            plain_number,
            st.one_of(
                st.integers(315_532_800, 4 * 10**18).map(str),
                st.sampled_from(["2025-02-20T14:30:00Z", "1740009600.25", "20250220"]),
            ),
            st.sampled_from(["buy", "sell", "B", "s", ""]),
            st.one_of(
                st.integers(0, 10**18).map(str),
                st.just(""),
                st.sampled_from(["a-b-c", "null", '"7"', " 8", "é"]),
            ),
        ),
        st.lists(
            st.one_of(
                plain_number,
                odd_number,
                st.sampled_from(["BTC", "buy", "", "-", "a b", "'; DROP TABLE ticks; --", "é"]),
            ),
            max_size=8,
        ).map(tuple),
    ),
)
payload = st.one_of(
    st.lists(line, max_size=5).map(b"\n".join),
    st.lists(line, max_size=5).map(lambda lines: b"".join(one + b"\r\n" for one in lines)),
    st.binary(max_size=30),
)


@given(st.lists(payload, min_size=1, max_size=6).map(tuple))
@example((b"",))
@example((b"A,1\n\0A,1\n\0\0\0\0\0\0\0\0A,1", b"A\0,1"))
@example((b"\n", b"A,1", b"\nB,2", b"A,1\n", b"C,3\r"))
@example((b"\xef\xbb\xbfsymbol,price\r\nA,1\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbfA,1", b"A,2"))
@example((b"'; DROP TABLE ticks; --,1\nA,1\nA;1;2\nA\t3", b"A;1\nB,2,,,,x;5\n;\n,1;5\nA;b,1"))
@example((b"price;time;symbol\n1;1740009600;A;\n-2;;B", b"A,1", b"A\t1\t2\n", b"symbol,price\n"))
@example((b"\nPrice,Symbol,m\n1,A,true\nPrice,Symbol,m\n2,B,false", b"id,price,qty\n1,2,3\n"))
def test_both_parsers_agree_on_every_line(payloads: tuple[bytes, ...]) -> None:
    """Both parsers give the same ticks with the same values and the same rejects."""
    rows, rejected, *_ = parse_lines(batch(*payloads))
    ticks, codes = one_by_one(payloads)
    found = {(int(rows.payload[i]), int(rows.line[i])): row(rows, i) for i in range(len(rows))}
    assert found == ticks
    assert {(r.payload, r.line): r.code for r in rejected} == codes


def test_a_plain_batch_needs_no_line_by_line_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain batch is parsed without a Python loop over its lines."""

    def refuse(line: bytes, dialect: object) -> None:
        raise AssertionError(line)

    monkeypatch.setattr("shared.inputs.text.lines.parse_line", refuse)
    lines = b"\n".join(
        b"BTC-USD,%d.%02d,0.5,1700000000000,buy,%d" % (100 + i, i % 100, i) for i in range(100)
    )
    rows, rejected, *_ = parse_lines(batch(lines, b"AAPL,1\nAAPL,2,3\n"))
    assert len(rows) == 102
    assert rejected == []


def test_a_reject_has_its_reason_and_bytes() -> None:
    """A reject has its reason and bytes, and the next good line of the datagram is parsed."""
    rows, rejected, *_ = parse_lines(batch(b"BTC-USD,5,-5\nBTC-USD,5,1,20250220,buy\nBTC-USD,6"))
    assert [rows.names, len(rows)] == [("BTC-USD",), 1]
    assert [(r.original, r.code) for r in rejected] == [
        (b"BTC-USD,5,-5", "bad_size"),
        (b"BTC-USD,5,1,20250220,buy", "bad_time"),
    ]
    assert "write 2025-02-20" in rejected[1].detail


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"BTC", "bad_line"),
        (b"A,1,2,3,4,5,6,7,8", "bad_line"),
        (b'A,1,"', "bad_line"),
        (b"'; DROP TABLE ticks; --,1", "bad_symbol"),
        (b",1", "bad_symbol"),
        (b"A,NaN", "bad_price"),
        (b"A,1.5.5", "bad_price"),
        (b"A,1,-1", "bad_size"),
        (b"A,1,1,yesterday", "bad_time"),
        (b"A,1,1,,hold", "bad_side"),
        (b"A,1,1,,," + b"x" * 65, "bad_trade_id"),
        (b"A," + b"9" * 77, "out_of_range"),
        (b"A,\xff", "bad_text"),
    ],
)
def test_each_fault_has_its_code(line: bytes, code: str) -> None:
    """Each fault has a code, which is the metric's label, and a message that names the field."""
    with pytest.raises(RejectedLineError) as caught:
        parse_line(line)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("line", "price", "size"),
    [
        (b"A;1.234,5;1.000", "1234.5", "1000"),
        (b"A;1,5;2", "1.5", "2"),
        (b"A;1.5;2", None, None),
        (b"A;1,5;0.25", None, None),
        (b"A;12.34,5;2", None, None),
    ],
)
def test_a_point_with_a_decimal_comma_is_a_thousands_separator(
    line: bytes, price: str | None, size: str | None
) -> None:
    """With a decimal comma a point separates thousands; 1.5 would otherwise be read as 15."""
    dialect = dialect_of(line, decimal_comma=True)
    if price is None or size is None:
        with pytest.raises(RejectedLineError, match="a point divides thousands"):
            parse_line(line, dialect)
        return
    found = parse_line(line, dialect)
    expected = (Decimal(price), Decimal(size))
    assert (
        tuple(Decimal(n.mantissa).scaleb(-n.scale) for n in (found.price, found.size)) == expected
    )


def test_a_comma_before_three_digits_may_divide_thousands() -> None:
    """12,345 is refused with both ways out; 12,34 can only have a decimal comma."""
    with pytest.raises(RejectedLineError, match="leave out the comma if it separates thousands"):
        parse_line(b"A;12,345;2")
    with pytest.raises(RejectedLineError, match="declare a decimal comma"):
        parse_line(b"A;12,34;2")


def test_a_delimiter_between_quotes_divides_no_columns() -> None:
    """A delimiter between quotes divides no columns, and quotes that do not end are a reject."""
    content = b'symbol,note,price,time,more\nA,"x,6,y",100\nA,1,2,"a\nA,z,7,'
    rows, rejected, *_ = parse_lines(batch(content))
    assert sorted(rows.price.tolist()) == [7, 100]
    assert [(r.line, r.code) for r in rejected] == [(2, "bad_line")]


@pytest.mark.parametrize(
    "header", ["symbol, price , size", "symbol,,price,size", "a,#,symbol,price"]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_header_is_recognized_whatever_its_second_name(header: str, delimiter: str) -> None:
    """A header is recognized though its second name is empty, or begins with no letter."""
    values = [{"symbol": "A", "price": "2"}.get(name.strip(), "1") for name in header.split(",")]
    content = f"{header.replace(',', delimiter)}\n{delimiter.join(values)}\n"
    found = parse_lines(batch(content.encode()))
    assert [row(found.rows, i)[:2] for i in range(len(found.rows))] == [("A", 2)]
    assert found.rejected == []


def test_a_payloads_header_is_read_once_for_all_refused_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows refused later are cut out of lines that were divided once."""
    calls = []

    def counted(lines: Iterable[bytes]) -> tuple[int, bytes]:
        calls.append(1)
        return first_of(lines)

    monkeypatch.setattr("shared.inputs.text.lines.first_of", counted)
    one = batch(b"# made by x\nsymbol,price\r\n" + b"A,1\n" * 50)
    assert {line_at(one, 0, number) for number in range(2, 52)} == {b"symbol,price\nA,1"}
    assert len(calls) <= 1
