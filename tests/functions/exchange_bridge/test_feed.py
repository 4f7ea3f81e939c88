"""A feed's connections: a feed that is stopped ends, whatever it is at."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from functions.exchange_bridge.feed import _ended


def test_who_is_cancelled_while_a_connection_closes_hears_of_it() -> None:
    """Else a stop during the renewal of a connection would be forgotten."""

    async def closes_slowly() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(0.2)

    async def stopped_meanwhile() -> None:
        connection = asyncio.create_task(closes_slowly())
        await asyncio.sleep(0)
        ending = asyncio.create_task(_ended(connection))
        await asyncio.sleep(0.01)
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        await connection

    asyncio.run(stopped_meanwhile())
