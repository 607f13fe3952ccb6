"""Scripts of many tasks go together: none of them is forgotten."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import redis.asyncio

from chatstore import AsyncRedisChatStore, ChatMessage
from chatstore.redis import batches
from chatstore.redis.asking import Run
from chatstore.redis.batches import Batches
from chatstore.redis.scripts import script
from tests.redis.given import KEY, NAME, held, opened


def ended(url: str, main: Callable[[AsyncRedisChatStore], Coroutine[Any, Any, Any]]) -> bool:
    """Whether it ends, and all tasks of its loop after it; in a thread, which may be left behind.

    As `asyncio.run` does it, but that the store can be closed then.
    """

    def run() -> None:
        loop = asyncio.new_event_loop()
        store = AsyncRedisChatStore(url)
        loop.run_until_complete(main(store))
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks))
        loop.run_until_complete(store.close())
        loop.close()
        over.append(True)

    over: list[bool] = []
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10)
    return over == [True]


def test_who_comes_while_the_last_batch_ends_is_not_forgotten(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that has looked for work for the last time is there for another turn of the loop."""
    monkeypatch.setattr(batches, "UNDERWAY", 1)
    replies: list[Any] = []

    async def main() -> None:
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            sending = Batches(client, redis_url, 0, 0)
            run = Run(script("read"), (NAME,), ("", "", "", ""), KEY)

            def again(reply: "asyncio.Future[Any]") -> None:
                replies.append(reply.result())
                if len(replies) < 20:
                    sending.submit(run).add_done_callback(again)
                else:
                    over.set()

            over = asyncio.Event()
            sending.submit(run).add_done_callback(again)
            await asyncio.wait_for(over.wait(), 5)
            await sending.settled()

    asyncio.run(main())
    assert replies == [[]] * 20


@pytest.mark.parametrize("turns", range(6))
def test_a_loop_ends_amidst_a_write(redis_url: str, turns: int) -> None:
    """Whatever it was about to do: its tasks are cancelled, and must end."""
    seen: list[asyncio.Task[str]] = []

    async def main(store: AsyncRedisChatStore) -> None:
        await store.add_message(KEY, ChatMessage("first"))
        seen.append(asyncio.create_task(store.add_message(KEY, ChatMessage("last"))))
        for _ in range(turns):
            await asyncio.sleep(0)

    assert ended(redis_url, main)
    assert seen[0].done()
    with opened("sync", redis_url) as store:
        assert held(store) in (["first"], ["first", "last"])


def test_all_tasks_are_cancelled_and_the_loop_goes_on(redis_url: str) -> None:
    found: list[str] = []

    async def main(store: AsyncRedisChatStore) -> None:
        await store.add_message(KEY, ChatMessage("first"))
        for turns in range(6):
            tasks = [
                asyncio.create_task(store.add_message(KEY, ChatMessage(f"{turns}")))
                for _ in range(3)
            ]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.wait(tasks)
            assert all(task.done() for task in tasks)
            found.append(await store.add_message(KEY, ChatMessage("after")))

    assert ended(redis_url, main)
    assert len(found) == 6
