"""Recognition of a column of times: by its name, and by its cells."""

from __future__ import annotations

import re
from typing import Final

from shared.market.symbols import is_time

_WORDS: Final = frozenset(
    {
        *("time", "times", "date", "datetime", "timestamp", "stamp", "ts"),
        *("utc", "when", "epoch", "moment", "made", "created"),
    }
)


def names_a_time(name: str) -> bool:
    """Whether a name such as `tradeDate` or `made_at_utc` has a word for a time."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return not _WORDS.isdisjoint(re.findall(r"[a-z]+", words))


def is_time_number(text: str) -> bool:
    """Whether a number is a time in ms, us or ns since 1970, too large for a price."""
    return re.fullmatch(r"1[0-9]{12}([0-9]{3}){0,2}", text) is not None


def may_be_time(text: str) -> bool:
    """Whether a cell may be a time: also a number of seconds since 1970."""
    return is_time(text) or is_time_number(text) or re.fullmatch(r"1[0-9]{9}", text) is not None
