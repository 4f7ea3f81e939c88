"""Compressed bodies of events."""

from __future__ import annotations

import pytest

from shared.errors import PermanentError
from shared.wire.compression import MAX_UNPACKED_BYTES, compress, decompress


def test_a_decompression_bomb_is_refused() -> None:
    """A body that would decompress to more than the limit is refused before it does."""
    bomb = compress(bytes(MAX_UNPACKED_BYTES + 1))
    with pytest.raises(PermanentError, match="at most"):
        decompress(bomb)
    with pytest.raises(PermanentError, match="not zstd"):
        decompress(b"plain")
