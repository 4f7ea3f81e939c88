"""Dead letters: events that ran out of deliveries, in their own JetStream stream.

Not in Postgres, whose outage is what fills them. Each message is the CloudEvent in structured mode
(JSON, body as `data_base64`, zstd-compressed if large) with extensions for where and why it failed.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig, StreamState
from nats.js.errors import APIError, NotFoundError

from shared.runtime.jetstream import ensure_stream, translated
from shared.wire import events
from shared.wire.compression import compress, decompress

STREAM: Final = "KANDLE_DEAD_LETTERS"
SUBJECT_PREFIX: Final = "kandle.deadletters."

MAX_BYTES: Final = 1024 * 1024 * 1024

_NOT_OF_THE_ORIGINAL: Final = frozenset(
    {
        events.DEAD_LETTER_DESTINATION,
        events.DEAD_LETTER_CODE,
        events.DEAD_LETTER_DATA,
        events.REPLAYED,
        "knativebrokerttl",
        "knativearrivaltime",
        "datacontenttype",
    }
)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A stored dead letter: its position in the stream, its attributes and its body."""

    sequence: int
    stored_at: datetime | None
    attributes: Mapping[str, str]
    body: bytes

    @property
    def destination(self) -> str | None:
        """The failed subscriber's address, or None if the dispatcher did not give it."""
        return self.attributes.get(events.DEAD_LETTER_DESTINATION)

    @property
    def code(self) -> str | None:
        """The subscriber's HTTP status, or None."""
        return self.attributes.get(events.DEAD_LETTER_CODE)

    @property
    def error(self) -> str:
        """The subscriber's response, as text."""
        encoded = self.attributes.get(events.DEAD_LETTER_DATA, "")
        try:
            return base64.b64decode(encoded, validate=True).decode(errors="replace")
        except ValueError:
            return encoded

    def original_headers(self) -> dict[str, str]:
        """Return the headers to post the original event again, in binary mode, same id.

        They mark it as a replay of this letter: failing again makes a new letter.
        """
        headers = {
            f"ce-{name}": value
            for name, value in self.attributes.items()
            if name not in _NOT_OF_THE_ORIGINAL
        }
        headers[f"ce-{events.REPLAYED}"] = str(self.sequence)
        if content_type := self.attributes.get("datacontenttype"):
            headers["content-type"] = content_type
        return headers


def message_id(attributes: Mapping[str, str]) -> str:
    """Return the deduplication key: one letter per event, destination and replay.

    A replay that fails again must not be deduplicated with its letter, which is removed once the
    replay is answered.
    """
    parts = (
        attributes["id"],
        attributes.get(events.DEAD_LETTER_DESTINATION, ""),
        attributes.get(events.REPLAYED, ""),
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class DeadLetters:
    """Reader and writer of the stream. All methods raise TransientError while NATS is away."""

    def __init__(self, jetstream: JetStreamContext) -> None:
        self._jetstream = jetstream

    async def ensure(self, max_age_s: float = 0.0, replicas: int = 1) -> None:
        """Create the stream if missing, and set its retention; 0: forever."""
        config = StreamConfig(
            name=STREAM,
            subjects=[f"{SUBJECT_PREFIX}>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            max_bytes=MAX_BYTES,
            max_age=max_age_s,
            duplicate_window=min(600.0, max_age_s or 600.0),
            allow_direct=True,
            num_replicas=replicas,
        )
        with translated(f"stream {STREAM} could not be made"):
            await ensure_stream(self._jetstream, config)

    async def append(self, attributes: Mapping[str, str], body: bytes) -> bool:
        """Store a letter; return False if it was stored already."""
        stored = json.dumps({**attributes, "data_base64": base64.b64encode(body).decode()}).encode()
        headers = {"Nats-Msg-Id": message_id(attributes)}
        if len(stored) > _COMPRESS_FROM_BYTES:
            stored = compress(stored)
            headers["Content-Encoding"] = events.ZSTD
        subject = SUBJECT_PREFIX + _token(attributes.get("type", "unknown"))
        with translated("the dead letters could not be written"):
            stored_at = await self._jetstream.publish(subject, stored, headers=headers)
        return not stored_at.duplicate

    async def state(self) -> StreamState | None:
        """Return the stream's state, with the number of letters; None before the first."""
        with translated():
            try:
                return (await self._jetstream.stream_info(STREAM)).state
            except NotFoundError:
                return None

    async def count(self) -> int:
        """Return the number of letters."""
        state = await self.state()
        return state.messages if state else 0

    async def list(self, limit: int = 1000) -> AsyncIterator[DeadLetter]:
        """Yield letters, oldest first, at most `limit`."""
        if (state := await self.state()) is None:
            return
        sequence = state.first_seq
        for _ in range(min(limit, state.messages)):
            letter = await self.get(sequence, or_next=True)
            if letter is None:
                return
            yield letter
            sequence = letter.sequence + 1

    async def newest(self, limit: int) -> tuple[int, Sequence[DeadLetter]]:
        """Return the number of letters, and the newest, newest first.

        Positions of replayed letters are empty, so a bounded number is tried.
        """
        if (state := await self.state()) is None:
            return 0, []
        letters: list[DeadLetter] = []
        lowest = max(state.first_seq, state.last_seq - _LOOKED_AT * limit)
        for sequence in range(state.last_seq, lowest - 1, -1):
            if len(letters) == min(limit, state.messages):
                break
            if (letter := await self.get(sequence)) is not None:
                letters.append(letter)
        return state.messages, letters

    async def delete(self, sequence: int) -> None:
        """Remove a letter, once it is replayed, unless another replay already has."""
        with translated(f"letter {sequence} could not be removed"):
            try:
                await self._jetstream.delete_msg(STREAM, sequence)
            except APIError:
                if await self.get(sequence) is not None:
                    raise

    async def get(self, sequence: int, *, or_next: bool = False) -> DeadLetter | None:
        """Return the letter at a position in the stream, or the next one after it; or None."""
        subject = f"{SUBJECT_PREFIX}>" if or_next else None
        with translated():
            try:
                message = await self._jetstream.get_msg(
                    STREAM, sequence, subject=subject, next=or_next
                )
            except NotFoundError:
                return None
        stored = message.data or b"{}"
        if (message.headers or {}).get("Content-Encoding") == events.ZSTD:
            stored = decompress(stored)
        envelope = json.loads(stored)
        body = base64.b64decode(envelope.pop("data_base64", ""))
        return DeadLetter(message.seq or sequence, getattr(message, "time", None), envelope, body)


_LOOKED_AT: Final = 4
"""Positions to try per requested letter."""

_COMPRESS_FROM_BYTES: Final = 512 * 1024
"""Small letters stay readable in any NATS client; a large one must fit a message in base64."""


def _token(event_type: str) -> str:
    """Make a type valid as a subject."""
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in event_type).strip(".") or "_"
