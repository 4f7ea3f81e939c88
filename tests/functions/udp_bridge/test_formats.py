"""CSV lines, TickerUpdates and JSON objects on one port are distinguished by content."""

from __future__ import annotations

import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from functions.udp_bridge.datagrams import Datagrams
from functions.udp_bridge.formats import sorted_out
from shared.schema.ticker_pb2 import TickerUpdate

tickers = st.builds(
    lambda symbol, price, volume: TickerUpdate(
        symbol=symbol, price=price, volume=volume
    ).SerializeToString(),
    st.from_regex(r"[A-Z][A-Z0-9]{0,31}", fullmatch=True),
    st.floats(min_value=1e-9, max_value=1e9),
    st.integers(0, 10**9),
)
lines = st.one_of(
    st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=60).map(str.encode),
    st.sampled_from([b"", b"\n", b"\n\nAAPL,1.50,10", b"A,1\nB,2\n", b"\r\n\rA,1,,1700000000000"]),
)


objects = st.text(max_size=60).map(
    lambda text: b"{" + text.encode(errors="replace").replace(b"\n", b"\n-")
)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just(0), lines.filter(lambda line: line[:1] != b"{")),
            st.tuples(st.just(1), tickers),
            st.tuples(st.just(2), objects),
        )
    )
)
@example([(1, TickerUpdate(symbol="A" * 10, price=1).SerializeToString()), (0, b"\n\x03AA")])
def test_each_datagram_goes_to_its_format_in_order(some: list[tuple[int, bytes]]) -> None:
    """Each datagram goes to its format with length and receive time, in order."""
    read = Datagrams(
        b"".join(payload for _, payload in some),
        [len(payload) for _, payload in some],
        list(range(len(some))),
        truncated=1,
    )
    for expected, part in enumerate(sorted_out(read)):
        of_it = [(i, payload) for i, (kind, payload) in enumerate(some) if kind == expected]
        assert part.payloads == b"".join(payload for _, payload in of_it)
        assert part.lengths == [len(payload) for _, payload in of_it]
        assert part.receive_time_us == [i for i, _ in of_it]


def test_blanks_and_a_byte_order_mark_hide_no_object() -> None:
    """An object after blanks or a byte order mark is recognized."""
    objects = [b'\xef\xbb\xbf{"a":1}', b' \r\n{"a":1}', b'\xef\xbb\xbf {"a":1}']
    others = [b"\xef\xbb\xbfA,1", b"A,{", b"\xef\xbb\xbf", b""]
    some = objects + others
    csv, _, read = sorted_out(Datagrams(b"".join(some), list(map(len, some)), [0] * len(some)))
    assert (read.payloads, csv.payloads) == (b"".join(objects), b"".join(others))


def test_several_objects_of_a_datagram_are_one_each() -> None:
    """An array, and objects one a line, are one object each, with the receive time of all."""
    some = [
        b'{"a":1}\n{"b":[2]}\r\n\n{bad\n',
        b'\xef\xbb\xbf [ {"c":3.10}, {"d":4} ]',
        b'{\n "e": 5\n}',  # one object of several lines
        b'{"f":6}\nf,6',  # anything else stays as it is
        b'[{"g":',
        b"[X],1",
        b'[337,[["5541.2","0.1","1534614057.3","s","l",""]],"trade","XBT/USD"]',  # of Kraken
    ]
    csv, _, read = sorted_out(Datagrams(b"".join(some), list(map(len, some)), list(range(1, 8))))
    ends = list(itertools.accumulate(read.lengths, initial=0))
    objects = [read.payloads[a:b] for a, b in itertools.pairwise(ends)]
    assert list(zip(read.receive_time_us, objects, strict=True)) == [
        (1, b'{"a":1}'),
        (1, b'{"b":[2]}'),
        (1, b"{bad"),
        (2, b'{"c":3.10}'),
        (2, b'{"d":4}'),
        (3, some[2]),
        (4, some[3]),
        (5, some[4]),
        (7, some[6]),
    ]
    assert csv.payloads == b"[X],1"


def test_garbage_with_control_characters_is_a_line() -> None:
    """Garbage with control characters that begins as no TickerUpdate is a line."""
    garbage = [
        b"\x11",
        b"\n",
        b"\n\x11",
        b"\n\x01",
        b"\n\x01A",
        b"\n\x01A\x12",
        b"\n\xff\x11",
        b"x\x11",
    ]
    csv, ticker, _ = sorted_out(Datagrams(b"".join(garbage), list(map(len, garbage)), [0] * 8))
    assert (len(csv), len(ticker)) == (8, 0)
