"""The newest message of each channel in event time, whatever the order of arrival."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from functions.live_feed.protocols.frames import Update
from shared.realtime import channels as live

_ORDERED: Final = (live.TICKS, live.CANDLES)


class Newest:
    """Folds messages of the stream. Used by one event loop.

    Ticks compare by their total order, candles by (start, revision), the others by time.
    """

    def __init__(self) -> None:
        self._newest: dict[str, Update] = {}
        self._overtaken: dict[str, int] = {}

    def __iter__(self) -> Iterator[Update]:
        return iter(self._newest.values())

    def clear(self) -> None:
        """Forget everything."""
        self._newest.clear()
        self._overtaken.clear()

    def remove(self, channel: str) -> None:
        """Forget the channel."""
        self._newest.pop(channel, None)
        self._overtaken.pop(channel, None)

    def is_passed_by(self, update: Update) -> bool:
        """Whether it is newer than the newest known message of its channel."""
        newest = self._newest.get(update.channel)
        return newest is None or update.order > newest.order

    def was_published(self, channel: str, after: int) -> bool:
        """Whether the newest message of the channel first came by the stream, after a position."""
        newest = self._newest.get(channel)
        if newest is None or not newest.published_us:
            return False
        return (newest.first_seq or newest.seq) > after

    def keep(self, update: Update) -> None:
        """Store it if it is newer than the newest known of its channel."""
        if self.is_passed_by(update):
            self._newest[update.channel] = update

    def take(self, update: Update) -> Update | None:
        """Return the message for watchers, marked late if it is; None: nothing new.

        A late tick, or a correction of an older candle, is shown but is not the newest. An outdated
        state of the newest candle, and a repetition, are dropped.
        """
        newest = self._newest.get(update.channel)
        is_newer = self.is_passed_by(update)
        if newest is None or is_newer or update.payload == newest.payload:
            self._newest[update.channel] = update
            self._overtaken.pop(update.channel, None)
            return update if is_newer else None
        if not update.channel.startswith(_ORDERED):
            if update.order == newest.order:
                self._newest[update.channel] = update
            return update
        self.mark_overtaken(update.channel, update.seq)
        if update.candle is not None and update.candle == newest.candle:
            return None
        return replace(update, late=True)

    def take_republished(self, update: Update) -> None:
        """Note a republished message, now the last of its channel in the stream."""
        self.keep(update)
        if self._newest[update.channel].order == update.order:
            self._overtaken.pop(update.channel, None)
        else:  # a newer one arrived meanwhile: that one has to be the last
            self.mark_overtaken(update.channel, update.seq)

    def mark_overtaken(self, channel: str, last: int) -> None:
        """Note that the channel's last message in the stream, at `last`, is not its newest."""
        self._overtaken[channel] = last

    def expire(self, before_us: int) -> None:
        """Remove channels whose newest message was published, or received, before then."""
        for channel, update in list(self._newest.items()):
            if 0 < max(update.published_us, update.received_us) < before_us:
                self.remove(channel)

    def overtaken(self) -> list[tuple[int, Update]]:
        """Return, once, the newest of each channel whose last message in the stream is older.

        Each with the position of that last message. Republishing makes them the last: a replica
        that starts reads only those.
        """
        overtaken, self._overtaken = self._overtaken, {}
        return [
            (last, self._newest[channel])
            for channel, last in overtaken.items()
            if channel in self._newest
        ]
