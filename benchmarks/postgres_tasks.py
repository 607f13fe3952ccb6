"""How much faster do 64 tasks append to 64 conversations on PostgreSQL than one task to one?

And how near is that to the driver? psycopg's own async connections, as many as a store opens, share
the same tasks out among themselves: the same statement, with payloads that are encoded already.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any

import psycopg

from benchmarks.harness import Answer, at_least, at_most, draft, message
from benchmarks.postgres_server import bench, show
from chatstore import AsyncSQLChatStore
from chatstore.sql.engine.postgres.server import CONNECTIONS
from chatstore.sql.models import GAP
from chatstore.sql.postgres_statements import PostgresStatements

TASKS, EACH = 64, 20


async def crowd(url: str, tasks: int, each: int) -> float:
    """Seconds for one append."""
    said = message()
    async with AsyncSQLChatStore(url) as store:

        async def work(key: str) -> None:
            for _ in range(each):
                await store.add_message(key, said)

        return await timed(work, tasks, each)


async def bare(url: str, tasks: int, each: int) -> float:
    """The same, on the bare driver."""
    statement = PostgresStatements("postgresql", None).append("any", many=False)
    fixed = {"patience": "30000", "namespace": "", "span": GAP, "n": 1, "ttl": None}
    fixed |= {"expires_at": None, **draft()._asdict()}
    free: asyncio.LifoQueue[psycopg.AsyncConnection] = asyncio.LifoQueue()
    async with AsyncExitStack() as stack:
        for _ in range(CONNECTIONS):
            conn = await psycopg.AsyncConnection.connect(url, autocommit=True)
            free.put_nowait(await stack.enter_async_context(conn))

        async def work(key: str) -> None:
            for _ in range(each):
                conn = await free.get()
                now = time.time_ns() // 1000
                cursor = await conn.execute(statement, {**fixed, "key": key, "now": now})
                await cursor.fetchone()
                free.put_nowait(conn)

        return await timed(work, tasks, each)


async def timed(work: Callable[[str], Coroutine[Any, Any, None]], tasks: int, each: int) -> float:
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
            lambda: asyncio.run(crowd(url, 1, 150)),
            rounds=9,
        )
        yield at_most(
            f"PostgreSQL: {TASKS} tasks, beside {CONNECTIONS} of psycopg's AsyncConnection",
            1,
            lambda: asyncio.run(crowd(url, TASKS, EACH)),
            lambda: asyncio.run(bare(url, TASKS, EACH)),
            rounds=9,
        )


if __name__ == "__main__":
    show(answers)
