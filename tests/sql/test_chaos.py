"""Threads and tasks that stumble at every line of the rooms where they meet.

The windows between two steps are a few nanoseconds wide. Here a trace function sleeps in them now
and then, which widens them until the tests of an hour happen in seconds.
"""

import asyncio
import contextlib
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatstore.sql.engine import loops, op, pool
from chatstore.sql.engine.sqlite import batch, commit, crew, writer
from chatstore.sql.engine.sqlite.database import SQLiteDatabase
from tests.sql.ledger import append, count, refuse

Opened = Callable[..., SQLiteDatabase]
ROOMS = frozenset(room.__file__ for room in (batch, commit, crew, loops, op, pool, writer))


@contextlib.contextmanager
def stumbling(generator: random.Random) -> Iterator[None]:
    """Threads that start in the block lose their turn at random lines."""

    def trace(frame: Any, event: str, argument: object) -> Any:
        if frame.f_code.co_filename not in ROOMS:
            return None
        if event == "line" and generator.random() < 0.08:
            time.sleep(generator.choice((0, 0, 0.00005, 0.0005)))
        return trace

    before = threading.gettrace()
    threading.settrace(trace)
    yield
    threading.settrace(before)


class Chaos:
    """Four threads and two loops of four tasks that write, fail, cancel, lead alone and read."""

    def __init__(self, database: SQLiteDatabase, seed: int, seconds: float) -> None:
        self.database = database
        self.generator = random.Random(seed)
        self.end = time.monotonic() + seconds
        self.told: dict[str, list[int]] = {}
        self.failures: list[BaseException] = []

    def run(self) -> None:
        names = [(self.thread, f"thread{i}") for i in range(4)]
        names += [(self.loop, f"loop{i}") for i in range(2)]
        with stumbling(self.generator):
            threads = [threading.Thread(target=self.guard, args=each) for each in names]
            for thread in threads:
                thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "a thread waits for ever"

    def guard(self, what: Callable[[str], None], name: str) -> None:
        try:
            what(name)
        except BaseException as error:  # noqa: BLE001
            self.failures.append(error)

    def thread(self, name: str) -> None:
        mine = self.told.setdefault(name, [])
        while time.monotonic() < self.end:
            dice = self.generator.random()
            if dice < 0.1:
                with contextlib.suppress(LookupError):
                    self.database.write(refuse)
            elif dice < 0.15:
                with self.database._commit.alone():
                    pass
            elif dice < 0.3:
                self.database.read(count)
            mine.append(self.database.write(append(name, "")))

    def loop(self, name: str) -> None:
        async def task(name: str) -> None:
            mine = self.told.setdefault(name, [])
            while time.monotonic() < self.end:
                write = asyncio.ensure_future(self.database.awrite(append(name, "")))
                if self.generator.random() < 0.2:
                    await asyncio.sleep(self.generator.choice((0, 0.0005)))
                    write.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    mine.append(await write)
                await self.database.aread(count)

        async def tasks() -> None:
            await asyncio.gather(*[task(f"{name}.task{i}") for i in range(4)])

        asyncio.run(tasks())


@pytest.mark.skipif(sys.gettrace() is not None, reason="something else traces")
@pytest.mark.parametrize("seconds", [1, pytest.param(20, marks=pytest.mark.torture)])
@pytest.mark.parametrize("memory", [True, False])
def test_nothing_is_lost_or_left_waiting(
    path: Path, opened: Opened, memory: bool, seconds: float
) -> None:
    database = opened("sqlite://" if memory else path, durability="normal")
    chaos = Chaos(database, seed=1, seconds=seconds)
    chaos.run()
    assert chaos.failures == []
    held: dict[str, list[int]] = {}
    rows = database.read(lambda c: c.execute("SELECT name, n FROM row ORDER BY n").fetchall())
    for name, n in rows:
        held.setdefault(name, []).append(n)
    assert len(rows) > 100
    for name, numbers in chaos.told.items():
        stored = held.get(name, [])
        assert stored == list(range(1, len(stored) + 1))
        if name.startswith("thread"):
            assert numbers == stored
        else:
            # A cancelled write may have been stored, and is not in `told`.
            assert None not in numbers
            assert set(numbers) <= set(stored)
