"""Tasks share commits with threads, and a cancellation finds things settled."""

import asyncio
import contextlib
import gc
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatstore.errors import StoreBusyError, StoreClosedError, StoreReadOnlyError
from chatstore.sql.engine import open_database
from chatstore.sql.engine.conn import Conn
from chatstore.sql.engine.sqlite.database import SQLiteDatabase
from tests.sql.ledger import append, back_door, count, names, refuse, traced

Opened = Callable[..., SQLiteDatabase]


def wake_ups(loop: asyncio.AbstractEventLoop) -> list[object]:
    """Records each time a thread wakes the loop."""
    seen: list[object] = []
    real = loop.call_soon_threadsafe

    def watched(callback: Any, *args: Any, context: Any = None) -> Any:
        seen.append(callback)
        return real(callback, *args, context=context)

    vars(loop)["call_soon_threadsafe"] = watched
    return seen


def held_up(seconds: float, started: threading.Event | None = None) -> Callable[[Conn], int]:
    """Work that takes its time."""

    def work(conn: Conn) -> int:
        if started is not None:
            started.set()
        time.sleep(seconds)
        return append("slow")(conn)

    return work


def test_one_write_is_one_hop_there_and_one_back(database: SQLiteDatabase) -> None:
    async def main() -> int:
        woken = wake_ups(asyncio.get_running_loop())
        before = threading.active_count()
        assert await database.awrite(append()) == 1
        assert threading.active_count() == before + 1
        assert await database.awrite(append()) == 2
        assert threading.active_count() == before + 1
        return len(woken)

    assert asyncio.run(main()) == 2


def test_one_read_is_one_hop_there_and_one_back(database: SQLiteDatabase) -> None:
    async def main() -> int:
        woken = wake_ups(asyncio.get_running_loop())
        assert await database.aread(count) == 0
        assert await database.aread(count, snapshot=True) == 0
        return len(woken)

    assert asyncio.run(main()) == 2


def test_tasks_share_a_commit_and_a_wake_up(database: SQLiteDatabase, path: Path) -> None:
    async def main() -> int:
        woken = wake_ups(asyncio.get_running_loop())
        with traced(database) as statements:
            numbers = await asyncio.gather(*[database.awrite(append()) for _ in range(50)])
        assert numbers == list(range(1, 51))
        assert statements.count("COMMIT") == 1
        return len(woken)

    assert asyncio.run(main()) == 1
    assert names(path) == {"a": list(range(1, 51))}


