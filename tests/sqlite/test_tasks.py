"""The async store under tasks that are cancelled, loops that come and go, and a crowd."""

import asyncio
import gc
import random
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chatstore import AsyncChatStore, ChatMessage, ConflictError, open_async_store
from chatstore.sql.engine import READERS
from tests.sqlite.history import look


def turn(number: int) -> list[ChatMessage]:
    return [ChatMessage(content=f"{number} {half}", id=f"{number}{half}") for half in "ab"]


def stored(path: Path) -> set[int]:
    """The turns of a file, whole, through the raw driver."""
    state, wrong = look(path)
    assert not wrong
    texts = [text for text in state.get("k", []) if text[0].isdigit()]
    firsts = [text.removesuffix(" a") for text in texts[::2]]
    assert [f"{first} b" for first in firsts] == texts[1::2]
    assert len(set(firsts)) == len(firsts)
    return set(map(int, firsts))


def threads_of_ours() -> int:
    return sum(thread.name.startswith("chatstore") for thread in threading.enumerate())


async def storm(store: AsyncChatStore, path: Path, tasks: int, seed: int) -> None:
    chance = random.Random(seed)
    done: set[int] = set()
    # What the file held at the moment at which a cancellation arrived.
    at_cancellation: dict[int, bool] = {}
    raw = sqlite3.connect(path)

    def is_there(number: int) -> bool:
        sql = "SELECT count(*) FROM chatstore_message WHERE id IN (?, ?)"
        (rows,) = raw.execute(sql, (f"{number}a", f"{number}b")).fetchone()
        assert rows in {0, 2}
        return bool(rows)

    async def write(number: int) -> None:
        try:
            await store.add_messages("k", turn(number))
        except asyncio.CancelledError:
            at_cancellation[number] = is_there(number)
            raise
        done.add(number)

    async def read(_: int) -> None:
        messages = await store.get_messages("k", start=0, stop=40)
        assert len(messages) % 2 == 0

    with closing(raw):
        flying = []
        for number in range(tasks):
            call = read if number % 4 == 3 else write
            flying.append(asyncio.create_task(call(seed * tasks + number)))
            if chance.random() < 0.5:
                await asyncio.sleep(chance.choice((0, 0, 0.0002, 0.001)))
            newest = [task for task in flying[-12:] if not task.done()]
            for victim in chance.sample(newest, min(1, len(newest))):
                victim.cancel()
                if chance.random() < 0.2:
                    victim.cancel()
        answers = await asyncio.gather(*flying, return_exceptions=True)
    failed = [answer for answer in answers if isinstance(answer, Exception)]
    assert not failed, failed[0]
    assert len(at_cancellation) > tasks / 10

    mine = range(seed * tasks, (seed + 1) * tasks)
    there = {number for number in stored(path) if number in mine}
    # Who was told "stored" is; who was cancelled is what it was then.
    assert done <= there
    assert there - done == {number for number, found in at_cancellation.items() if found}


