"""What only callers that await can do: cancel, and gather."""

import asyncio
import random
from typing import cast

import pytest

from chatstore import AsyncChatStore, ChatMessage, ChatStore
from chatstore.testing.blocking import Blocking
from chatstore.testing.conformance.base import KEY, Base, describe, held, say


class Awaiting(Base):
    """For async stores: cancellation, tasks, and use from several loops."""

    @pytest.fixture
    def face(self, store: ChatStore) -> Blocking:
        """The store, with its loop."""
        assert isinstance(store, Blocking), "these tests are for async stores"
        return store

    def test_it_is_an_async_store(self, face: Blocking) -> None:
        assert isinstance(face.store, AsyncChatStore)

    def test_a_cancelled_write_has_happened_or_never_will(
        self, store: ChatStore, face: Blocking
    ) -> None:
        rng = random.Random(3)

        async def storm() -> set[int]:
            acknowledged = set()
            for number in range(60):
                batch = say(*(f"{number}:{i}" for i in range(3)))
                task = asyncio.create_task(face.store.add_messages(KEY, batch))
                await asyncio.sleep(rng.choice([0, 0, 0.0001, 0.0005, 0.002]))
                task.cancel()
                if rng.random() < 0.3:
                    await asyncio.sleep(0)
                    task.cancel()
                try:
                    await task
                    acknowledged.add(number)
                except asyncio.CancelledError:
                    before = await face.store.count_messages(KEY)
                    await asyncio.sleep(0.002)
                    assert await face.store.count_messages(KEY) == before
            return acknowledged

        acknowledged = face.run(storm())
        spoken = cast(list[str], held(store))
        turns = [text.partition(":")[0] for text in spoken[::3]]
        assert spoken == [f"{turn}:{i}" for turn in turns for i in range(3)]
        assert acknowledged <= set(map(int, turns))
        assert store.check().ok

    def test_a_cancelled_read_harms_nothing(self, store: ChatStore, face: Blocking) -> None:
        store.add_messages(KEY, say(*map(str, range(300))))

        async def storm() -> None:
            for number in range(40):
                task = asyncio.create_task(face.store.get_messages(KEY))
                await asyncio.sleep(0.0002 * (number % 5))
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

        face.run(storm())
        assert store.count_messages(KEY) == 300
        store.add_message(KEY, ChatMessage("a"))

    def test_a_timeout_is_a_timeout(self, store: ChatStore, face: Blocking) -> None:
        async def hurry() -> int:
            missed = 0
            for _ in range(20):
                try:
                    async with asyncio.timeout(0):
                        await face.store.add_message(KEY, ChatMessage("a"))
                except TimeoutError:
                    missed += 1
            return missed

        face.run(hurry())
        count = store.count_messages(KEY)
        store.add_message(KEY, ChatMessage("a"))
        assert store.count_messages(KEY) == count + 1

    def test_tasks_write_at_once(self, store: ChatStore, face: Blocking) -> None:
        async def all_at_once() -> None:
            await asyncio.gather(
                *(face.store.add_message(KEY, ChatMessage(f"{n}")) for n in range(50)),
                *(face.store.add_message(f"key-{n}", ChatMessage("a")) for n in range(20)),
            )

        face.run(all_at_once())
        assert sorted(held(store), key=str) == sorted(map(str, range(50)))
        assert describe(store).count == 50
        assert len(store.get_keys()) == 21

    def test_the_loop_goes_on_meanwhile(self, face: Blocking) -> None:
        async def beat(done: asyncio.Event) -> int:
            beats = 0
            while not done.is_set():
                beats += 1
                await asyncio.sleep(0)
            return beats

        async def work() -> int:
            done = asyncio.Event()
            heart = asyncio.create_task(beat(done))
            await asyncio.sleep(0)
            for _ in range(10):
                await face.store.add_message(KEY, ChatMessage("a"))
                await asyncio.sleep(0)
            done.set()
            return await heart

        assert face.run(work()) >= 10

    def test_async_with_closes(self, face: Blocking) -> None:
        async def use() -> bool:
            async with face.store as store:
                await store.add_message(KEY, ChatMessage("a"))
                return [message.content async for message in store.iter_messages(KEY)] == ["a"]

        assert face.run(use())
