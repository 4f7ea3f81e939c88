"""FIX messages of trades, as tag=value or in FIX's JSON encoding, mapped to JSON names.

Sources: FIX Trading Community, "FIX Latest": ExecutionReport (8), TradeCaptureReport (AE), and
"JSON Encoding for FIX".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from shared.inputs.venues.messages import text_of

BEGINNINGS: Final = (b"8=FIX.", b"8=FIXT.")
_BEGINNING: Final = re.compile(rb"(?<![^\x01|\s])8=FIXT?\.")

_TAGS: Final = {
    "17": "ExecID",
    "19": "ExecRefID",
    "20": "ExecTransType",
    "31": "LastPx",
    "32": "LastQty",
    "35": "MsgType",
    "55": "Symbol",
    "60": "TransactTime",
    "150": "ExecType",
    "277": "TradeCondition",
    "487": "TradeReportTransType",
    "571": "TradeReportID",
    "572": "TradeReportRefID",
    "856": "TradeReportType",
    "1003": "TradeID",
    "2446": "AggressorSide",
}
_TRADE, _CANCEL, _CORRECT, _OTHER = "trade", "cancel", "correct", ""
_VERBS: Final[Mapping[str, Mapping[str, str]]] = {
    "ExecTransType": {"1": _CANCEL, "2": _CORRECT},
    "ExecType": {"F": _TRADE, "1": _TRADE, "2": _TRADE, "G": _CORRECT, "H": _CANCEL},
    "TradeReportTransType": {"0": _TRADE, "1": _CANCEL, "2": _CORRECT},
    "TradeReportType": {"0": _TRADE, "5": _CORRECT, "6": _CANCEL, "7": _CANCEL},
}
"""Effect of a field's value; a cancel or correction takes precedence."""
_REPORTS: Final = frozenset({"8", "AE"})
_MARKET_DATA: Final = frozenset({"W", "X"})
_IDS: Final = ("ExecID", "TradeID", "TradeReportID")
_REFERENCES: Final = ("ExecRefID", "TradeReportRefID", "TradeID")
_SIDES: Final = {"1": "buy", "2": "sell"}

Values = dict[str, msgspec.Raw]


class NoTrade(Values):
    """A FIX message without a trade: of a skipped `kind`, or the reason of a reject."""

    def __init__(self, kind: str, why: str = "") -> None:
        super().__init__()
        self.kind = kind
        self.why = why


def cut(body: bytes) -> list[bytes]:
    """Return the messages of a body, concatenated or one per line."""
    starts = [match.start() for match in _BEGINNING.finditer(body)] or [0]
    ends = [*starts[1:], len(body)]
    return [body[a:b].strip(b"\r\n ") for a, b in zip(starts, ends, strict=True)]


def of_tags(payload: bytes) -> Values:
    """Parse a tag=value message with fields separated by SOH or a bar."""
    delimiter = b"\x01" if b"\x01" in payload else b"|"
    fields: dict[str, str] = {}
    for each in payload.split(delimiter):
        tag, _, value = each.decode(errors="replace").partition("=")
        if tag in _TAGS:
            fields.setdefault(_TAGS[tag], value)
    if "MsgType" not in fields:
        return NoTrade("", "it names no MsgType: 35=8, an ExecutionReport, or 35=AE")
    return _values(fields)


def of_json(values: Values) -> Values:
    """Return a JSON object unchanged, or the values of a FIX message."""
    if "Body" in values and "Header" in values:
        parts = [msgspec.json.decode(values[name], type=Values) for name in ("Header", "Body")]
        return _values({name: text_of(raw) for part in parts for name, raw in part.items()})
    if values.keys().isdisjoint(_VERBS):
        return values
    texts = {name: text_of(raw) for name, raw in values.items()}
    return _values(texts) if _verb(texts) else values


def _verb(fields: Mapping[str, str]) -> str:
    verbs = {_VERBS[name].get(fields[name], _OTHER) for name in _VERBS if name in fields}
    return next((verb for verb in (_CANCEL, _CORRECT, _TRADE) if verb in verbs), _OTHER)


def _values(fields: Mapping[str, str]) -> Values:
    """Return a trade, cancel or correction under our names."""
    type_ = fields.get("MsgType", "8")
    if type_ not in _REPORTS:
        if type_ in _MARKET_DATA:
            return NoTrade(
                "", "market data is not read: send ExecutionReport (8) or TradeCaptureReport (AE)"
            )
        return NoTrade(f"fix {type_[:2]}")
    verb = _verb(fields)
    if not verb and type_ == "8":
        return NoTrade("fix order")
    values = {
        "symbol": fields.get("Symbol"),
        "price": fields.get("LastPx"),
        "size": fields.get("LastQty"),
        "time": fields.get("TransactTime"),
        "side": _SIDES.get(fields.get("AggressorSide", "")),
        "conditions": fields.get("TradeCondition"),
    }
    is_trade = verb not in (_CANCEL, _CORRECT)
    names = _IDS if is_trade else _REFERENCES
    id_ = next((fields[name] for name in names if fields.get(name)), None)
    if not is_trade and id_ is None:
        return NoTrade("", f"to {verb} a trade it must name it: {' or '.join(_REFERENCES)}")
    values["trade_id" if is_trade else verb] = id_
    return {name: msgspec.Raw(msgspec.json.encode(each)) for name, each in values.items() if each}
