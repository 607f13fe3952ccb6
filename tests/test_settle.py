"""A cancellation comes when the work is settled, not before."""

import asyncio
import threading

import pytest

from chatstore.settle import in_thread, settled


def test_what_the_call_returns_comes_back() -> None:
    async def work() -> str:
        return await in_thread("{} {b}".format, "a", b="c")

    assert asyncio.run(work()) == "a c"


def test_what_the_call_raises_comes_back() -> None:
    async def work() -> None:
        await in_thread(int, "x")

    with pytest.raises(ValueError, match="invalid literal"):
        asyncio.run(work())


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("fails", [False, True], ids=["and returns", "and raises"])
def test_a_cancellation_waits_for_the_end(times: int, fails: bool) -> None:
    started, goes_on, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        goes_on.wait(10)
        done.set()
        if fails:
            raise ZeroDivisionError

    async def cancel() -> None:
        task = asyncio.create_task(in_thread(work))
        await asyncio.to_thread(started.wait, 10)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0.001)
            assert not task.done()
        goes_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert done.is_set()

    asyncio.run(cancel())


def test_a_timeout_is_told_as_one() -> None:
    done = threading.Event()

    def work() -> None:
        done.wait(0.05)
        done.set()

    async def hurry() -> None:
        async with asyncio.timeout(0.001):
            await in_thread(work)

    with pytest.raises(TimeoutError):
        asyncio.run(hurry())
    assert done.is_set()


def test_a_cancelled_future_is_a_cancellation() -> None:
    async def work() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.cancel)
        await settled(future)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(work())


def test_a_coroutine_that_is_thrown_away_ends_quietly() -> None:
    async def work() -> None:
        waiting = settled(asyncio.get_running_loop().create_future())
        waiting.send(None)
        waiting.close()

    asyncio.run(work())
