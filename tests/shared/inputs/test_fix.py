"""FIX messages of trades: tag=value, FIX's JSON encoding, and objects with FIX's names."""

from __future__ import annotations

import json
from dataclasses import astuple
from decimal import Decimal
from typing import Any

import pytest

from functions.udp_bridge.bodies import cut
from functions.udp_bridge.datagrams import Datagrams
from functions.udp_bridge.formats import sorted_out
from shared.inputs.objects import fix
from shared.wire.raw_batch import FORMAT_SCANNER
from tests.shared.inputs.feeds import parsed, trades

TIME = "20250101-12:30:00.123"
TIME_US = 1_735_734_600_123_000

TRADE = f"35=8|150=F|17=e1|55=BRN|31=-37.630|32=2|60={TIME}|54=1|2446=2"
CANCELS = {
    "ExecType H": f"35=8|150=H|17=e9|19=e1|55=BRN|31=-37.63|32=2|60={TIME}",
    "ExecTransType of FIX 4.2": f"35=8|20=1|150=2|17=e9|19=e1|55=BRN|60={TIME}",
    "TradeReportTransType": f"35=AE|487=1|571=r9|572=e1|55=BRN|60={TIME}",
    "TradeReportType": f"35=AE|487=0|856=6|571=r9|572=e1|55=BRN|60={TIME}",
    "locked-in trade break": f"35=AE|856=7|571=r9|1003=e1|55=BRN|60={TIME}",
}
CORRECTIONS = {
    "ExecType G": f"35=8|150=G|17=e9|19=e1|55=BRN|31=1.50|32=3|60={TIME}",
    "TradeReportTransType": f"35=AE|487=2|571=r9|572=e1|55=BRN|31=1.50|32=3|60={TIME}",
    "no, was": f"35=AE|856=5|571=r9|572=e1|55=BRN|31=1.50|32=3|60={TIME}",
}


def tags(text: str, delimiter: str = "\x01") -> bytes:
    """A whole message, with its header and trailer."""
    fields = ["8=FIX.4.4", "9=100", *text.split("|"), "10=000"]
    return (delimiter.join(fields) + delimiter).encode()


def named(text: str) -> dict[str, str]:
    """The same fields under their FIX names."""
    pairs = (each.split("=") for each in text.split("|"))
    return {fix._TAGS[tag]: value for tag, value in pairs if tag in fix._TAGS}


def forms(text: str) -> list[bytes]:
    """Every encoding of a message."""
    fields = named(text)
    whole = {"Header": {"MsgType": fields["MsgType"]}, "Body": fields, "Trailer": {}}
    return [tags(text), tags(text, "|"), json.dumps(whole).encode(), json.dumps(fields).encode()]


@pytest.mark.parametrize("form", range(4))
def test_a_trade_is_a_tick(form: int) -> None:
    """A FIX trade is a tick without aggressor, since the order's side is not the aggressor's.

    A price may be negative.
    """
    (tick,) = trades(parsed(FORMAT_SCANNER, forms(TRADE)[form]))
    assert tick.time_us == TIME_US
    assert (tick.instrument, tick.price, tick.size) == ("BRN", Decimal("-37.63"), Decimal(2))


@pytest.mark.parametrize("case", CANCELS)
def test_a_cancel_is_a_bust(case: str) -> None:
    """A cancel by execution or trade report, in every encoding, is a bust of the trade it names."""
    for body in forms(CANCELS[case]):
        found = parsed(FORMAT_SCANNER, body)
        ((_, _, bust),) = found.busts
        assert astuple(bust)[:7] == ("BRN", None, "e1", TIME_US, False, "", "")
        assert (bust.original, found.rejected, len(found.rows)) == (body, [], 0)


@pytest.mark.parametrize("case", CORRECTIONS)
def test_a_correction_has_the_new_price_and_size(case: str) -> None:
    """A correction is a bust with the price and size of its message."""
    for body in forms(CORRECTIONS[case]):
        ((_, _, bust),) = parsed(FORMAT_SCANNER, body).busts
        assert astuple(bust)[:7] == ("BRN", None, "e1", TIME_US, True, "1.50", "3")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("35=0|112=x", "fix 0"),
        ("35=A|108=30", "fix A"),
        ("35=8|150=0|17=e1|55=BRN|44=7", "fix order"),
        ("35=8|150=4|17=e1|55=BRN", "fix order"),
    ],
)
def test_session_and_order_messages_are_counted(text: str, kind: str) -> None:
    """Session and order messages are counted and make no tick."""
    found = parsed(FORMAT_SCANNER, tags(text))
    assert (dict(found.skipped), found.rejected, len(found.rows)) == ({kind: 1}, [], 0)


@pytest.mark.parametrize(
    ("text", "code", "why"),
    [
        ("35=8|150=H|17=e9|55=BRN|31=1", "bad_message", "ExecRefID"),
        ("35=8|150=H|19=e1|31=1", "bad_symbol", "symbol"),
        ("150=F|17=e1|55=BRN|31=1|32=1", "bad_message", "35=8"),
        ("35=X|268=1|269=2|55=BRN|270=1", "bad_message", "TradeCaptureReport"),
        ("35=8|150=F|17=e1|55=BRN", "bad_message", "price"),
        ("35=8|150=F|17=e1|55=BRN|31=much", "bad_price", "much"),
        ("35=8|150=F|17=e1|55=BRN|31=1|60=20250101", "bad_time", "2025-01-01"),
    ],
)
def test_a_malformed_message_is_a_reject_that_names_the_fix(text: str, code: str, why: str) -> None:
    """A malformed message is a reject that names what to send.

    A cancel without a trade reference is not read as a trade.
    """
    (reject,) = parsed(FORMAT_SCANNER, tags(text)).rejected
    assert reject.code == code
    assert why in reject.detail


@pytest.mark.parametrize("content_type", ["application/fix", "text/plain", ""])
@pytest.mark.parametrize(("delimiter", "between"), [("\x01", b""), ("\x01", b"\r\n"), ("|", b"\n")])
def test_a_body_is_cut_into_its_messages(content_type: str, delimiter: str, between: bytes) -> None:
    """A body of concatenated messages, or of one a line, is split into its messages."""
    messages = [tags(TRADE, delimiter), tags(CANCELS["ExecType H"], delimiter)]
    format_, found = cut(between.join(messages), content_type)
    assert (format_, found.payloads) == (FORMAT_SCANNER, messages)


def test_a_fix_datagram_is_recognized_by_its_version() -> None:
    """A datagram that begins with a FIX version is FIX, beside datagrams of CSV."""
    some: list[Any] = [b"A,1", tags(TRADE), b"8=FIXED,1"]
    csv, _, objects = sorted_out(Datagrams(b"".join(some), list(map(len, some)), [1, 2, 3]))
    assert (csv.payloads, objects.payloads) == (b"A,18=FIXED,1", some[1])
