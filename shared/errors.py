"""The two errors that matter to an event: try it again, or never.

Exception
├── TransientError   a store or sink is away, a conflict: the channel delivers the event again
└── PermanentError   the event can never be processed: it is recorded whole, then acknowledged
"""

from __future__ import annotations


class TransientError(Exception):
    """Something outside the event is in the way; the same event will succeed later."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PermanentError(Exception):
    """The event itself is at fault. `code` is snake_case and doubles as a metric label."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
