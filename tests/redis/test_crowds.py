"""Many at once: nothing is lost, nothing is seen half done."""

import asyncio
import multiprocessing
import threading
from contextlib import suppress

import pytest

from chatstore import AsyncRedisChatStore, ChatMessage, RedisChatStore
from tests.redis.given import KEY, held, opened, say

PROCESSES, EACH = 8, 60


def _append(url: str, who: int) -> None:
    with RedisChatStore(url, ttl=300) as store:
        for number in range(EACH):
            store.add_message(KEY, ChatMessage(f"{who}.{number}"))


def test_eight_processes_append_to_one_conversation(redis_url: str) -> None:
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_append, args=(redis_url, who)) for who in range(PROCESSES)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0
    with opened("sync", redis_url) as store:
        found = held(store)
        assert len(found) == PROCESSES * EACH
        for who in range(PROCESSES):
            mine = [text for text in found if text.startswith(f"{who}.")]
            assert mine == [f"{who}.{number}" for number in range(EACH)]
        assert store.check().ok


def test_insertions_race_with_appends(redis_url: str) -> None:
    with opened("sync", redis_url) as store:
        store.add_message(KEY, ChatMessage("first"))

        def insert() -> None:
            for number in range(150):
                store.add_message(KEY, ChatMessage(f"i{number}"), 1)

        def append() -> None:
            for number in range(300):
                store.add_message(KEY, ChatMessage(f"a{number}"))

        threads = [threading.Thread(target=work) for work in (insert, append, append)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = held(store)
        assert len(found) == 1 + 150 + 600
        inserted = [text for text in found if text.startswith("i")]
        assert inserted == [f"i{number}" for number in reversed(range(150))]
        assert store.check().ok


def test_a_reader_sees_the_old_or_the_new(redis_url: str) -> None:
    with opened("sync", redis_url) as store, opened("sync", redis_url) as other:
        sizes = (400, 700)
        store.set_messages(KEY, say(*["x"] * sizes[0]))
        done = threading.Event()

        def replace() -> None:
            for turn in range(30):
                store.set_messages(KEY, say(*["x"] * sizes[(turn + 1) % 2]))
            done.set()

        thread = threading.Thread(target=replace)
        thread.start()
        seen = set()
        while not done.is_set():
            seen.add(other.count_messages(KEY))
            seen.add(len(other.get_messages(KEY)))
        thread.join()
        assert seen <= set(sizes)


def test_tasks_append_to_one_conversation(redis_url: str) -> None:
    async def main() -> None:
        async with AsyncRedisChatStore(redis_url) as store:

            async def append(who: int) -> None:
                for number in range(20):
                    await store.add_message(KEY, ChatMessage(f"{who}.{number}"))

            await asyncio.gather(*(append(who) for who in range(50)))
            found = [message.content or "" for message in await store.get_messages(KEY)]
            assert len(found) == 1000
            for who in range(50):
                mine = [text for text in found if text.startswith(f"{who}.")]
                assert mine == [f"{who}.{number}" for number in range(20)]
            assert (await store.check()).ok

    asyncio.run(main())


@pytest.mark.parametrize("delay", [0, 0.0001, 0.0005, 0.001, 0.002])
def test_a_cancelled_write_has_happened_or_never_will(redis_url: str, delay: float) -> None:
    async def main() -> None:
        async with AsyncRedisChatStore(redis_url) as store:
            await store.add_message(KEY, ChatMessage("0"))
            for _ in range(30):
                task = asyncio.ensure_future(store.add_message(KEY, ChatMessage("x")))
                await asyncio.sleep(delay)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                before = await store.count_messages(KEY)
                await asyncio.sleep(0.001)
                assert await store.count_messages(KEY) == before
            await store.add_message(KEY, ChatMessage("last"))
            assert (await store.check()).ok

    asyncio.run(main())


def test_a_failing_call_fails_alone(redis_url: str) -> None:
    """Calls that share a round trip do not share an error."""
    from chatstore import StoreCorruptError

    async def main() -> None:
        async with AsyncRedisChatStore(redis_url) as store:
            import redis.asyncio

            async with redis.asyncio.Redis.from_url(redis_url) as raw:
                await raw.set("chatstore::{bad}", "theirs")
            keys = ["a", "bad", "b", "bad", "c"] * 20
            results = await asyncio.gather(
                *(store.add_message(key, ChatMessage("x")) for key in keys), return_exceptions=True
            )
            for key, result in zip(keys, results):
                assert isinstance(result, StoreCorruptError) == (key == "bad")
            assert await store.get_keys() == ["a", "b", "c"]
            assert await store.count_messages("a") == 20

    asyncio.run(main())
