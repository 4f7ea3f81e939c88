"""Refusal of a request body: status, code and message."""

from __future__ import annotations


class RefusedBodyError(ValueError):
    """The body is refused. `status` is the HTTP status; the message says what to send."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
