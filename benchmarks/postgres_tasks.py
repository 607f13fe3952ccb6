"""How much faster do 64 tasks append to 64 conversations on PostgreSQL than one task to one?"""

import asyncio
import time
from collections.abc import Iterator

from benchmarks.harness import Answer, at_least, message
from benchmarks.postgres_server import bench, show
from chatstore import AsyncSQLChatStore

TASKS, EACH = 64, 12


async def crowd(url: str, tasks: int, each: int) -> float:
    """Seconds for one append."""
    said = message()
    async with AsyncSQLChatStore(url) as store:

        async def work(key: str) -> None:
            for _ in range(each):
                await store.add_message(key, said)

        await asyncio.gather(*(work(f"warm {n}") for n in range(tasks)))
        start = time.perf_counter()
        await asyncio.gather(*(work(f"k{n}") for n in range(tasks)))
        return (time.perf_counter() - start) / (tasks * each)


def answers() -> Iterator[Answer]:
    with bench() as (url, _conn, _store):
        yield at_least(
            f"PostgreSQL: {TASKS} tasks on {TASKS} conversations, beside one task",
            3,
            lambda: asyncio.run(crowd(url, TASKS, EACH)),
            lambda: asyncio.run(crowd(url, 1, 100)),
            rounds=7,
        )


if __name__ == "__main__":
    show(answers)
