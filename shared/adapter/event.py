"""CloudEvents as a stage sees them: parsed on the way in, encoded on the way out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from cloudevents.conversion import from_http
from cloudevents.exceptions import GenericException
from cloudevents.http import CloudEvent

from shared.wire import events
from shared.wire.compression import SMALL, compress, decompress, unpacked_bytes

MAX_BODY_BYTES: Final = 1024 * 1024
"""The channel's size limit."""

_NO_EVENT: Final = (
    *(GenericException, ValueError, AttributeError, TypeError, KeyError),
    RecursionError,
)
_REQUIRED: Final = {"id", "source", "type"}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_MAX_DETAIL: Final = 300


@dataclass(frozen=True, slots=True)
class Event:
    """A received event. `body` as sent, `data` decoded by `datacontentencoding`."""

    id: str
    type: str
    source: str
    attributes: Mapping[str, str]
    body: bytes

    def data(self) -> bytes:
        """Return the body, decompressed if needed. Raises PermanentError."""
        if self.attributes.get(events.CONTENT_ENCODING) == events.ZSTD:
            return decompress(self.body)
        return self.body

    def data_bytes(self) -> int:
        """Return the size of the data; -1 if unknown."""
        if self.attributes.get(events.CONTENT_ENCODING) == events.ZSTD:
            return unpacked_bytes(self.body)
        return len(self.body)

    def age_s(self, now_us: int) -> float:
        """Return its age; 0 without a time."""
        stamp = self.attributes.get("time")
        if stamp is None:
            return 0.0
        try:
            return now_us / 1e6 - datetime.fromisoformat(stamp).timestamp()
        except ValueError:
            return 0.0


@dataclass(frozen=True, slots=True)
class OutgoingEvent:
    """An event to emit. Its id is deterministic: a repetition emits the same bytes under it."""

    id: str
    type: str
    body: bytes
    content_type: str = events.PROTOBUF
    extensions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def packed(
        cls,
        id_: str,
        type_: str,
        body: bytes,
        extensions: Mapping[str, str] | None = None,
        level: int = SMALL,
    ) -> OutgoingEvent:
        """Return an event whose body is zstd-compressed, at a level of `compression`."""
        return cls(
            id_,
            type_,
            compress(body, level),
            extensions={**(extensions or {}), events.CONTENT_ENCODING: events.ZSTD},
        )

    def headers(self, source: str, overrides: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of binary mode; `overrides` are K_CE_OVERRIDES extensions."""
        headers = {
            "ce-specversion": "1.0",
            "ce-id": self.id,
            "ce-type": self.type,
            "ce-source": source,
            "content-type": self.content_type,
        }
        for name, value in {**self.extensions, **overrides}.items():
            headers[f"ce-{name}"] = value
        return headers


class NotACloudEventError(ValueError):
    """The request is not a CloudEvent; the message says why."""


def parse(headers: Sequence[tuple[bytes, bytes]], body: bytes) -> Event:
    """Read a CloudEvent in binary or structured mode, which the content type decides.

    Empty attributes count as absent, and nothing is made up: an event may have no time.
    `headers`: names in lower case; of two with one name the first counts.
    """
    texts = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(headers)}
    content_type = texts.get("content-type", "")
    kind = content_type[:40].lower()
    if kind.startswith("application/cloudevents-batch"):
        raise NotACloudEventError("batch mode is not carried by Knative Eventing; send one event")
    attributes = {n.removeprefix("ce-"): v for n, v in texts.items() if v and n.startswith("ce-")}
    if kind.startswith("application/cloudevents"):
        attributes, body = _by_library({"content-type": content_type}, body)
    elif attributes.get("specversion") != "1.0" or not attributes.keys() >= _REQUIRED:
        attributes, body = _by_library(texts, body)
    elif content_type:
        attributes["datacontenttype"] = content_type
    for name, value in attributes.items():
        # Forbidden by the specification, and not possible in a header.
        if not (value.isascii() and value.isprintable()) and _CONTROL.search(value):
            raise NotACloudEventError(
                f"no CloudEvent: attribute {name[:40]!r} has control characters"
            )
    return Event(attributes["id"], attributes["type"], attributes["source"], attributes, body)


def _by_library(headers: Mapping[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    """Return attributes and data of an event in structured mode. Raises NotACloudEventError."""
    try:
        event: Any = from_http(_AsSent, headers, body, _as_bytes)
    # The library fails on JSON that is not an object, or nested too deeply.
    except _NO_EVENT as error:
        # It may quote the input: of any length, and with unpaired surrogates.
        detail = str(error)[:_MAX_DETAIL].encode(errors="replace").decode()
        raise NotACloudEventError(f"no CloudEvent: {detail}") from error
    data = event.get_data()
    attributes = {
        name: text for name, value in event.get_attributes().items() if (text := str(value))
    }
    if missing := _REQUIRED - attributes.keys():
        raise NotACloudEventError(f"no CloudEvent: {', '.join(sorted(missing))} missing or empty")
    return (
        attributes,
        data if isinstance(data, bytes) else b"" if data is None else str(data).encode(),
    )


class _AsSent(CloudEvent):
    """The library's event without the id and the time that it makes up."""

    def __init__(self, attributes: Mapping[str, Any], data: Any = None) -> None:
        self._attributes, self.data = {name.lower(): v for name, v in attributes.items()}, data


def _as_bytes(data: Any) -> Any:
    return data.encode() if isinstance(data, str) else data
