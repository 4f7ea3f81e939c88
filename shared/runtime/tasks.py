"""Ends asyncio tasks, even if one swallows a cancellation."""

from __future__ import annotations

import asyncio
from typing import Any, Final

_RETRY_S: Final = 2.0


async def end(*tasks: asyncio.Task[Any]) -> list[Any]:
    """Cancel tasks until each is done; return what each returned or raised.

    One cancellation is not enough: up to Python 3.11 `asyncio.wait_for` swallows it if its
    awaitable finishes at the same moment (CPython issue 86296), and a surrounding loop continues.
    """
    while running := [each for each in tasks if not each.done()]:
        for each in running:
            each.cancel()
        await asyncio.wait(running, timeout=_RETRY_S)
    return await asyncio.gather(*tasks, return_exceptions=True)
