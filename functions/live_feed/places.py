"""How many clients one replica serves at once, over all protocols together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from shared import metrics


class Places:
    """Places for `most` clients. Used by one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0

    @property
    def are_taken(self) -> bool:
        """Whether there is none left."""
        return self._taken >= self._most

    @property
    def refusal(self) -> str:
        """What a client hears then."""
        return f"this replica serves {self._most} clients at most"

    @contextlib.contextmanager
    def taken(self, protocol: str) -> Iterator[None]:
        """Have a client in a place meanwhile; ask `are_taken` before, without waiting between."""
        self._taken += 1
        metrics.LIVE_CLIENTS.labels(protocol).inc()
        try:
            yield
        finally:
            self._taken -= 1
            metrics.LIVE_CLIENTS.labels(protocol).dec()
