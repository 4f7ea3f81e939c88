"""Alpaca's stock stream, by the examples of its documentation."""

from __future__ import annotations

import json
from dataclasses import astuple
from decimal import Decimal
from typing import Any

import pytest

from shared.inputs.formats import original
from shared.wire.busts import Bust
from shared.wire.raw_batch import FORMAT_ALPACA
from shared.wire.ticks import AUCTION, ODD_LOT, OUT_OF_SEQUENCE, VOLUME_ONLY
from tests.shared.inputs.feeds import QuoteRow, batch, parsed, quotes, trades

TRADE = (
    '{"T":"t","i":96921,"S":"AAPL","x":"D","p":126.55,"s":1,"t":"2021-02-22T15:51:44.208Z",'
    '"c":["@","I"],"z":"C"}'
)
QUOTE = (
    '{"T":"q","S":"AMD","bx":"U","bp":87.66,"bs":1,"ax":"Q","ap":87.68,"as":4,'
    '"t":"2021-02-22T15:51:45.335689322Z","c":["R"],"z":"C"}'
)
CORRECTION = (
    '{"T":"c","S":"EEM","x":"M","oi":52983525033527,"op":39.1582,"os":440000,"oc":[" ","7"],'
    '"ci":52983525034326,"cp":39.1809,"cs":440000,"cc":[" ","7"],"z":"B",'
    '"t":"2023-04-06T14:25:06.542305024Z"}'
)
CANCEL = (
    '{"T":"x","S":"GOOGL","i":465,"x":"D","p":105.31,"s":300,"a":"C","z":"C",'
    '"t":"2023-04-06T13:15:42.83540958Z"}'
)
STATUS = (
    '{"T":"s","S":"AAPL","sc":"H","sm":"Trading Halt","rc":"T12","rm":"Trading Halted; For '
    'information requested by NASDAQ","t":"2021-02-22T19:15:00Z","z":"C"}'
)
LIMITS = (
    '{"T":"l","S":"IONM","u":3.24,"d":2.65,"i":"B","t":"2023-04-06T13:34:45.565004401Z","z":"C"}'
)
BAR = (
    '{"T":"b","S":"SPY","o":388.985,"h":389.13,"l":388.975,"c":389.12,"v":49378,'
    '"n":461,"vw":389.062639,"t":"2021-02-22T19:15:00Z"}'
)


def trade(**changed: Any) -> bytes:
    return json.dumps([{**json.loads(TRADE), **changed}]).encode()


def test_one_list_holds_messages_of_several_kinds() -> None:
    """A list of mixed kinds and symbols gives its ticks and quotes; others are counted by kind."""
    message = f"[{TRADE},{QUOTE},{CORRECTION},{CANCEL},{STATUS},{LIMITS},{BAR}]".encode()
    found = parsed(FORMAT_ALPACA, message)
    (tick,) = trades(found)
    assert tick[:4] == ("AAPL.ALPACA", Decimal("126.55"), Decimal(1), 1_614_009_104_208_000)
    assert tick.place == (0, 0)
    assert found.rows.text is not None
    assert found.rows.text.tolist() == ["D:96921"]
    assert quotes(found) == [
        QuoteRow(
            "AMD.ALPACA", Decimal("87.66"), Decimal("87.68"), Decimal(1), Decimal(4),
            1_614_009_105_335_689, (0, 1),
        )
    ]  # fmt: skip
    correction, cancel = found.busts
    assert correction == (
        *(0, 2),
        Bust(
            *("EEM.ALPACA", "ALPACA", "M:52983525033527", 0, True, "39.1809", "440000", 0, 0),
            *(CORRECTION.encode(), "M:52983525034326", VOLUME_ONLY, False),
        ),
    )
    assert cancel[:2] == (0, 3)
    assert astuple(cancel.bust)[:7] == ("GOOGL.ALPACA", "ALPACA", "D:465", 0, False, "", "")
    assert astuple(cancel.bust)[10:] == ("", 0, False)
    assert found.skipped == {"status": 1, "limits": 1, "bar": 1}
    assert found.rejected == []


def test_control_messages_are_ignored() -> None:
    """Control messages of the stream are neither ticks nor rejects."""
    answers = (
        b'[{"T":"success","msg":"connected"}]',
        b'[{"T":"subscription","trades":["AAPL"],"quotes":["AMD"],"bars":["*"]}]',
        b'[{"T":"error","code":406,"msg":"connection limit exceeded"}]',
    )
    found = parsed(FORMAT_ALPACA, *answers)
    assert (found.skipped, found.rejected) == ({"answer": 3}, [])