def test_a_turn_of_the_loop_is_over_before_a_thread_is_woken(
    database: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued: list[int] = []
    real = database._commit._crew.rouse

    def rouse() -> None:
        queued.append(len(database._commit._queue))
        real()

    monkeypatch.setattr(database._commit._crew, "rouse", rouse)

    async def main() -> None:
        await asyncio.gather(*[database.awrite(append()) for _ in range(50)])

    asyncio.run(main())
    assert queued == [50]


def test_results_that_come_together_wake_the_loop_once(database: SQLiteDatabase) -> None:
    async def main() -> None:
        woken = wake_ups(asyncio.get_running_loop())
        reads = [asyncio.create_task(database.aread(lambda conn: 1)) for _ in range(4)]
        await asyncio.sleep(0)
        # The loop is busy; the threads are not.
        time.sleep(0.2)  # noqa: ASYNC251
        assert len(woken) == 1
        assert await asyncio.gather(*reads) == [1] * 4

    asyncio.run(main())


def test_one_that_fails_fails_alone(database: SQLiteDatabase, path: Path) -> None:
    async def main() -> list[Any]:
        works: list[Callable[[Conn], Any]] = [append(), refuse, append()]
        return await asyncio.gather(*map(database.awrite, works), return_exceptions=True)

    first, second, third = asyncio.run(main())
    assert (first, third) == (1, 2)
    assert isinstance(second, LookupError)
    assert names(path) == {"a": [1, 2]}


def test_threads_tasks_and_several_loops_at_once(database: SQLiteDatabase, path: Path) -> None:
    async def tasks(name: str) -> None:
        async def one() -> None:
            for _ in range(10):
                await database.awrite(append(name))
                await database.aread(count)

        await asyncio.gather(*[one() for _ in range(10)])

    def loop(name: str) -> None:
        asyncio.run(tasks(name))

    def thread(name: str) -> None:
        for _ in range(50):
            database.write(append(name))

    running = [threading.Thread(target=loop, args=(f"loop{i}",)) for i in range(3)]
    running += [threading.Thread(target=thread, args=(f"thread{i}",)) for i in range(3)]
    for each in running:
        each.start()
    for each in running:
        each.join(30)
        assert not each.is_alive()
    held = names(path)
    assert {name: len(numbers) for name, numbers in held.items()} == {
        **{f"loop{i}": 100 for i in range(3)},
        **{f"thread{i}": 50 for i in range(3)},
    }


def test_one_database_serves_one_loop_after_another(database: SQLiteDatabase) -> None:
    assert [asyncio.run(database.awrite(append())) for _ in range(5)] == [1, 2, 3, 4, 5]
    gc.collect()
    assert len(database._mailboxes._boxes) == 0


def test_a_write_that_waits_is_taken_back_when_cancelled(
    database: SQLiteDatabase, path: Path
) -> None:
    async def main() -> None:
        started = threading.Event()
        first = asyncio.create_task(database.awrite(held_up(0.3, started)))
        await asyncio.to_thread(started.wait)
        second = asyncio.create_task(database.awrite(append("second")))
        await asyncio.sleep(0.05)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert not first.done()
        await first

    asyncio.run(main())
    assert names(path) == {"slow": [1]}


@pytest.mark.parametrize("cancellations", [1, 2, 3])
def test_a_write_under_way_is_settled_before_it_is_cancelled(
    database: SQLiteDatabase, path: Path, cancellations: int
) -> None:
    async def main() -> None:
        started = threading.Event()
        task = asyncio.create_task(database.awrite(held_up(0.2, started)))
        await asyncio.to_thread(started.wait)
        for _ in range(cancellations):
            task.cancel()
            await asyncio.sleep(0.02)
        assert not task.done()
        with pytest.raises(asyncio.CancelledError):
            await task
        with back_door(path) as conn:
            assert conn.execute("SELECT count(*) FROM row").fetchone() == (1,)

    asyncio.run(main())


def test_a_cancelled_write_that_fails_is_only_cancelled(database: SQLiteDatabase) -> None:
    async def main() -> None:
        started = threading.Event()

        def work(conn: Conn) -> None:
            held_up(0.1, started)(conn)
            raise LookupError("refused")

        task = asyncio.create_task(database.awrite(work))
        await asyncio.to_thread(started.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await database.aread(count) == 0

    asyncio.run(main())


def test_a_read_under_way_ends_before_it_is_cancelled(database: SQLiteDatabase) -> None:
    async def main() -> None:
        started, ended = threading.Event(), threading.Event()

        def work(conn: Conn) -> int:
            started.set()
            time.sleep(0.2)
            ended.set()
            return count(conn)

        task = asyncio.create_task(database.aread(work))
        await asyncio.to_thread(started.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()
        assert await database.aread(count) == 0

    asyncio.run(main())


def test_a_timeout_bounds_the_wait_for_a_lock(path: Path, opened: Opened) -> None:
    database = opened(path)

    async def main(conn: Any) -> None:
        conn.execute("BEGIN IMMEDIATE")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await database.awrite(append("late"))
        conn.execute("ROLLBACK")
        assert await database.awrite(append()) == 1

    with back_door(path) as conn:
        asyncio.run(main(conn))
    assert names(path) == {"a": [1]}


def test_after_the_lock_timeout_tasks_are_told_that_the_store_is_busy(
    path: Path, opened: Opened
) -> None:
    database = opened(path, lock_timeout=0.2)

    async def main() -> list[Any]:
        calls = [database.awrite(append()) for _ in range(5)]
        return await asyncio.gather(*calls, return_exceptions=True)

    with back_door(path) as conn:
        conn.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        answers = asyncio.run(main())
        assert time.monotonic() - begun >= 0.2
        conn.execute("ROLLBACK")
    assert {type(answer) for answer in answers} == {StoreBusyError}
    assert all("after 0.2 seconds" in str(answer) for answer in answers)
    assert asyncio.run(database.awrite(append())) == 1


def test_a_storm_of_cancellations_leaves_nothing_half_done(
    database: SQLiteDatabase, path: Path
) -> None:
    acknowledged: list[tuple[str, int]] = []

    async def one(name: str) -> None:
        for _ in range(6):
            acknowledged.append((name, await database.awrite(append(name))))
            await database.aread(count)

    async def main() -> None:
        generator = random.Random(7)
        tasks = [asyncio.create_task(one(f"t{i}")) for i in range(300)]
        while any(not task.done() for task in tasks):
            await asyncio.sleep(generator.uniform(0, 0.002))
            victims = generator.sample(tasks, 20)
            for task in victims:
                task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        # Nothing is lost of what serves them.
        assert await asyncio.gather(*[database.aread(lambda c: 1) for _ in range(20)]) == [1] * 20

    asyncio.run(main())
    held = names(path)
    # Numbers come from the counter row: a half of a write would leave a hole.
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in held.values())
    assert all(n in held[name] for name, n in acknowledged)
    assert len(database._readers.free) == len(database._readers._open)


def test_a_loop_that_dies_harms_nobody(database: SQLiteDatabase, path: Path) -> None:
    loop = asyncio.new_event_loop()
    started = threading.Event()
    task = loop.create_task(database.awrite(held_up(0.2, started)))
    loop.run_until_complete(asyncio.sleep(0.05))
    assert started.wait(5)
    loop.close()
    assert database.write(append()) == 1
    assert names(path) == {"a": [1], "slow": [1]}
    coroutine = task.get_coro()
    assert coroutine is not None
    with contextlib.suppress(RuntimeError):
        coroutine.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_closing_and_using_afterwards(database: SQLiteDatabase, path: Path) -> None:
    async def main() -> None:
        assert await database.awrite(append()) == 1
        await database.aclose()
        await database.aclose()
        with pytest.raises(StoreClosedError):
            await database.awrite(append())
        with pytest.raises(StoreClosedError):
            await database.aread(count)

    before = threading.active_count()
    asyncio.run(main())
    assert threading.active_count() <= before
    assert names(path) == {"a": [1]}


def test_a_read_only_database_refuses_tasks_too(path: Path, opened: Opened) -> None:
    opened(path).close()
    reader = open_database(path, read_only=True)
    with pytest.raises(StoreReadOnlyError):
        asyncio.run(reader.awrite(append()))
    assert asyncio.run(reader.aread(count)) == 0
    reader.close()


def test_threads_go_when_they_are_idle(
    database: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatstore.sql.engine.sqlite.crew._IDLE_SECONDS", 0.05)
    monkeypatch.setattr("chatstore.sql.engine.loops._IDLE_SECONDS", 0.05)
    before = threading.active_count()

    async def main() -> None:
        for n in range(1, 4):
            assert await database.awrite(append()) == n
            assert await database.aread(count) == n
            await asyncio.sleep(0.2)
            assert threading.active_count() == before

    asyncio.run(main())
