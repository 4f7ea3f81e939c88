"""Trades as columns of an answer: lists for text formats, Arrow arrays for binary ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from functions.history_query.api.parameters import ParameterError
from shared.candles.trades import Trades
from shared.market.decimals import mantissa_text
from shared.wire.ticks import (
    AUCTION,
    CORRECTED,
    INTEGER_ID,
    ODD_LOT,
    OUT_OF_SEQUENCE,
    TEXT_ID,
    VOLUME_ONLY,
    Mantissas,
)

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS: Final = ("t", "time", "us", "p", "s", "side", "id", "received", "flags", "ended")
_SIDES: Final = np.array([None, "buy", "sell"], dtype=object)
_FLAGS: Final = {
    VOLUME_ONLY: "volume_only",
    ODD_LOT: "odd_lot",
    AUCTION: "auction",
    OUT_OF_SEQUENCE: "out_of_sequence",
    CORRECTED: "corrected",
}


def displayed_columns(columns: Sequence[str], zone: ZoneInfo | None) -> tuple[str, ...]:
    """Return the columns of a response; empty `columns`: all. `time` only with a zone."""
    return tuple(name for name in columns or COLUMNS if zone or name != "time")


def rows_of(trades: Trades, names: Sequence[str], zone: ZoneInfo | None) -> list[dict[str, Any]]:
    """Return one mapping per trade, decimals as exact text."""
    columns = [_LISTS[name](trades, zone) for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def table_of(trades: Trades, names: Sequence[str], zone: ZoneInfo | None) -> pa.Table:
    """Return an Arrow table: `t` a timestamp, decimals DECIMAL(38, 18).

    Raises ParameterError if a value does not fit.
    """
    import pyarrow as pa

    rows = trades.rows
    builders: dict[str, Callable[[], Any]] = {
        "t": lambda: pa.array(rows.time_us // 1000).cast(pa.timestamp("ms", "UTC")),
        "us": lambda: pa.array(rows.time_us),
        "p": lambda: _decimals("p", trades.price, trades.price_scale),
        "s": lambda: _decimals("s", trades.size, trades.size_scale),
        "side": lambda: pa.array(_SIDES[1:], pa.string()).take(
            pa.array(rows.side.astype(np.int64) - 1, mask=rows.side == 0)
        ),
        "id": lambda: _ids(trades),
        "received": lambda: pa.array(rows.receive_us // 1000),
        "ended": lambda: pa.array(trades.ended_us // 1000, mask=trades.ended_us < 1000),
    }
    return pa.table(
        {
            name: builders[name]()
            if name in builders
            else pa.array(_LISTS[name](trades, zone), pa.string())
            for name in names
        }
    )


def _strings(texts: list[str | None]) -> pa.Array:
    import pyarrow as pa

    return pa.array(texts, pa.string())


def _decimals(name: str, mantissa: Mantissas, scale: int) -> pa.Array:
    from shared.lake.decimal_columns import to_decimals

    values, texts = to_decimals(mantissa, np.full(len(mantissa), scale, dtype=np.int64))
    if texts.null_count < len(texts):
        raise ParameterError(
            f"format: a value of {name} has more digits than this format holds; ask for json"
        )
    return values


def _ids(trades: Trades) -> pa.Array:
    import pyarrow as pa

    kind = trades.rows.kind
    if (kind == TEXT_ID).any():
        return _strings(_id_texts(trades))
    return pa.array(trades.rows.trade_id, mask=kind != INTEGER_ID).cast(pa.string())


def _times(trades: Trades, zone: ZoneInfo | None) -> list[str]:
    times = []
    for ms in (trades.rows.time_us // 1000).tolist():
        local = datetime.fromtimestamp(ms // 1000, zone or UTC)
        local = local.replace(microsecond=ms % 1000 * 1000)
        times.append(local.isoformat(timespec="milliseconds"))
    return times


def _id_texts(trades: Trades) -> list[str | None]:
    rows = trades.rows
    if (rows.kind == INTEGER_ID).all():
        return list(map(str, rows.trade_id.tolist()))
    ids: list[str | None] = [None] * len(rows)
    for row in np.flatnonzero(rows.kind == INTEGER_ID).tolist():
        ids[row] = str(int(rows.trade_id[row]))
    for row in np.flatnonzero(rows.kind == TEXT_ID).tolist():
        ids[row] = str(rows.text[row])
    return ids


def _texts(mantissa: Mantissas, scale: int) -> list[str]:
    return [mantissa_text(each, scale) for each in mantissa.tolist()]


@cache
def _flags(bits: int) -> str | None:
    """Return the names of the bits, separated by spaces; None without one."""
    return " ".join(name for bit, name in _FLAGS.items() if bits & bit) or None


_LISTS: Final[Mapping[str, Callable[[Trades, ZoneInfo | None], list[Any]]]] = {
    "t": lambda trades, _: (trades.rows.time_us // 1000).tolist(),
    "us": lambda trades, _: trades.rows.time_us.tolist(),
    "time": _times,
    "p": lambda trades, _: _texts(trades.price, trades.price_scale),
    "s": lambda trades, _: _texts(trades.size, trades.size_scale),
    "side": lambda trades, _: _SIDES[trades.rows.side].tolist(),
    "id": lambda trades, _: _id_texts(trades),
    "received": lambda trades, _: (trades.rows.receive_us // 1000).tolist(),
    "flags": lambda trades, _: [_flags(bits) for bits in trades.rows.flags.tolist()],
    "ended": lambda trades, _: [us // 1000 or None for us in trades.ended_us.tolist()],
}
