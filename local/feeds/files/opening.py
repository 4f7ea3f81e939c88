"""Opening of recorded files: plain, .gz, .zst, .zip with members, directories, stdin."""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, cast

import zstandard

from local.feeds.files.errors import FileError

STDIN: Final = Path("-")
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_BUFFER: Final = 1 << 20
_PACKINGS: Final = (".gz", ".zst", ".zip")
HEAD_BYTES: Final = 64 * 1024
"""Bytes inspected to detect the layout."""


@dataclass
class Progress:
    """Progress of reading: share of the bytes, and skipped rows by reason."""

    fraction: float = 0.0
    skipped: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Part:
    """One file, or one member of an archive.

    `path`: the file; `name`: its name without .gz, .zst or .zip; `stream`: its uncompressed bytes;
    `identity`: digest of its content and, in an archive, its name.
    """

    path: Path
    name: str
    stream: io.BufferedReader[Any]
    identity: str

    def __str__(self) -> str:
        return str(self.path) if self.name in self.path.name else f"{self.path}: {self.name}"

    def head(self) -> bytes:
        """Return the first bytes without consuming them."""
        return self.stream.peek(HEAD_BYTES)[:HEAD_BYTES]


class _Counted(io.RawIOBase):
    """A file that updates the progress over all files."""

    def __init__(self, file: IO[bytes], before: int, total: int, progress: Progress) -> None:
        self._file = file
        self._before = before
        self._total = max(total, 1)
        self._progress = progress

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: object) -> int:
        count: int = self._file.readinto(buffer)  # type: ignore[attr-defined]
        if self._file.seekable():
            self._progress.fraction = min((self._before + self._file.tell()) / self._total, 1.0)
        return count


def files_of(paths: Sequence[Path]) -> list[Path]:
    """Return the files, expanding directories in name order. Raises FileError."""
    files: list[Path] = []
    for path in paths:
        if path == STDIN:
            files.append(path)
        elif path.is_dir():
            nested = sorted(each for each in path.rglob("*") if each.is_file())
            if not nested:
                raise FileError(f"{path}: the directory has no files")
            files += nested
        elif path.exists():
            files.append(path)
        else:
            raise FileError(f"{path}: no such file")
    return files


def parts_of(paths: Sequence[Path], progress: Progress) -> Iterator[Part]:
    """Yield every file and every member of an archive, opened. Raises FileError."""
    files = files_of(paths)
    sizes = [0 if path == STDIN else path.stat().st_size for path in files]
    for number, path in enumerate(files):
        with reported(path):
            if path == STDIN:
                yield from _parts(path, sys.stdin.buffer, 0, 0, progress, "")
                continue
            with path.open("rb", buffering=0) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                file.seek(0)
                yield from _parts(path, file, sum(sizes[:number]), sum(sizes), progress, digest)


def _parts(
    path: Path, file: IO[bytes], before: int, total: int, progress: Progress, digest: str
) -> Iterator[Part]:
    stream = io.BufferedReader(_Counted(file, before, total, progress), _BUFFER)
    head = stream.peek(4)[:4]
    name = "stdin" if path == STDIN else path.name
    if head.startswith(_ZIP):
        with zipfile.ZipFile(stream) as archive:
            members = [each for each in archive.namelist() if not each.endswith("/")]
            if not members:
                raise FileError(f"{path}: the archive is empty")
            for member in members:
                with archive.open(member) as packed:
                    yield from _unpacked(path, Path(member).name, packed, f"{digest}/{member}")
    else:
        yield from _unpacked(path, name, cast(IO[bytes], stream), digest)


def _unpacked(path: Path, name: str, packed: IO[bytes], content: str) -> Iterator[Part]:
    buffered = io.BufferedReader(cast(io.RawIOBase, packed), _BUFFER)
    head = buffered.peek(4)[:4]
    if not content:  # standard input cannot be read twice: its first bytes identify it
        content = buffered.peek(HEAD_BYTES).hex()
    identity = hashlib.sha256(content.encode()).hexdigest()[:12]
    stem = name[: -len(Path(name).suffix)] if Path(name).suffix in _PACKINGS else name
    if head.startswith(_GZIP):
        with gzip.GzipFile(fileobj=buffered) as unpacked:
            stream = io.BufferedReader(cast(io.RawIOBase, unpacked), _BUFFER)
            yield Part(path, stem, stream, identity)
    elif head.startswith(_ZSTD):
        reader = zstandard.ZstdDecompressor().stream_reader(buffered, read_across_frames=True)
        yield Part(path, stem, io.BufferedReader(cast(io.RawIOBase, reader), _BUFFER), identity)
    else:
        yield Part(path, name, buffered, identity)


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Convert errors of damaged files to FileError."""
    try:
        yield
    except (zipfile.BadZipFile, EOFError, zlib.error, zstandard.ZstdError, OSError) as error:
        raise FileError(f"{path}: cannot be read: {error}") from error
