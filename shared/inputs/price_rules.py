"""PRICE_RULES: instruments that may not trade at zero or below."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

import numpy as np

from shared.inputs.columns.rows import Rejected, Rows

_RULES: Final = {"any": None, "nonnegative": 0, "positive": 1}
"""The minimum mantissa of a price."""
_ALLOWED: Final = {0: "at least 0", 1: "greater than 0"}


@dataclass(frozen=True, slots=True)
class PriceRules:
    """Rules by glob pattern of instruments: the first match applies; else any price."""

    rules: tuple[tuple[str, int | None], ...] = ()

    @classmethod
    def parse(cls, text: str) -> PriceRules:
        """Parse `PATTERN=RULE[,...]`. Raises ValueError with the reason."""
        rules = []
        for item in filter(None, (part.strip() for part in text.split(","))):
            pattern, _, rule = item.rpartition("=")
            if not pattern or rule not in _RULES:
                raise ValueError(f"{item!r} is not PATTERN={'|'.join(_RULES)}, such as *=positive")
            rules.append((pattern, _RULES[rule]))
        return cls(tuple(rules))

    def _least(self, name: str) -> int | None:
        return next((least for glob, least in self.rules if fnmatchcase(name, glob)), None)

    def refuse(
        self, rows: Rows, original: Callable[[int, int], bytes]
    ) -> tuple[Rows, list[Rejected]]:
        """Return the allowed rows, and the others as rejects."""
        if not self.rules or not len(rows) or rows.price.min() > 0:
            return rows, []
        least = [self._least(name) for name in rows.names]
        minimum = np.array([each or 0 for each in least], dtype=np.int64)
        ruled = np.array([each is not None for each in least], dtype=bool)
        refused = ruled[rows.symbol] & np.asarray(rows.price < minimum[rows.symbol], dtype=bool)
        rejected = []
        for row in np.flatnonzero(refused).tolist():
            position = int(rows.payload[row]), int(rows.line[row])
            name, allowed = rows.names[rows.symbol[row]], least[rows.symbol[row]]
            detail = f"a price of {name} must be {_ALLOWED[allowed or 0]} (PRICE_RULES)"
            rejected.append(Rejected(*position, original(*position), "bad_price", detail))
        return (rows.at(np.flatnonzero(~refused)), rejected) if rejected else (rows, [])
