"""Opening of recorded files: plain, .gz, .zst, .bz2, .xz, .zip with members, directories, stdin."""

from __future__ import annotations

import bz2
import codecs
import gzip
import hashlib
import io
import lzma
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, cast

import pyarrow as pa
import zstandard

from local.feeds.files.errors import FileError

STDIN: Final = Path("-")
_ZIP: Final = b"PK\x03\x04"
_READERS: Final[tuple[tuple[bytes, Callable[[Any], Any]], ...]] = (
    (b"\x1f\x8b", lambda packed: gzip.GzipFile(fileobj=packed)),
    (
        b"\x28\xb5\x2f\xfd",
        lambda packed: zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True),
    ),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zX", lzma.LZMAFile),
)
"""By the first bytes of a file."""
_BUFFER: Final = 1 << 20
_PACKINGS: Final = (".gz", ".zst", ".zip", ".bz2", ".xz")
_DAMAGES: Final = (
    *(zipfile.BadZipFile, EOFError, zlib.error, zstandard.ZstdError, lzma.LZMAError, OSError),
    pa.ArrowInvalid,
)
HEAD_BYTES: Final = 64 * 1024
"""Bytes inspected to detect the layout."""


@dataclass
class Progress:
    """Progress of reading: position in all bytes, and skipped rows by reason."""

    skipped: Counter[str] = field(default_factory=Counter)
    total: int = 1
    before: int = 0
    file: IO[bytes] | None = None

    @property
    def fraction(self) -> float:
        """The share of the bytes that is read."""
        at = 0 if self.file is None or self.file.closed else self.file.tell()
        return min((self.before + at) / self.total, 1.0)


@dataclass(slots=True)
class Part:
    """One file, or one member of an archive.

    `path`: the file; `name`: its name without .gz or the like; `stream`: its uncompressed bytes, of
    UTF-16 as UTF-8; `identity`: digest of its content and, in an archive, its name.
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


class _Utf8(io.RawIOBase):
    """Text of UTF-16 as UTF-8."""

    def __init__(self, stream: io.BufferedReader[Any]) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-16")("replace")
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            block = self._stream.read(_BUFFER)
            self._rest = self._decoder.decode(block, final=not block).encode()
            if not block:
                break
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def files_of(paths: Sequence[Path]) -> list[Path]:
    """Return the files, expanding directories in name order. Raises FileError."""
    files: list[Path] = []
    for path in paths:
        if path == STDIN:
            files.append(path)
        elif path.is_dir():
            nested = sorted(
                each for each in path.rglob("*") if each.is_file() and _is_data(each.name)
            )
            if not nested:
                raise FileError(f"{path}: the directory has no files")
            files += nested
        elif path.exists():
            files.append(path)
        else:
            raise FileError(f"{path}: no such file")
    return files


def _is_data(name: str) -> bool:
    """Whether a file is none of macOS' hidden ones, no checksum, and not the mark of Spark."""
    return not (name.startswith(".") or name.endswith(".CHECKSUM") or name == "_SUCCESS")


def parts_of(paths: Sequence[Path], progress: Progress) -> Iterator[Part]:
    """Yield every file and every member of an archive, opened. Raises FileError."""
    files = files_of(paths)
    sizes = [0 if path == STDIN else path.stat().st_size for path in files]
    progress.total, progress.before = max(sum(sizes), 1), 0
    for size, path in zip(sizes, files, strict=True):
        with reported(path):
            if path == STDIN:
                yield from _parts(path, sys.stdin.buffer, "")
                continue
            with path.open("rb", buffering=0) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                file.seek(0)
                progress.file = file
                yield from _parts(path, file, digest)
            progress.before += size


def _parts(path: Path, file: IO[bytes], digest: str) -> Iterator[Part]:
    stream = io.BufferedReader(cast(io.RawIOBase, file), _BUFFER)
    head = stream.peek(4)[:4]
    name = "stdin" if path == STDIN else path.name
    if head.startswith(_ZIP):
        with zipfile.ZipFile(stream) as archive:
            names = (each for each in archive.namelist() if not each.endswith("/"))
            members = [each for each in names if _is_data(Path(each).name)]
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
    unpack = next((each for magic, each in _READERS if head.startswith(magic)), None)
    if unpack is None:
        stem = name
    else:
        buffered = io.BufferedReader(unpack(buffered), _BUFFER)
    if buffered.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        buffered = io.BufferedReader(_Utf8(buffered), _BUFFER)
    yield Part(path, stem, buffered, identity)


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Convert errors of damaged files to FileError."""
    try:
        yield
    except _DAMAGES as error:
        raise FileError(f"{path}: cannot be read: {error}") from error
