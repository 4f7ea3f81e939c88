"""hftbacktest's event arrays (`data.npy` in an .npz): their trades, as the exchange dated them.

Source: hftbacktest, "Data" and `hftbacktest.types`: the low byte of `ev` is the kind (2: a trade),
bits 31 and 30 say whether the row is the exchange's or the local side's, 29 and 28 that the
aggressor bought or sold; times are nanoseconds. A row of the local side alone repeats one of the
exchange's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any, Final, cast

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy

from local.feeds.files import symbols
from local.feeds.files.errors import FileError
from local.feeds.files.layouts import Choice, Layout, chosen
from local.feeds.files.opening import Part, Progress

MAGIC: Final = b"\x93NUMPY"
_KIND, _TRADE = 0xFF, 2
_EXCHANGE, _BUY, _SELL = 1 << 31, 1 << 29, 1 << 28
_COLUMNS: Final = ("ev", "exch_ts", "px", "qty")
_LAYOUT: Final = Layout(
    "hftbacktest events",
    {"price": "px", "size": "qty", "time": "exch_ts", "side": "side"},
    unit="ns",
    symbol_of=symbols.of_hftbacktest,
)
_ROWS: Final = 200_000


def read(part: Part, choice: Choice, progress: Progress) -> tuple[Layout, Iterator[pa.Table]]:
    """Return the layout and the trades. Raises FileError."""
    try:
        version = npy.read_magic(cast(IO[bytes], part.stream))
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read_header(cast(IO[bytes], part.stream))
    except ValueError as error:
        raise FileError(f"{part}: is not a NumPy array that can be read: {error}") from None
    if dtype.names is None or len(shape) != 1 or not set(_COLUMNS) <= set(dtype.names):
        raise FileError(
            f"{part}: is an array of {dtype}, not of hftbacktest's events ({', '.join(_COLUMNS)},"
            " ...): convert it to CSV or Parquet"
        )
    layout = chosen(_LAYOUT, choice, list(_LAYOUT.columns.values()), part.path.name)
    return layout, _trades(part, dtype, int(shape[0]), progress)


def _trades(part: Part, dtype: np.dtype[Any], rows: int, progress: Progress) -> Iterator[pa.Table]:
    left = rows
    while left:
        body = part.stream.read(min(left, _ROWS) * dtype.itemsize)
        if not body or len(body) % dtype.itemsize:
            raise FileError(f"{part}: ends {left} rows before its {rows} are over")
        events = np.frombuffer(body, dtype=dtype)
        left -= len(events)
        kind = events["ev"]
        is_trade = ((kind & _KIND) == _TRADE) & ((kind & _EXCHANGE) != 0)
        if other_count := int(len(events) - is_trade.sum()):
            progress.skipped["events that are not trades of the exchange's"] += other_count
        trades = events[is_trade]
        bought, sold = (trades["ev"] & _BUY) != 0, (trades["ev"] & _SELL) != 0
        side = np.where(bought, "buy", np.where(sold, "sell", ""))
        columns = {name: pa.array(trades[name]) for name in _COLUMNS[1:]}
        yield pa.table({**columns, "side": pa.array(side.tolist(), pa.string())})
