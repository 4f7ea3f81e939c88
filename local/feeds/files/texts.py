"""The concatenated bytes of a text column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def content_of(column: pa.StringArray) -> bytes:
    """Return the concatenated texts."""
    _, offsets, data = column.buffers()
    if data is None or not len(column):
        return b""
    ends = np.frombuffer(offsets, np.int32)[column.offset :]
    return memoryview(data)[int(ends[0]) : int(ends[len(column)])].tobytes()
