"""Frames that are encoded once and cached."""

from __future__ import annotations

import psutil

from functions.live_feed.protocols.frames import Form, Update
from tests.functions.live_feed.conftest import tick

MIB = 1024 * 1024


def test_a_stored_frame_takes_little_more_than_its_bytes() -> None:
    """A cached frame takes little more memory than its bytes.

    A replica has 20,000 of them for clients that resume: 80 MB, as orjson leaves them.
    """
    payload = tick("A", "1").payload
    updates = [Update(seq, "ticks:A", payload) for seq in range(20_000)]
    process = psutil.Process()
    before = process.memory_info().rss
    total = sum(len(each.frame(Form.JSON)) for each in updates)
    grown = process.memory_info().rss - before
    assert total > 3 * MIB
    assert grown < 40 * MIB
