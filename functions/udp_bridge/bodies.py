"""Splits request bodies into payloads at the ends of lines, messages or JSON objects."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from functions.udp_bridge.encodings import RefusedBodyError, check_is_text
from shared.inputs.objects import fix
from shared.inputs.text.dialects import dialect_of, first_of
from shared.inputs.text.line import BYTE_ORDER_MARK, FORM
from shared.wire import raw_batch as raw
from shared.wire.raw_batch import MAX_PAYLOAD_BYTES, delimited

MAX_HEADER_BYTES: Final = 4_096
MAX_TICKS: Final = 32_768
"""Maximum lines or messages of a body: each may become a reject."""


class Cut(NamedTuple):
    """A body as payloads. `repeated`: header lines that each later payload repeats."""

    payloads: list[bytes]
    repeated: int = 0


def lines(body: bytes, *, decimal_comma: bool = False) -> Cut:
    """Split a body of CSV lines; a header is repeated in each payload. Raises RefusedBodyError."""
    if not body:
        raise RefusedBodyError(400, "empty body", f"send lines {FORM}")
    _check_count(body.count(b"\n"), "lines")
    header = b""
    if len(body) > MAX_PAYLOAD_BYTES:
        header = _header(body, decimal_comma=decimal_comma)
    payloads = []
    start = 0
    while start < len(body):
        head = header if start else b""
        end = start + MAX_PAYLOAD_BYTES - len(head)
        if end < len(body):
            end = body.rfind(b"\n", start, end) + 1
            if not end:
                raise RefusedBodyError(
                    413, "line too long", f"a line may have {MAX_PAYLOAD_BYTES} bytes"
                )
        payloads.append(head + body[start:end])
        start = end
    return Cut(payloads, 1 if header else 0)


def _header(body: bytes, *, decimal_comma: bool) -> bytes:
    """Return the first line if it is a header, without its mark; else an empty line."""
    start = body[:MAX_PAYLOAD_BYTES].removeprefix(BYTE_ORDER_MARK)
    _, first = first_of(filter(None, start.splitlines()))
    header = dialect_of(first[:MAX_HEADER_BYTES], decimal_comma=decimal_comma).header
    return b"" if header is None else header + b"\n"


def messages(body: bytes) -> Cut:
    """Split a length-delimited sequence of TickerUpdates. Raises RefusedBodyError.

    A truncated last message is kept: it becomes a reject, and those before it count.
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
    return Cut(payloads)


_EXAMPLE: Final = 'send {"ticker": "AAPL", "price": 224.57}, an array of such, or one a line'

_one: Final = msgspec.json.Decoder(msgspec.Raw)
_several: Final = msgspec.json.Decoder(list[msgspec.Raw])
_NO_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def json_objects(body: bytes) -> Cut:
    """Split a JSON body: one object, an array, or objects one a line. Raises RefusedBodyError.

    Invalid JSON of one value is refused, since the sender gets the error. A line that is invalid,
    or an object that is not a tick, becomes a reject, and the others count.
    """
    try:
        if body.lstrip()[:1] == b"[":
            several = [bytes(raw) for raw in _several.decode(body)]
            # A message of Kraken's WebSocket v1 is itself a list.
            return _checked(several if several[:1] == [] or several[0][:1] == b"{" else [body])
        return _checked([bytes(_one.decode(body))] if body.strip() else [])
    except _NO_JSON as error:
        lines = [line for line in body.splitlines() if line.strip()]
        if len(lines) > 1 and all(line.lstrip()[:1] == b"{" for line in lines):
            return _checked(lines)
        raise RefusedBodyError(400, "no JSON", f"{error}; {_EXAMPLE}") from error


def json_lines(body: bytes) -> Cut:
    """Split a body of one JSON object, or array of objects, a line. Raises RefusedBodyError.

    A line of invalid JSON becomes a reject, and the others count.
    """
    return _checked([each for line in body.splitlines() if line.strip() for each in _parts(line)])


def _parts(line: bytes) -> list[bytes]:
    """Return the objects of an array, else the line."""
    if line.lstrip()[:1] == b"[":
        with contextlib.suppress(RefusedBodyError):
            return json_objects(line).payloads
    return [line]


def json_lists(body: bytes) -> Cut:
    """Split a body of JSON messages that are lists: one, or one a line. Raises RefusedBodyError."""
    try:
        return _checked([bytes(_one.decode(body))] if body.strip() else [])
    except _NO_JSON:
        return _checked([line for line in body.splitlines() if line.strip()])


def json_datagram(payload: bytes) -> list[bytes]:
    """Return the objects of a datagram: of an array, or one a line. Others stay as they are."""
    content = payload.removeprefix(BYTE_ORDER_MARK).strip()
    if b"\n" in content or content[:1] == b"[":
        with contextlib.suppress(RefusedBodyError):
            return json_objects(content).payloads
    return [payload]


