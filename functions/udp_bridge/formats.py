"""The formats of datagrams, and how they are told apart."""

from __future__ import annotations

from typing import Final

import numpy as np

from functions.udp_bridge.datagrams import Datagrams
from shared.settings import Choice

_SYMBOL_TAG: Final = 0x0A
_PRICE_TAG: Final = 0x11


class UdpFormat(Choice):
    """What UDP_FORMAT may say."""

    AUTO = "auto"
    CSV = "csv"
    TICKER = "ticker"


def sorted_out(datagrams: Datagrams) -> tuple[Datagrams, Datagrams]:
    """Return the CSV lines and the TickerUpdates, each in the order of their receipt.

    A TickerUpdate that has a symbol and a price begins with the tag of its symbol, and the tag of
    its price follows the symbol. That is a control character, which stands in no good CSV line, so
    no good datagram is taken for what it is not. Every writer of protobuf keeps to that order.
    """
    none = Datagrams(b"", [], [])
    payloads = datagrams.payloads
    if _PRICE_TAG not in payloads:
        return datagrams, none
    ends = np.cumsum(datagrams.lengths)
    starts = ends - datagrams.lengths
    is_ticker = [
        start + 2 < end
        and payloads[start] == _SYMBOL_TAG
        and (tag := start + 2 + payloads[start + 1]) < end
        and payloads[tag] == _PRICE_TAG
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]
    if all(is_ticker):
        return none, datagrams
    spans = list(zip(starts.tolist(), ends.tolist(), is_ticker, strict=True))

    def those(wanted: bool) -> Datagrams:
        return Datagrams(
            b"".join([payloads[start:end] for start, end, ticker in spans if ticker is wanted]),
            [end - start for start, end, ticker in spans if ticker is wanted],
            [
                time_us
                for time_us, ticker in zip(datagrams.receive_time_us, is_ticker, strict=True)
                if ticker is wanted
            ],
        )

    return those(wanted=False), those(wanted=True)
