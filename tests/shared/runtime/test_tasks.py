"""A task ends even if it swallows a cancellation."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from shared.runtime.tasks import end


def test_a_task_that_swallows_cancellations_ends() -> None:
    """A task that swallows one cancellation is cancelled again until it ends.

    asyncio.wait_for of Python 3.11 loses one.
    """
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


def test_a_cancellation_during_the_end_of_a_task_is_raised() -> None:
    """A caller that is cancelled while it ends a task gets its own cancellation.

    Else a stop during the renewal of a connection would be lost.
    """

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