@pytest.mark.parametrize(
    ("tape", "codes", "flags"),
    [
        ("C", ["@"], 0),
        ("C", ["@", "T", "I"], VOLUME_ONLY | ODD_LOT),
        ("C", ["B"], 0),  # a bunched trade on this tape, an average price on the others
        ("A", ["B"], VOLUME_ONLY),
        ("B", [" ", "7"], VOLUME_ONLY),
        ("A", ["4", "7"], VOLUME_ONLY),  # two codes, not one of two digits
        ("A", ["Z"], VOLUME_ONLY | OUT_OF_SEQUENCE),
        ("C", ["O", "X"], AUCTION),
        ("N", ["I"], VOLUME_ONLY | ODD_LOT),
    ],
)
def test_conditions_are_read_by_tape(tape: str, codes: list[str], flags: int) -> None:
    """A condition code is read by the table of its tape."""
    found = parsed(FORMAT_ALPACA, trade(z=tape, c=codes))
    assert found.rows.flags is not None
    assert (found.rows.flags.tolist(), found.unread) == ([flags], {})


def test_official_prices_are_skipped_and_void_trades_are_busts() -> None:
    """An official close, which has no volume, makes no tick; a void trade of REST is a bust."""
    updates = [trade(u=update) for update in ("canceled", "incorrect", "corrected")]
    found = parsed(FORMAT_ALPACA, trade(c=["M"]), *updates)
    assert found.skipped == {"official_price": 1}
    assert [each.place for each in trades(found)] == [(3, 0)]
    at_us = trades(found)[0].time_us
    expected = ("D:96921", at_us, False, True)
    for _, _, b in found.busts:
        assert (b.trade_id, b.event_time_us, b.is_correction, b.may_be_absent) == expected
    assert len(found.busts) == 2


def test_a_correction_to_an_official_price_is_a_cancel() -> None:
    """A correction to an official price cancels the trade and adds none."""
    text = CORRECTION.replace('"cc":[" ","7"]', '"cc":["M"]')
    ((_, _, bust),) = parsed(FORMAT_ALPACA, f"[{text}]".encode()).busts
    assert (bust.is_correction, bust.price, bust.corrected_id) == (False, "", "")


def test_nanoseconds_are_truncated() -> None:
    """Nanoseconds are truncated: rounding would move a minute's last trade into the next one."""
    found = parsed(FORMAT_ALPACA, trade(t="2021-02-22T15:51:59.999999999Z"))
    assert trades(found)[0].time_us == 1_614_009_119_999_999


def test_numbers_keep_every_digit() -> None:
    """Fractional shares and numbers with more digits than a float keep every digit."""
    text = TRADE.replace("126.55", "126.5500000000000001").replace('"s":1', '"s":0.000001')
    (tick,) = trades(parsed(FORMAT_ALPACA, f"[{text}]".encode()))
    assert (tick.price, tick.size) == (Decimal("126.5500000000000001"), Decimal("0.000001"))


@pytest.mark.parametrize(
    ("element", "code"),
    [
        ({"T": "t", "S": "AAPL", "p": 1, "s": 1, "t": "2021-02-22T15:51:44Z"}, "bad_trade_id"),
        ({**json.loads(TRADE), "t": "soon"}, "bad_time"),
        ({**json.loads(TRADE), "p": None}, "bad_price"),
        ({**json.loads(TRADE), "S": ""}, "bad_symbol"),
        ({**json.loads(CANCEL), "S": "A,B"}, "bad_symbol"),
        ({**json.loads(CANCEL), "i": None}, "bad_trade_id"),
        ({**json.loads(CORRECTION), "cp": "much"}, "bad_price"),
        ({**json.loads(CORRECTION), "cs": -1}, "bad_size"),
        ({**json.loads(CORRECTION), "x": "M" * 65}, "bad_trade_id"),
        ({"T": "zz"}, "bad_message"),
        ({"S": "AAPL"}, "bad_message"),
        (7, "bad_message"),
    ],
)
def test_a_bad_element_is_rejected_alone(element: Any, code: str) -> None:
    """A bad element is rejected with its own bytes; the rest of its list is parsed."""
    message = f"[{TRADE},{json.dumps(element)},{CANCEL}]".encode()
    found = parsed(FORMAT_ALPACA, message)
    assert [(each.line, each.code) for each in found.rejected] == [(1, code)]
    assert (len(trades(found)), len(found.busts)) == (1, 1)
    assert original(batch(FORMAT_ALPACA, [message]), 0, 2) == CANCEL.encode()
    assert json.loads(found.rejected[0].original) == element