def fix_messages(body: bytes) -> Cut:
    """Split a body of FIX messages. Raises RefusedBodyError."""
    if not body.startswith(fix.BEGINNINGS):
        raise RefusedBodyError(400, "no FIX", "a message begins with 8=FIX")
    return _checked(fix.cut(body))


def _checked(objects: list[bytes]) -> Cut:
    if not objects:
        raise RefusedBodyError(400, "empty body", _EXAMPLE)
    _check_count(len(objects), "objects")
    if max(map(len, objects)) > MAX_PAYLOAD_BYTES:
        raise RefusedBodyError(
            413, "object too long", f"an object may have {MAX_PAYLOAD_BYTES} bytes"
        )
    return Cut(objects)


def _check_count(count: int, unit: str) -> None:
    if count > MAX_TICKS:
        raise RefusedBodyError(
            413, "body too large", f"a body may have {MAX_TICKS} {unit}: send several"
        )


def text(body: bytes) -> tuple[int, Cut]:
    """Split a body without a Content-Type: FIX and JSON by their first bytes, else CSV."""
    if body.startswith(fix.BEGINNINGS):
        return raw.FORMAT_SCANNER, fix_messages(body)
    if body.lstrip()[:1] not in (b"{", b"["):
        return raw.FORMAT_CSV, lines(body)
    try:
        return raw.FORMAT_SCANNER, json_objects(body)
    except RefusedBodyError:
        return raw.FORMAT_SCANNER, json_lines(body)


def _csv(body: bytes, parameters: Mapping[str, str]) -> tuple[int, Cut]:
    decimal_comma = parameters.get("decimal") in ("comma", ",")
    format_ = raw.FORMAT_CSV_DECIMAL_COMMA if decimal_comma else raw.FORMAT_CSV
    return format_, lines(body, decimal_comma=decimal_comma)


_ONE_FORMAT: Final[dict[str, tuple[int, Callable[[bytes], Cut]]]] = {
    "application/x-protobuf": (raw.FORMAT_TICKER_STREAM, messages),
    "application/protobuf": (raw.FORMAT_TICKER_STREAM, messages),
    "application/fix": (raw.FORMAT_SCANNER, fix_messages),
    "application/json": (raw.FORMAT_SCANNER, json_objects),
    "application/x-ndjson": (raw.FORMAT_SCANNER, json_lines),
    "application/ndjson": (raw.FORMAT_SCANNER, json_lines),
    "application/jsonl": (raw.FORMAT_SCANNER, json_lines),
    "application/x-jsonlines": (raw.FORMAT_SCANNER, json_lines),
}
FEEDS: Final = {
    "alpaca": raw.FORMAT_ALPACA,
    "binance": raw.FORMAT_BINANCE,
    "binance-futures": raw.FORMAT_BINANCE_FUTURES,
    "bybit": raw.FORMAT_BYBIT,
    "coinbase": raw.FORMAT_COINBASE,
    "coinbase-advanced": raw.FORMAT_COINBASE_ADVANCED,
    "kraken": raw.FORMAT_KRAKEN,
    "okx": raw.FORMAT_OKX,
}
"""Feed formats by Content-Type parameter: `application/x-ndjson; feed=okx`."""
_CSV: Final = frozenset({"text/csv", "application/csv", "text/tab-separated-values"})
_UNSAID: Final = frozenset(
    {
        "",
        "text/plain",
        "application/octet-stream",
        "application/x-www-form-urlencoded",  # the default of curl -d
    }
)


def cut(body: bytes, content_type: str) -> tuple[int, Cut]:
    """Return the format of a body's batch, and the body as payloads. Raises RefusedBodyError."""
    kind, *options = (part.strip().lower() for part in content_type.split(";"))
    parameters = {
        name.strip(): value.strip().strip('"')
        for name, _, value in (each.partition("=") for each in options)
    }
    if parameters.get("charset", "utf-8") not in ("utf-8", "utf8", "us-ascii", "ascii"):
        raise RefusedBodyError(
            415, "charset is not read", f"charset {parameters['charset'][:40]}: send UTF-8"
        )
    content = body.removeprefix(BYTE_ORDER_MARK)
    check_is_text(content)
    if kind in _CSV or kind in _UNSAID:
        return _csv(content, parameters) if kind in _CSV else text(content)
    if kind in _ONE_FORMAT:
        format_, cut_body = _ONE_FORMAT[kind]
        if (feed := parameters.get("feed")) is not None and format_ == raw.FORMAT_SCANNER:
            if feed not in FEEDS:
                raise RefusedBodyError(
                    415, "feed is not read", f"feed {feed[:40]}: there are {', '.join(FEEDS)}"
                )
            format_ = FEEDS[feed]
            cut_body = json_lists if format_ == raw.FORMAT_ALPACA else cut_body
        return format_, cut_body(body if cut_body is messages else content)
    raise RefusedBodyError(
        415,
        "unsupported content type",
        f"{kind[:80]}: send text/csv lines, application/json or application/x-ndjson objects,"
        " application/fix messages, or application/x-protobuf TickerUpdates",
    )
