"""Objects of the lake: how they are written, and how as little as needed of them is read."""

from __future__ import annotations

import hashlib
import io
import tempfile
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import IO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from shared.errors import TransientError
from shared.lake.places import Place, Written
from shared.stores.s3 import ObjectExists, ObjectStore

ROW_GROUP: Final = 50_000
_SPOOL_BYTES: Final = 16 << 20
_READ_WHOLE: Final = 1 << 20
_CACHE_BYTES: Final = 8 << 20
_FOOTER: Final = 64 << 10


def write(
    store: ObjectStore, lake: str, place: Place, tables: Iterable[pa.Table], *, whole: bool
) -> Written | None:
    """Create an object of tables that are sorted by time, under a name that no other has.

    The name says of which lake it is, so that only this lake's garbage is ever removed.
    It counts once it is recorded. Returns None, and writes nothing, when there are no rows.
    Raises TransientError.
    """
    rows, low, high = 0, 0, 0
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as file:
        writer: pq.ParquetWriter | None = None
        for table in tables:
            if not len(table):
                continue
            if writer is None:
                writer = _writer(file, table.schema)
                low = _time(table, 0)
            high = _time(table, len(table) - 1)
            rows += len(table)
            writer.write_table(table, row_group_size=ROW_GROUP)
        if writer is None:
            return None
        writer.close()
        size, digest = file.tell(), hashlib.sha256()
        file.seek(0)
        while piece := file.read(1 << 20):
            digest.update(piece)
        file.seek(0)
        name = f"{'whole' if whole else 'part'}-{lake}-{uuid.uuid4().hex}.parquet"
        path = f"{place.folder}/{name}"
        try:
            body: bytes | IO[bytes] = file.read() if size <= _SPOOL_BYTES else file
            store.create(place.bucket, path, body)
        except ObjectExists as error:  # an answer that was lost: the object is garbage
            raise TransientError(f"object {path} was written, its answer lost") from error
    return Written(place, path, whole, rows, size, digest.hexdigest(), low, high)


def _writer(file: IO[bytes], schema: pa.Schema) -> pq.ParquetWriter:
    words = {"side", "source", "price", "size", "price_scale", "size_scale"}
    return pq.ParquetWriter(
        file,
        schema,
        compression="zstd",
        use_dictionary=[name for name in schema.names if name in words],
        column_encoding={
            name: "DELTA_BINARY_PACKED"
            for name in ("time", "receive_time", "first_time", "last_time", "sequence", "trade_id")
            if name in schema.names
        },
        sorting_columns=[pq.SortingColumn(schema.get_field_index("time"))],
        store_schema=False,
    )


class LakeReader:
    """Reads row groups of recorded objects. An object never changes, so what was read is kept.

    Methods raise TransientError while the store is away, ObjectMissing when a reader's plan is so
    old that the object was superseded and removed since.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._kept_bytes = 0

    def tables(
        self,
        bucket: str,
        path: str,
        size: int,
        low_us: int,
        high_us: int,
        columns: list[str] | None = None,
    ) -> Iterator[pa.Table]:
        """Yield the row groups that may hold times in [low_us, high_us), one by one, in order."""
        with pq.ParquetFile(
            self._opened(bucket, path, size), pre_buffer=size > _READ_WHOLE
        ) as file:
            for group in range(file.metadata.num_row_groups):
                bounds = _bounds(file.metadata.row_group(group))
                if bounds is None or (bounds[0] < high_us and bounds[1] >= low_us):
                    yield file.read_row_group(group, columns=columns, use_threads=False)

    def described(self, bucket: str, path: str, size: int, sha256: str) -> Written:
        """Return what its name and its footer say of an object. Raises ValueError."""
        with pq.ParquetFile(self._opened(bucket, path, size)) as file:
            about = file.metadata
            groups = [_bounds(about.row_group(group)) for group in range(about.num_row_groups)]
        times = [each for each in groups if each is not None]
        if not times:
            raise ValueError(f"{bucket}/{path} does not say of which times it is")
        folder, _, name = path.rpartition("/")
        return Written(
            Place.of_folder(bucket, folder),
            path,
            name.startswith("whole-"),
            about.num_rows,
            size,
            sha256,
            min(low for low, _ in times),
            max(high for _, high in times),
        )

    def _opened(self, bucket: str, path: str, size: int) -> IO[bytes]:
        if size > _READ_WHOLE:
            return io.BufferedReader(_Ranged(self, bucket, path, size), buffer_size=_FOOTER)
        key = f"{bucket}/{path}"
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return io.BytesIO(kept)
        return io.BytesIO(self._keep(key, self._store.read(bucket, path)))

    def range(self, bucket: str, path: str, first: int, count: int, size: int) -> bytes:
        """Return some bytes of an object; its end, where the footer is, is kept."""
        if first + count < size or count > _FOOTER:
            return self._store.read(bucket, path, first, count)
        key, start = f"{bucket}/{path}#end", max(size - _FOOTER, 0)
        with self._lock:
            kept = self._kept.get(key)
        if kept is None:
            kept = self._keep(key, self._store.read(bucket, path, start, size - start))
        return kept[first - start : first - start + count]

    def _keep(self, key: str, body: bytes) -> bytes:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = body
                self._kept_bytes += len(body)
            while self._kept_bytes > _CACHE_BYTES and len(self._kept) > 1:
                self._kept_bytes -= len(self._kept.popitem(last=False)[1])
        return body


class _Ranged(io.RawIOBase):
    """An object as a file that asks for the ranges that are read."""

    def __init__(self, reader: LakeReader, bucket: str, path: str, size: int) -> None:
        self._reader, self._bucket, self._path, self._size = reader, bucket, path, size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = min(len(buffer), self._size - self._at)
        if count <= 0:
            return 0
        found = self._reader.range(self._bucket, self._path, self._at, count, self._size)
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


def _bounds(group: pq.RowGroupMetaData) -> tuple[int, int] | None:
    """Return the first and last time of a row group, or None when it does not say."""
    for number in range(group.num_columns):
        column = group.column(number)
        if column.path_in_schema == "time":
            told = column.statistics
            if told is None or not told.has_min_max:
                return None
            return _micros(told.min), _micros(told.max)
    return None


def _micros(moment: datetime) -> int:
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _time(table: pa.Table, row: int) -> int:
    return int(table["time"][row].value)
