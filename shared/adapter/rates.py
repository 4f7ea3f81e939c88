"""Rate limits: a token bucket a client, for as many clients as fit."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from shared.runtime.token_bucket import TokenBucket

MAX_CLIENTS: Final = 10_000


class Rates:
    """Buckets of `burst` requests that refill at `rate` a second.

    The least recently seen client is evicted. Each replica counts separately.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = max(1.0, burst)
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def wait_s(self, client: str, now_s: float) -> float:
        """Consume a token and return 0.0, or return the seconds until there is one."""
        bucket = self._buckets.pop(client, None) or TokenBucket(self._rate, self._burst)
        self._buckets[client] = bucket
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return bucket.take(now_s)
