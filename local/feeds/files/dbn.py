"""Databento's binary files (DBN): trade records, with symbols from the file's metadata.

Source: Databento, "Databento Binary Encoding"; prices are integers of 1e-9, times nanoseconds, the
side is the aggressor's (A sold, B bought).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from local.feeds.files.errors import FileError
from local.feeds.files.layouts import Choice, Layout
from local.feeds.files.opening import Part, Progress

LAYOUT: Final = Layout(
    "Databento DBN", {each: each for each in ("symbol", "price", "size", "time", "side")}, unit="ns"
)
_BLOCK: Final = 1 << 20


@dataclass(slots=True)
class _Names:
    """Instrument ids -> (first day, day after the last, symbol), days as YYYY-MM-DD."""

    intervals: dict[int, list[tuple[str, str, str]]] = field(default_factory=dict)

    def learn(self, mappings: Any) -> None:
        for symbol, intervals in mappings.items():
            for each in intervals:
                if each["symbol"].isdigit():
                    days = (str(each["start_date"]), str(each["end_date"]), symbol)
                    self.intervals.setdefault(int(each["symbol"]), []).append(days)

    def of(self, instrument_id: int, ts_ns: int) -> str:
        intervals = self.intervals.get(instrument_id, ())
        if len(intervals) != 1:
            day = datetime.fromtimestamp(ts_ns // 10**9, UTC).date().isoformat()
            intervals = [each for each in intervals if each[0] <= day < each[1]]
        return intervals[0][2] if intervals else str(instrument_id)


def read(
    part: Part, choice: Choice, progress: Progress
) -> tuple[Layout, Iterator[dict[str, object]]]:
    """Return the layout and the trades of a file, each by FIELDS. Raises FileError."""
    try:
        import databento_dbn
    except ImportError:
        raise FileError(
            f"{part}: DBN files need the package databento-dbn: pip install databento-dbn"
        ) from None
    return replace(LAYOUT, symbol=choice.symbol), _trades(part, databento_dbn, progress)


def _trades(part: Part, dbn: Any, progress: Progress) -> Iterator[dict[str, object]]:
    decoder = dbn.DBNDecoder()
    names = _Names()
    try:
        while block := part.stream.read(_BLOCK):
            decoder.write(block)
            for record in decoder.decode():
                if isinstance(record, dbn.Metadata):
                    names.learn(record.mappings)
                elif getattr(record, "action", None) == dbn.Action.TRADE:  # of any schema
                    yield {
                        "symbol": names.of(record.instrument_id, record.ts_event),
                        "price": _price(record.price) if record.price != dbn.UNDEF_PRICE else "",
                        "size": str(record.size),
                        "time": str(record.ts_event),
                        "side": str(record.side),
                    }
                else:
                    progress.skipped[type(record).__name__] += 1
        if decoder.buffer():
            raise FileError(f"{part}: ends within a record: it is not complete")
    except dbn.DBNError as error:
        raise FileError(f"{part}: is not a DBN file that can be read: {error}") from None


def _price(units: int) -> str:
    return format(Decimal(units).scaleb(-9), "f")
