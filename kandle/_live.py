"""The live feed over Server-Sent Events: lines in, events out, and the resume position."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from kandle._errors import ApiError
from kandle._requests import Moment, text_of
from kandle._rows import Alert, Candle, N, Number, Pattern, Row, Tick, time_of

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("kandle")

LONGEST_PAUSE_S: Final = 3.0
TIMEOUT_S: Final = (10.0, 40.0, 10.0, 10.0)
"""Timeouts: connect, read, write, pool. The server sends something every 15 s."""

_NO_CONTENT: Final = 204
_SLOW: Final = "slow_consumer"
_NOT_IMPLEMENTED: Final = 501
_NO_HISTORY: Final = "no_history"
"""A replay of a server without history (501, formerly 503): no later attempt changes it."""

E = TypeVar("E")

Data = Candle[N] | Tick[N] | Pattern[N] | Alert[N] | Mapping[str, Any]
_READ: Final[Mapping[str, Callable[[Row, Number[Any]], Data[Any]]]] = {
    "candles": Candle.of,
    "ticks": Tick.of_live,
    "patterns": Pattern.of,
    "alerts": Alert.of,
}


@dataclass(frozen=True, slots=True)
class Event(Generic[N]):
    """A change in the live feed.

    Attributes:
        channel: as it was subscribed to, such as `candles:1m:BTC-USD`.
        seq: its place in the stream; it grows, and has gaps.
        data: a Candle, Tick, Pattern or Alert; a mapping in channels of busts.
        snapshot: the newest of its channel when the subscription began, or after a cut that was too
            long: what lies between is in the history API.
        late: of a time before the newest that its channel had.
        received: when the server received the newest trade behind it; None: not known.

    """

    channel: str
    seq: int
    data: Data[N]
    snapshot: bool
    late: bool
    received: datetime | None


class Feed(Generic[E]):
    """A subscription that survives disconnects; `read` makes an event of an item of a message.

    It is called with whether the item is of a snapshot.
    """

    def __init__(
        self,
        channels: tuple[str, ...],
        read: Callable[[Row, bool], E],
        **replay: Moment | float,
    ) -> None:
        if not channels:
            raise ApiError(400, "no channels", "name some, such as candles:1m:BTC-USD or ticks:*")
        self.ended = False
        self._read = read
        self._query = {"channels": ",".join(channels)}
        self._query |= {name: text_of(each) for name, each in replay.items() if each is not None}
        self._resume = self._id = ""
        self._begun: list[str] = []
        self._pause_s = 0.0
        self._was_connected = False

    def request(self) -> dict[str, Any]:
        """Return the arguments of the next connection's request."""
        headers = {"last-event-id": self._resume} if self._resume else {}
        return {"params": self._query, "headers": headers, "timeout": TIMEOUT_S}

    def opened(self, response: httpx.Response) -> None:
        """Record an accepted response."""
        self._was_connected = True
        self._begun = []
        self.ended = response.status_code == _NO_CONTENT

    def pause_s(self, error: Exception | None) -> float:
        """Return the wait after a disconnect. Raises a first connection's error, or a final one."""
        is_final = isinstance(error, ApiError) and (
            error.status == _NOT_IMPLEMENTED or error.title == _NO_HISTORY
        )
        if error is not None and (is_final or not self._was_connected):
            raise error
        log.warning("cut (%s), connecting again", error or "the server ended it")
        self._pause_s = min(2 * self._pause_s + 0.1, LONGEST_PAUSE_S)
        return self._pause_s

    def events(self, text: str) -> Iterator[E]:
        """Yield the events that a part of the body completes.

        Only a line feed ends a line: str.splitlines() divides at characters of a text, too. Raises
        ApiError: the server ended it for good.
        """
        end, *lines = text.split("\n")
        self._begun.append(end)
        if lines:
            lines.insert(0, "".join(self._begun))
            self._begun = [lines.pop()]
            for line in lines:
                yield from self._of_line(line)

    def _of_line(self, line: str) -> Iterator[E]:
        if line.startswith("id: "):
            self._id = line.removeprefix("id: ")
        if not line.startswith("data: "):
            return
        frame = json.loads(line.removeprefix("data: "))
        self._pause_s = 0.0
        kind = frame["type"]
        if kind == "error" and frame["code"] != _SLOW:
            raise ApiError(400, frame["code"], frame["msg"])
        is_live = "replay_from" not in self._query
        if kind == "subscribed" and self._resume and is_live and not frame["replayed"]:
            log.warning("missed messages are no longer retained: this is the current state")
        if kind == "update":
            yield self._read(
                {name: value for name, value in frame.items() if name != "type"}, False
            )
        for item in frame.get("items", ()):
            yield self._read(item, True)
        if kind == "replay" and frame["state"] in ("ended", "stopped", "failed"):
            self.ended = True
        if not frame.get("more"):  # an incomplete snapshot is requested again
            self._resume = self._id


def event_of(number: Number[N], item: Row, snapshot: bool) -> Event[N]:
    """Return an item as an event."""
    channel = item["channel"]
    read = _READ.get(channel.partition(":")[0])
    data = item["data"]
    received = item.get("received")
    return Event(
        channel,
        item["seq"],
        read(data, number) if read else data,
        snapshot,
        item.get("late", False),
        None if received is None else time_of(received),
    )
