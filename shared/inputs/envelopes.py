"""The trades within a message: its `data`, an object, or a list where the message says of what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from shared.inputs.line import BYTE_ORDER_MARK
from shared.inputs.messages import payload_at
from shared.inputs.raw_values import text_of
from shared.wire.raw_batch import RawBatch

Values = dict[str, msgspec.Raw]

decode_object: Final = msgspec.json.Decoder(Values).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_KINDS: Final = ("channel", "topic", "table", "type", "arg")
_OF_TRADES: Final = ("trade", "publictrade")


class Inner(NamedTuple):
    """An object in a message: the element `line` of a list, which stands there as `original`.

    `original` is None where the object is the message, or its `data` alone. `symbol`: what the
    message says of it, empty where it says none.
    """

    values: Values
    symbol: str = ""
    line: int = 0
    original: bytes | None = None


def objects_of(message: Values) -> list[Inner]:
    """Return the objects of a message.

    Raises msgspec.DecodeError where `data` is neither an object nor a list of trades: books and
    candles come as lists too, and their rows have a price.
    """
    if "data" not in message or "price" in message:
        return [Inner(message)]
    data = bytes(message["data"])
    if data == b"null":
        return [Inner(message)]
    topic = text_of(message["topic"]) if "topic" in message else ""
    if not data.startswith(b"["):
        return [Inner(decode_object(data), topic.rpartition(":")[2])]
    if not _is_of_trades(message):
        raise msgspec.DecodeError(
            f"it is a list, and none of {', '.join(_KINDS)} says that it is of trades"
        )
    symbol = text_of(_argument(message).get("instId", msgspec.Raw(b"")))
    return [
        Inner(decode_object(raw), symbol, line, bytes(raw))
        for line, raw in enumerate(_decode_list(data))
    ]


def object_at(batch: RawBatch, payload: int, line: int) -> bytes:
    """Return a message as it came, or the element of its list."""
    message = payload_at(batch, payload)
    if not line and b"[" not in message:
        return message
    try:
        inner = objects_of(decode_object(message.removeprefix(BYTE_ORDER_MARK)))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return message
    return inner[line].original or message


def _argument(message: Values) -> Mapping[str, msgspec.Raw]:
    """Return `arg`, in which OKX and Bitget say what was subscribed to."""
    said = bytes(message.get("arg", b""))
    return decode_object(said) if said.startswith(b"{") else {}


def _is_of_trades(message: Values) -> bool:
    """Tell whether a message says that its list is of trades: `trades`, `publicTrade.BTCUSDT`."""
    said = [text_of(message[name]) for name in _KINDS if name in message and name != "arg"]
    said += [text_of(raw) for name, raw in _argument(message).items() if name == "channel"]
    return any(each.lower().partition(".")[0].removesuffix("s") in _OF_TRADES for each in said)
