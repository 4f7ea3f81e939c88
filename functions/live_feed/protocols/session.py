"""Client session: requests and responses, the same over WebSocket and Server-Sent Events."""

from __future__ import annotations

import difflib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import nats.errors
import orjson

from functions.live_feed.hub import Hub, NotKeptError
from functions.live_feed.interest import Interest
from functions.live_feed.protocols.frames import snapshot
from functions.live_feed.protocols.subscriber import Subscriber
from functions.live_feed.replays.replay import Replay, Replays
from functions.live_feed.replays.replay_request import RequestError, read_replay, read_speed
from shared.errors import TransientError
from shared.realtime import channels as live
from shared.runtime.token_bucket import TokenBucket

MAX_SEQ: Final = 2**63 - 1
_KEYS: Final = {
    "ping": (),
    "subscribe": ("channels", "from_seq", "stream"),
    "unsubscribe": ("channels",),
    "replay": ("channels", "from", "to", "speed", "by"),
    "pause": (),
    "resume": ("speed",),
    "stop": (),
}
"""Allowed keys of a request, by op."""


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Limits of one client."""

    channels: int = 500
    requests_a_second: float = 100.0
    burst: float = 200.0


@dataclass(slots=True)
class Session:
    """One client's session; responses are queued in order with its updates."""

    hub: Hub
    interest: Interest
    replays: Replays
    client: Subscriber
    limits: SessionLimits
    _bucket: TokenBucket = field(init=False)
    _replay: Replay | None = None

    def __post_init__(self) -> None:
        self._bucket = TokenBucket(self.limits.requests_a_second, self.limits.burst)

    async def receive(self, text: str | bytes) -> None:
        """Handle one request: a JSON object with `op`."""
        if (wait_s := self._bucket.take(time.monotonic())) > 0:
            self.client.answer("rate_limit", retry_ms=max(1, round(wait_s * 1000)))
            return
        try:
            await self._handle(*_read(text))
        except live.ChannelError as error:
            self.client.answer("error", code="bad_channels", msg=str(error))
        except RequestError as error:
            self.client.answer("error", code=error.code, msg=str(error))

    async def _handle(self, op: str, request: Mapping[str, Any]) -> None:
        match op:
            case "ping":
                self.client.answer("pong", time_ms=time.time_ns() // 1_000_000)
            case "subscribe":
                await self._subscribe(request)
            case "unsubscribe":
                channels = _channels(request)
                self.hub.unsubscribe(self.client, channels)
                self.client.answer("unsubscribed", channels=channels)
            case "replay":
                await self.interest.checked(_channels(request))
                self.replay(request)
            case _:
                self._control_replay(op, request)

    def replay(self, parameters: Mapping[str, Any]) -> None:
        """Start a replay. Raises RequestError."""
        now_us = time.time_ns() // 1000
        request = read_replay(parameters, self.interest.check, self.interest.ladder, now_us)
        if self.client.wanted:
            raise RequestError(
                "not_live_too",
                "this connection follows live channels: use another one for a replay",
            )
        if self._is_replaying:
            raise RequestError("replay_running", "one replay a connection: stop it first")
        self._replay = self.replays.start(request, self.client)

    async def subscribe(self, channels: list[str], from_seq: int | None, stream: str = "") -> None:
        """Subscribe: send the position, then the missed messages or the snapshot, then updates.

        `from_seq` is the last `seq` that the client has seen, in the stream of that name. What was
        missed comes behind it: a client that is cut off in between comes back with its own place.
        """
        client, hub = self.client, self.hub
        new = [each for each in dict.fromkeys(channels) if each not in client.wanted]
        with hub.expecting(new):  # nothing of them is queued for the client meanwhile
            since = await self.interest.watch(new)
            await self.interest.load(new)
            missed = None
            if from_seq is not None and self.interest.recovered(since, new, from_seq, stream):
                missed = await self._missed(from_seq, new)
        # No message comes between what was missed, or the present, and what is offered from here.
        hub.subscribe(client, new)
        self.client.answer(
            "subscribed",
            channels=new,
            seq=hub.seq if missed is None else from_seq,
            stream=hub.stream_name,
            replayed=missed is not None,
        )
        if missed is None:
            missed = snapshot(hub.present(new), hub.seq, client.form)
        client.say(*missed)

    async def _missed(self, after: int, channels: list[str]) -> list[bytes] | None:
        """Return the frames of all that came behind a place, as it is now; None: not kept.

        What memory does not have is read from the stream, until memory continues after it.
        """
        frames: list[bytes] = []
        while (rest := self.hub.remembered(after, channels)) is None:
            last = self.hub.seq
            try:
                async for updates in self.hub.replayed(after, last, channels):
                    frames += (each.frame(self.client.form) for each in updates)
            except (NotKeptError, TransientError, nats.errors.Error, OSError, TimeoutError):
                return None  # the snapshot instead, and `replayed` says so
            after = last
        return [*frames, *(each.frame(self.client.form) for each in rest)]

    @property
    def is_replay(self) -> bool:
        """Whether a replay was started on this session."""
        return self._replay is not None

    @property
    def _is_replaying(self) -> bool:
        return self._replay is not None and not self._replay.is_over

    def _control_replay(self, op: str, request: Mapping[str, Any]) -> None:
        if self._replay is None or self._replay.is_over:
            raise RequestError("no_replay", f"{op}: no replay runs on this connection")
        if op == "pause":
            self._replay.pause()
        elif op == "resume":
            speed = request.get("speed")
            self._replay.resume(None if speed is None else read_speed(speed))
        else:
            self._replay.stop()

    async def _subscribe(self, request: Mapping[str, Any]) -> None:
        channels = await self.interest.checked(_channels(request))
        from_seq = request.get("from_seq")
        if from_seq is not None and not (type(from_seq) is int and 0 <= from_seq <= MAX_SEQ):
            raise live.ChannelError("from_seq is the last seq seen, an integer")
        stream = request.get("stream", "")
        if not isinstance(stream, str):
            raise live.ChannelError("stream is the name in `subscribed`")
        if self._is_replaying:
            raise RequestError(
                "not_live_too", "a replay runs on this connection: use another one to subscribe"
            )
        if len(self.client.wanted | set(channels)) > self.limits.channels:
            raise RequestError(
                "too_many_channels",
                f"at most {self.limits.channels} channels a client; use * for many symbols",
            )
        await self.subscribe(channels, from_seq, stream)

    def close(self) -> None:
        """Send the client nothing more."""
        if self._replay is not None:
            self._replay.stop()
        self.hub.unsubscribe(self.client, list(self.client.wanted))


def _read(text: str | bytes) -> tuple[str, Mapping[str, Any]]:
    """Return the op of a request, and its fields. Raises RequestError."""
    try:
        request = orjson.loads(text)
    except orjson.JSONDecodeError:
        request = None
    if not isinstance(request, Mapping):
        raise RequestError("bad_request", 'a request is a JSON object such as {"op": "ping"}')
    op = request.get("op")
    if not isinstance(op, str) or op not in _KEYS:
        problem = f"op {str(op)[:40]!r} is none" if "op" in request else "op is missing: it is one"
        raise RequestError("unknown_op", f"{problem} of {', '.join(_KEYS)}")
    if unknown := [key for key in request if key not in ("op", *_KEYS[op])]:
        near = difflib.get_close_matches(unknown[0].lower(), _KEYS[op], n=1)
        hint = f": call it {near[0]}" if near else ""
        allowed = ", ".join(("op", *_KEYS[op]))
        raise RequestError("bad_request", f"{op}: {unknown[0][:40]!r} is none of {allowed}{hint}")
    return op, request


def _channels(request: Mapping[str, Any]) -> list[str]:
    channels = request.get("channels")
    if isinstance(channels, list) and channels and all(isinstance(each, str) for each in channels):
        return channels
    raise live.ChannelError('channels is a list such as ["candles:1m:BTC-USD", "ticks:*"]')
