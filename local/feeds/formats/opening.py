"""Open recorded files, compressed or not, and tell how far the reading has come."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

from local.feeds.formats.errors import FeedFileError

MAX_ROW_BYTES: Final = 16 * 1024 * 1024
"""A longer row means that the file is no file of rows; reading it would cost unbounded memory."""

_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"


@dataclass
class Reading:
    """What is known of a file while it is read: the share behind us, and what was left out."""

    fraction: float = 0.0
    skipped: Counter[str] = field(default_factory=Counter)


class _Watched(io.RawIOBase):
    """A file that notes how much of it was read."""

    def __init__(self, file: BinaryIO, size: int, reading: Reading) -> None:
        self._file = file
        self._size = max(size, 1)
        self._reading = reading

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: object) -> int:
        count: int = self._file.readinto(buffer)  # type: ignore[attr-defined]
        self._reading.fraction = min(self._file.tell() / self._size, 1.0)
        return count


@contextmanager
def open_bytes(path: Path, reading: Reading | None = None) -> Iterator[IO[bytes]]:
    """Open a plain file, a gzip file, or the one member of a zip file, as bytes.

    Raises FeedFileError: it cannot be opened, is damaged, or is a zip file of several members.
    """
    with _reported(path), path.open("rb", buffering=0) as file:
        head = file.read(4)
        file.seek(0)
        watched = _Watched(cast(BinaryIO, file), path.stat().st_size, reading or Reading())
        buffered = io.BufferedReader(watched, buffer_size=64 * 1024)
        if head.startswith(_GZIP):
            with gzip.GzipFile(fileobj=buffered) as unpacked:
                yield cast(IO[bytes], unpacked)
        elif head.startswith(_ZIP):
            with (
                zipfile.ZipFile(buffered) as archive,
                archive.open(only_member(archive, path)) as member,
            ):
                yield member
        else:
            yield cast(IO[bytes], buffered)


def only_member(archive: zipfile.ZipFile, path: Path) -> str:
    """Return the name of a zip file's one member."""
    names = [name for name in archive.namelist() if not name.endswith("/")]
    if len(names) != 1:
        raise FeedFileError(f"{path}: expected one file in the archive, found {len(names)}")
    return names[0]


def rows(path: Path, reading: Reading | None = None) -> Iterator[tuple[int, str]]:
    """Yield (row number from 1, text without its line end) of every row that is not blank."""
    with open_bytes(path, reading) as file:
        number = 0
        while raw := file.readline(MAX_ROW_BYTES):
            number += 1
            if len(raw) == MAX_ROW_BYTES:
                raise FeedFileError(f"{path}: row {number} is longer than {MAX_ROW_BYTES} bytes")
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError:
                raise FeedFileError(f"{path}: row {number} is not UTF-8 text") from None
            if text:
                yield number, text


def head(path: Path, size: int = 512) -> bytes:
    """Return the first bytes of a file's content, uncompressed."""
    with open_bytes(path) as file:
        return file.read(size)


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise FeedFileError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise FeedFileError(f"{path}: is a directory, not a file of ticks") from None
    except (zipfile.BadZipFile, EOFError, zlib.error, OSError) as error:
        raise FeedFileError(f"{path}: cannot be read: {error}") from error
