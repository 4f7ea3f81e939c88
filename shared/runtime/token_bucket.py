"""Token bucket: rate limit for one client."""

from __future__ import annotations

from dataclasses import dataclass


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
