"""Metrics of a batch: rejects by reason, and unread fields, each logged once a source."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from shared.inputs.columns.rows import Rejected
from shared.runtime import metrics

log = logging.getLogger(__name__)

MAX_FIELDS: Final = 64
"""Most field names with their own time series, since senders make names up."""
_MAX_CHARACTERS: Final = 40

_logged: set[tuple[str, str]] = set()


def source_kind(source: str) -> str:
    """Return the kind of a source: its name without the random suffix."""
    return source.rpartition("-")[0] or source


def count_rejects(source: str, rejected: Iterable[Rejected]) -> None:
    """Count rejects by reason and kind of source."""
    for code, count in Counter(reject.code for reject in rejected).items():
        metrics.REJECTS.labels(code, source_kind(source)).inc(count)


def count_unread(source: str, unread: Mapping[str, int]) -> None:
    """Count unread fields; log each the first time a source sends it."""
    kind = source_kind(source)
    for name, count in unread.items():
        field = "".join(c if c.isprintable() else "?" for c in name[:_MAX_CHARACTERS])
        if (field, kind) not in _logged:
            if len(_logged) >= MAX_FIELDS:
                field = "others"
            else:
                _logged.add((field, kind))
                log.warning(
                    "field %r of source %s is not read: docs/formats.md names those that are",
                    field,
                    kind,
                )
        metrics.FIELDS_UNREAD.labels(field, kind).inc(count)