def test_a_storm_of_cancellations(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"

    async def main() -> None:
        async with open_async_store(path) as store:
            for seed in range(4):
                await storm(store, path, 250, seed)
            # Nothing was lost on the way: connections, threads, the store.
            assert threads_of_ours() <= READERS + 1
            await store.add_message("k", ChatMessage(content="after"))
            reads = [store.get_messages("k", last=1) for _ in range(3 * READERS)]
            assert all(len(messages) == 1 for messages in await asyncio.gather(*reads))
            assert (await store.check()).ok

    asyncio.run(main())
    assert threads_of_ours() == 0


@pytest.mark.torture
def test_a_long_storm_of_cancellations(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"

    async def main() -> None:
        async with open_async_store(path) as store:
            for seed in range(60):
                await storm(store, path, 400, seed)
            assert threads_of_ours() <= READERS + 1
            assert (await store.check()).ok

    asyncio.run(main())
    assert threads_of_ours() == 0


def test_every_kind_of_call_may_be_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    chance = random.Random(5)

    async def main() -> None:
        async with open_async_store(path, durability="normal") as store:
            await store.add_messages("k", [ChatMessage(content="x")] * 400)
            for number in range(300):
                calls: list[Any] = [
                    store.add_message("k", ChatMessage(content="x"), chance.randrange(300)),
                    store.delete_message("k", chance.randrange(300)),
                    store.update_message("k", chance.randrange(300), ChatMessage(content="x")),
                    store.set_messages(f"s{number % 5}", [ChatMessage(content="x")] * 50),
                    store.copy_conversation("k", f"c{number}"),
                    store.delete_messages(f"c{chance.randrange(number + 1)}"),
                    store.erase(f"s{chance.randrange(5)}"),
                    store.purge_expired(),
                    store.get_messages("k"),
                    store.get_conversations(limit=5),
                    store.check(),
                    anext(store.iter_messages("k")),
                ]
                call = chance.choice(calls)
                for other in calls:
                    if other is not call and hasattr(other, "close"):
                        other.close()
                try:
                    async with asyncio.timeout(chance.choice((0, 0.0001, 0.001, 0.005))):
                        await call
                except (TimeoutError, StopAsyncIteration):
                    pass
            report = await store.check()
            assert report.ok, report.problems

    asyncio.run(main())
    _, wrong = look(path)
    assert not wrong


def test_a_store_that_is_closed_among_tasks(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"

    async def main() -> set[int]:
        store = open_async_store(path)
        await store.add_message("k", ChatMessage(content="first"))
        tasks = [asyncio.create_task(store.add_messages("k", turn(n))) for n in range(50)]
        await asyncio.sleep(0)
        await store.close()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        return {n for n, answer in enumerate(answers) if isinstance(answer, list)}

    assert asyncio.run(main()) == stored(path)
    assert threads_of_ours() == 0


def test_one_store_for_several_loops(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    store = open_async_store(path)
    failures: list[BaseException] = []

    def run(writer: int) -> None:
        async def main() -> None:
            for first in range(writer * 1_000, writer * 1_000 + 50, 10):
                calls = (store.add_messages("k", turn(n)) for n in range(first, first + 10))
                await asyncio.gather(*calls)
                await store.get_messages("k", last=5)

        try:
            # A loop of its own, and after it another.
            asyncio.run(main())
            asyncio.run(store.count_messages("k"))
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=run, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asyncio.run(store.close())
    assert not failures, failures[0]
    assert len(stored(path)) == 4 * 50


def test_a_loop_that_ends_amid_its_tasks_leaves_the_store_to_others(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    store = open_async_store(path)

    async def begin() -> None:
        await store.add_message("k", ChatMessage(content="first"))
        tasks = [asyncio.create_task(store.add_messages("k", turn(n))) for n in range(100)]
        await asyncio.sleep(0)
        assert not all(task.done() for task in tasks)

    async def go_on() -> int:
        for number in range(100, 110):
            await store.add_messages("k", turn(number))
        return await store.count_messages("k")

    asyncio.run(begin())  # cancels what is left
    count = asyncio.run(go_on())
    asyncio.run(store.close())
    there = stored(path)
    assert there >= set(range(100, 110))
    assert count == 1 + 2 * len(there)
    gc.collect()


def test_fifty_tasks_keep_their_order(tmp_path: Path) -> None:
    """Each task's own messages come in the order in which it awaited them."""
    path = tmp_path / "chat.db"

    async def main() -> None:
        async with open_async_store(path) as store:

            async def write(writer: int) -> None:
                for number in range(20):
                    await store.add_message("k", ChatMessage(content=f"{writer} {number}"))

            await asyncio.gather(*map(write, range(50)))

    asyncio.run(main())
    state, wrong = look(path)
    assert not wrong
    words = [text.split() for text in state["k"]]
    assert len(words) == 50 * 20
    for writer in range(50):
        assert [int(n) for who, n in words if who == f"{writer}"] == list(range(20))


def test_those_who_fail_in_a_shared_commit_leave_nothing(tmp_path: Path) -> None:
    """A wrong revision is noticed when ordinals have been given out; they must be taken back."""
    path = tmp_path / "chat.db"

    async def main() -> list[Any]:
        async with open_async_store(path) as store:
            await store.add_message("k", ChatMessage(content="first"))
            calls = [
                store.add_messages("k", turn(n), expected_revision="0-0" if n % 3 else None)
                for n in range(60)
            ]
            calls.append(store.add_messages("new", turn(0), expected_revision="0-0"))
            answers = await asyncio.gather(*calls, return_exceptions=True)
            report = await store.check()
            assert report.ok, report.problems
            assert await store.get_keys() == ["k"]
            return answers

    answers = asyncio.run(main())
    assert {n for n, answer in enumerate(answers) if isinstance(answer, list)} == stored(path)
    assert sum(isinstance(answer, ConflictError) for answer in answers) == 41
