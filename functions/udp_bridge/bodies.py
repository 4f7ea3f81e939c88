"""Request bodies into payloads, cut at the ends of lines, messages or JSON objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from shared.raw import (
    FORMAT_CSV,
    FORMAT_SCANNER,
    FORMAT_TICKER_STREAM,
    MAX_PAYLOAD_BYTES,
    delimited,
)

MAX_TICKS: Final = 32_768
"""Lines or messages of a body: each may become a reject."""


class RefusedBodyError(ValueError):
    """The body cannot be taken. `status` is the HTTP status; the message says what to send."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title


def lines(body: bytes) -> list[bytes]:
    """Cut a body of CSV lines. Raises RefusedBodyError."""
    if not body:
        raise RefusedBodyError(
            400, "empty body", "send lines SYMBOL,PRICE[,SIZE[,TIME_MS[,SIDE[,ID]]]]"
        )
    _check_count(body.count(b"\n"), "lines")
    payloads = []
    start = 0
    while start < len(body):
        end = start + MAX_PAYLOAD_BYTES
        if end < len(body):
            end = body.rfind(b"\n", start, end) + 1
            if not end:
                raise RefusedBodyError(
                    413, "line too long", f"a line may have {MAX_PAYLOAD_BYTES} bytes"
                )
        payloads.append(body[start:end])
        start = end
    return payloads


def messages(body: bytes) -> list[bytes]:
    """Cut a sequence of TickerUpdates, each behind its length. Raises RefusedBodyError.

    A last message that is cut off stays in: it becomes a reject, and those before it count.
    """
    if not body:
        raise RefusedBodyError(
            400, "empty body", "send TickerUpdates, each behind its length as a varint"
        )
    payloads = []
    start = count = 0
    for message in delimited(body):
        count += 1
        if message.end - start > MAX_PAYLOAD_BYTES:
            payloads.append(body[start : message.before])
            start = message.before
        if message.end - start > MAX_PAYLOAD_BYTES:
            raise RefusedBodyError(
                413,
                "message too long",
                f"the length at byte {message.before} says {message.end - message.start};"
                f" a message may have {MAX_PAYLOAD_BYTES} bytes with its length:"
                " send TickerUpdates, each behind its length as a varint",
            )
    _check_count(count, "messages")
    payloads.append(body[start:])
    return payloads


_EXAMPLE: Final = 'send {"ticker": "AAPL", "price": 224.57}, an array of such, or one a line'

_one: Final = msgspec.json.Decoder(msgspec.Raw)
_several: Final = msgspec.json.Decoder(list[msgspec.Raw])


def json_objects(body: bytes) -> list[bytes]:
    """Cut a JSON body: one object, or an array of them. Raises RefusedBodyError.

    A body that is no JSON is refused, since its sender can be told; an object that is no tick
    becomes a reject, and the others count.
    """
    try:
        if body.lstrip()[:1] == b"[":
            return _checked([bytes(raw) for raw in _several.decode(body)])
        return _checked([bytes(_one.decode(body))] if body.strip() else [])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedBodyError(400, "no JSON", f"{error}; {_EXAMPLE}") from error


def json_lines(body: bytes) -> list[bytes]:
    """Cut a body of one JSON object a line. Raises RefusedBodyError.

    A line that is no JSON becomes a reject, and the others count.
    """
    return _checked([line for line in body.splitlines() if line.strip()])


def _checked(objects: list[bytes]) -> list[bytes]:
    if not objects:
        raise RefusedBodyError(400, "empty body", _EXAMPLE)
    _check_count(len(objects), "objects")
    if max(map(len, objects)) > MAX_PAYLOAD_BYTES:
        raise RefusedBodyError(
            413, "object too long", f"an object may have {MAX_PAYLOAD_BYTES} bytes"
        )
    return objects


def _check_count(count: int, what: str) -> None:
    if count > MAX_TICKS:
        raise RefusedBodyError(
            413, "body too large", f"a body may have {MAX_TICKS} {what}: send several"
        )


CUTS: Final[dict[str, tuple[int, Callable[[bytes], list[bytes]]]]] = {
    "text/csv": (FORMAT_CSV, lines),
    "text/plain": (FORMAT_CSV, lines),
    "application/octet-stream": (FORMAT_CSV, lines),
    "application/x-www-form-urlencoded": (FORMAT_CSV, lines),  # what curl -d says of anything
    "application/x-protobuf": (FORMAT_TICKER_STREAM, messages),
    "application/protobuf": (FORMAT_TICKER_STREAM, messages),
    "application/json": (FORMAT_SCANNER, json_objects),
    "application/x-ndjson": (FORMAT_SCANNER, json_lines),
    "application/ndjson": (FORMAT_SCANNER, json_lines),
}
"""The content types that are read: the format of their batch, and how their bodies are cut."""
