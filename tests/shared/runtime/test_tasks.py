"""A task ends, whatever it does with a cancellation."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from shared.runtime.tasks import end


def test_a_task_that_swallows_cancellations_ends() -> None:
    """asyncio.wait_for of Python 3.11 loses one; a loop around it goes on until the next."""
    swallowed = 0

    async def loop() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed == 2:
                    raise

    async def fails() -> None:
        raise ValueError

    async def test() -> None:
        tasks = asyncio.create_task(loop()), asyncio.create_task(fails())
        await asyncio.sleep(0)
        cancelled, failed = await end(*tasks)
        assert isinstance(cancelled, asyncio.CancelledError)
        assert isinstance(failed, ValueError)

    asyncio.run(test())
    assert swallowed == 2


def test_who_is_cancelled_while_it_ends_a_task_hears_of_it() -> None:
    """Else a stop during the renewal of a connection would be forgotten."""

    async def closes_slowly() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(0.2)

    async def stopped_meanwhile() -> None:
        connection = asyncio.create_task(closes_slowly())
        await asyncio.sleep(0)
        ending = asyncio.create_task(end(connection))
        await asyncio.sleep(0.01)
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        await connection

    asyncio.run(stopped_meanwhile())
