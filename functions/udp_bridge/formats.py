"""Format detection of datagrams."""

from __future__ import annotations

import itertools
import re
from typing import Final

import numpy as np

from functions.udp_bridge.bodies import json_datagram
from functions.udp_bridge.datagrams import Datagrams
from shared.inputs.objects import fix
from shared.inputs.text.line import BYTE_ORDER_MARK
from shared.runtime.settings import Choice

_SYMBOL_TAG: Final = 0x0A
_PRICE_TAG: Final = 0x11
_BRACE: Final = 0x7B
_BRACKET: Final = 0x5B
_NEWLINE: Final = 0x0A
_JSON_BEGINNING: Final = re.compile(rb"\[?\s*\{|\[\d+,\[")
_FIX: Final = b"8=FIX"
_EQUALS: Final = 0x3D
"""Looked for before `_FIX`: a byte is found ten times as fast as a text."""
_BLANKS: Final = 16
"""Bytes allowed before the brace of an object."""
_CSV, _TICKER, _JSON = range(3)


class UdpFormat(Choice):
    """Values of UDP_FORMAT."""

    AUTO = "auto"
    CSV = "csv"
    TICKER = "ticker"


def sorted_out(datagrams: Datagrams) -> tuple[Datagrams, Datagrams, Datagrams]:
    """Split into CSV lines, TickerUpdates, and JSON objects and FIX messages.

    Each in order of receipt. A TickerUpdate starts with the tag of its symbol, followed after the
    symbol by the tag of its price: every protobuf writer keeps field order. That tag is a control
    character, which is not allowed in CSV, so no valid datagram is misread. A JSON object starts
    with a brace, which no symbol has, after blanks or a byte order mark, an array of them with a
    bracket and a brace, a list of Kraken's trades with two brackets; a FIX message starts with its
    version. Several objects of a datagram become one each.
    """
    empty = Datagrams(b"", [], [])
    payloads = datagrams.payloads
    has_fix = _EQUALS in payloads and _FIX in payloads
    if not has_fix and not any(mark in payloads for mark in (_PRICE_TAG, _BRACE, _BRACKET)):
        return datagrams, empty, empty
    ends = np.cumsum(datagrams.lengths)
    starts = ends - datagrams.lengths
    spans = list(zip(starts.tolist(), ends.tolist(), strict=True))
    kinds = [_kind(payloads, start, end) for start, end in spans]

    def those(target: int) -> Datagrams:
        if all(kind == target for kind in kinds):
            return datagrams
        rows = [row for row, kind in enumerate(kinds) if kind == target]
        return Datagrams(
            b"".join([payloads[slice(*spans[row])] for row in rows]),
            [datagrams.lengths[row] for row in rows],
            [datagrams.receive_time_us[row] for row in rows],
        )

    return those(_CSV), those(_TICKER), _one_each(those(_JSON))


def _one_each(datagrams: Datagrams) -> Datagrams:
    """Return datagrams of one JSON object each."""
    if _NEWLINE not in datagrams.payloads and _BRACKET not in datagrams.payloads:
        return datagrams
    ends = itertools.accumulate(datagrams.lengths, initial=0)
    cut = [json_datagram(datagrams.payloads[a:b]) for a, b in itertools.pairwise(ends)]
    objects = [each for objects in cut for each in objects]
    times_us = [
        time_us
        for time_us, objects in zip(datagrams.receive_time_us, cut, strict=True)
        for _ in objects
    ]
    return Datagrams(b"".join(objects), list(map(len, objects)), times_us, datagrams.truncated)


def _kind(payloads: bytes, start: int, end: int) -> int:
    beginning = payloads[start : min(end, start + _BLANKS)].removeprefix(BYTE_ORDER_MARK).lstrip()
    if _JSON_BEGINNING.match(beginning) or payloads.startswith(fix.BEGINNINGS, start, end):
        return _JSON
    is_ticker = (
        start + 2 < end
        and payloads[start] == _SYMBOL_TAG
        and (tag := start + 2 + payloads[start + 1]) < end
        and payloads[tag] == _PRICE_TAG
    )
    return _TICKER if is_ticker else _CSV
