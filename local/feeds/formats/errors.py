"""What can be wrong with a file of ticks, said so that a person can find the place.

FeedFileError
├── BadRowError         one row: file, row number, field, reason
└── UnknownFormatError  no format, or a format that nobody knows
"""

from __future__ import annotations

from pathlib import Path


class FeedFileError(Exception):
    """A file that cannot be read as ticks; the message is one line for people."""


class BadRowError(FeedFileError):
    """A row that is not a tick of its format."""

    def __init__(self, path: Path, row: int, field: str, reason: str) -> None:
        super().__init__(f"{path}: row {row}: {field} {reason}")
        self.path = path
        self.row = row
        self.field = field


class UnknownFormatError(FeedFileError):
    """The format of a file was not given and cannot be guessed, or has no reader."""


def excerpt(value: object) -> str:
    """Return a value as it stands in a file, short enough for a message."""
    text = value if isinstance(value, str) else repr(value)
    return repr(text if len(text) <= 40 else text[:40] + "...")
