"""Token buckets: rate limits, for one client and for many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

MAX_CLIENTS: Final = 10_000


@dataclass(slots=True)
class TokenBucket:
    """`rate` requests per second on average, `burst` at once. Times in seconds, as arguments."""

    rate: float
    burst: float
    _tokens: float = -1.0
    _at_s: float = 0.0

    def take(self, now_s: float) -> float:
        """Consume a token; return 0.0, or the seconds until there is one."""
        if self._tokens < 0:
            self._tokens, self._at_s = self.burst, now_s
        self._tokens = min(self.burst, self._tokens + (now_s - self._at_s) * self.rate)
        self._at_s = now_s
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self.rate


class Rates:
    """Buckets of `burst` requests that refill at `rate` a second.

    The least recently seen client is evicted. Each replica counts separately.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = max(1.0, burst)
        self._buckets: LRUCache[str, TokenBucket] = LRUCache(MAX_CLIENTS)

    def wait_s(self, client: str, now_s: float) -> float:
        """Consume a token and return 0.0, or return the seconds until there is one."""
        bucket = self._buckets.get(client)
        if bucket is None:
            bucket = self._buckets[client] = TokenBucket(self._rate, self._burst)
        return bucket.take(now_s)
