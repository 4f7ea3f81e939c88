"""CloudEvents 1.0 as the broker carries them: parsed from HTTP, stored in the stream, sent on.

An event is attributes and a body. It is stored in binary form: one line of JSON with the
attributes, then the body. The real channel stores structured JSON instead; `stored_size` is what
that takes, because its limit counts.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import numpy as np
import orjson

BINARY_HEADER = b"ce-specversion"
STRUCTURED = b"application/cloudevents+json"
BATCH = b"application/cloudevents-batch"
CONTENT_TYPE = "datacontenttype"

_REQUIRED = ("specversion", "id", "source", "type")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_UNSAFE = re.compile(r"[^\x20-\x7e]+")
_JSON_TYPE = re.compile(r"(application|text)/(\S+\+)?json\b", re.IGNORECASE)
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

# Size of each body byte inside a JSON string of Go's encoder.
_SIX_BYTES = bytes({*range(0x20)} - set(b"\t\n\r") | set(b"<>&"))
_TWO_BYTES = b'\t\n\r"\\'
_SEPARATORS = re.compile(b"\xe2\x80[\xa8\xa9]")
_TO_WEIGHT = bytes(6 if b in _SIX_BYTES else 2 if b in _TWO_BYTES else 1 for b in range(256))


class NotAnEventError(ValueError):
    """An HTTP message is not an acceptable CloudEvent; the message gives the reason."""


@dataclass(slots=True)
class Event:
    """One event.

    Attributes:
        attributes: by name, lower case, without `ce-`; values as strings; the content type of the
            body is `datacontenttype`. Never empty values.
        body: the raw data, empty when there is none.

    """

    attributes: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """The attribute `id`, also the deduplication key."""
        return self.attributes["id"]

    def stored_form(self) -> bytes:
        """Return the stored form; `from_stored_form` reads it."""
        return b"%b\n%b" % (orjson.dumps(self.attributes), self.body)

    @classmethod
    def from_stored_form(cls, stored: bytes) -> Event:
        """Parse the output of `stored_form`."""
        end = stored.index(b"\n")
        return cls(orjson.loads(stored[:end]), stored[end + 1 :])

    def headers(self) -> dict[str, str]:
        """Return the HTTP headers of the event in binary mode."""
        headers = {}
        for name, value in self.attributes.items():
            if not (value.isascii() and value.isprintable()):
                value = _percent_encode(value)
            headers["Content-Type" if name == CONTENT_TYPE else f"ce-{name}"] = value
        return headers

    def stored_size(self, limit: int) -> int:
        """Size in the real channel: structured JSON, escaped body, plus headers.

        If even the worst-case body stays under `limit`, that upper bound is returned.
        """
        envelope = orjson.dumps(self.attributes)
        html = sum(envelope.count(byte) for byte in (b"<", b">", b"&"))
        fixed = len(envelope) + 5 * html + len(b',"data":""')
        fixed += len(b"NATS/1.0\r\nNats-Msg-Id: \r\n\r\n") + len(self.id)
        worst = fixed + 6 * len(self.body)
        if worst <= limit:
            return worst
        if _JSON_TYPE.match(self.attributes.get(CONTENT_TYPE, "")):
            # JSON is embedded unchanged, except for characters escaped for HTML
            grown = sum(self.body.count(byte) for byte in (b"<", b">", b"&"))
            return fixed + len(self.body) + 5 * grown
        return fixed + escaped_size(self.body)


def escaped_size(body: bytes) -> int:
    """Size of `body` inside a JSON string, raw, as the real channel writes it.

    Control bytes, `<`, `>` and `&` take six; newline, return, tab, quote and backslash two; the
    line separators U+2028 and U+2029 six instead of three.
    """
    weights = np.frombuffer(body.translate(_TO_WEIGHT), np.uint8)
    return int(weights.sum()) + 3 * len(_SEPARATORS.findall(body))


def parse(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Event:
    """Parse an HTTP message in binary or structured mode; header names are in lower case.

    Raises NotAnEventError: it is neither, or lacks required attributes.
    """
    content_type = b""
    attributes: dict[str, str] = {}
    for name, value in headers:
        if name.startswith(b"ce-"):
            if value:
                attributes[name[3:].decode("latin-1")] = _decode(value)
        elif name == b"content-type":
            content_type = value
    kind = content_type[:40].lower()
    if kind.startswith(BATCH):
        raise NotAnEventError("batches (application/cloudevents-batch) are refused: one at a time")
    if kind.startswith(STRUCTURED):
        return _parse_structured(body)
    if "specversion" not in attributes:
        raise NotAnEventError(
            "no CloudEvent: neither a header ce-specversion (binary mode) nor "
            "Content-Type application/cloudevents+json (structured mode)"
        )
    if content_type:
        attributes[CONTENT_TYPE] = _decode(content_type)
    _check(attributes)
    return Event(attributes, body)


def is_event(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a message is meant to be an event, valid or not."""
    return any(
        name == BINARY_HEADER or (name == b"content-type" and value.lower().startswith(STRUCTURED))
        for name, value in headers
    )


def _check(attributes: dict[str, str]) -> None:
    for name in _REQUIRED:
        if name not in attributes:
            raise NotAnEventError(f"no CloudEvent: attribute {name} is missing or empty")
    if attributes["specversion"] != "1.0":
        raise NotAnEventError(f"specversion {attributes['specversion']!r} is not 1.0")
    for name in attributes:
        if not (name.isalnum() and name.isascii() and name == name.lower()):
            raise NotAnEventError(f"attribute name {name!r}: only a-z and 0-9 are allowed")
    time = attributes.get("time")
    if time is not None and not _TIME.fullmatch(time):
        raise NotAnEventError(f"attribute time is not an RFC 3339 timestamp: {time!r}")


def _parse_structured(body: bytes) -> Event:
    try:
        members = _decode_members(body)
        values = {name: json.loads(bytes(raw)) for name, raw in members.items()}
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise NotAnEventError(f"structured mode: the body is not a JSON object: {error}") from None
    data, encoded = values.pop("data", None), values.pop("data_base64", None)
    attributes: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, bool):
            attributes[name] = str(value).lower()
        elif isinstance(value, int):
            attributes[name] = str(value)
        elif isinstance(value, str):
            if value:
                attributes[name] = value
        elif value is not None:
            raise NotAnEventError(f"attribute {name} is neither string, integer nor boolean")
    _check(attributes)
    if encoded is not None:
        return Event(attributes, _from_base64(encoded))
    if data is None:
        return Event(attributes, b"")
    content_type = attributes.setdefault(CONTENT_TYPE, "application/json")
    if isinstance(data, str) and not _JSON_TYPE.match(content_type):
        return Event(attributes, data.encode())
    # the original text: reserializing would change numbers
    return Event(attributes, bytes(members["data"]))


def _from_base64(encoded: object) -> bytes:
    if not isinstance(encoded, str):
        raise NotAnEventError("data_base64 is not a string")
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise NotAnEventError(f"data_base64 is not base64: {error}") from None


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _percent_encode(value: str) -> str:
    return _UNSAFE.sub(lambda match: "".join(f"%{b:02X}" for b in match[0].encode()), value)
