"""How many durable appends a second do many threads, or many tasks, get from one file?

Beside them: a connection for each thread, one connection under a lock, and aiosqlite.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import aiosqlite

from benchmarks.harness import (
    SQL,
    Answer,
    at_least,
    at_most,
    draft,
    folder,
    message,
    raw,
    raw_append,
    raw_statements,
    seconds,
)
from chatstore import open_async_store, open_store
from chatstore.sql.models import GAP


def answers() -> Iterator[Answer]:
    with folder() as here:
        for name in ("ours.db", "raw.db"):
            open_store(here / name).close()
        ours, theirs = here / "ours.db", here / "raw.db"
        yield at_least(
            "8 threads, FULL, beside a connection per thread",
            5,
            lambda: store_threads(ours, 8, 400),
            lambda: connection_each(theirs, 8, 40),
        )
        yield at_least(
            "32 threads, FULL, beside one connection under a lock",
            12,
            lambda: store_threads(ours, 32, 200),
            lambda: one_connection(theirs, 32, 20),
        )
        yield at_least(
            "the driver, 32 appends a transaction, beside one connection",
            12,
            lambda: in_one_transaction(theirs, 32, 200),
            lambda: one_connection(theirs, 32, 20),
        )
        yield at_least(
            "50 tasks, FULL, beside aiosqlite",
            10,
            lambda: asyncio.run(store_tasks(ours, 50, 80)),
            lambda: asyncio.run(_aiosqlite_tasks(theirs, 50, 8)),
        )
        said, encoded = message(), draft()
        with open_store(ours) as store, closing(raw(theirs)) as conn:
            yield at_most(
                "alone, FULL, beside one connection",
                1.15,
                lambda: seconds(lambda: store.add_message("k", said), 500),
                lambda: seconds(lambda: raw_append(conn, "k", encoded), 500),
            )


def _threads(count: int, each: int, work: Callable[[int], None]) -> float:
    """Seconds for one append, of all that the threads did."""
    gate = threading.Barrier(count + 1)

    def run(me: int) -> None:
        gate.wait()
        for _ in range(each):
            work(me)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    gate.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - start) / (count * each)


def store_threads(path: Path, count: int, each: int) -> float:
    """Seconds for an append by threads that share a store."""
    said = message()
    with open_store(path) as store:
        return _threads(count, each, lambda me: store.add_message(f"k{me}", said))


def connection_each(path: Path, count: int, each: int) -> float:
    """… by threads with a connection each."""
    encoded = draft()
    conns = [raw(path) for _ in range(count)]
    took = _threads(count, each, lambda me: raw_append(conns[me], f"k{me}", encoded))
    for conn in conns:
        conn.close()
    return took


def one_connection(path: Path, count: int, each: int) -> float:
    """… by threads that share a connection."""
    encoded, mutex = draft(), threading.Lock()
    with closing(raw(path)) as conn:

        def work(me: int) -> None:
            with mutex:
                raw_append(conn, f"k{me}", encoded)

        return _threads(count, each, work)


def in_one_transaction(path: Path, count: int, times: int) -> float:
    """… by the bare driver in one thread, with one flush for so many: nobody can do it faster."""
    encoded = draft()
    with closing(raw(path)) as conn:

        def batch() -> None:
            conn.execute("BEGIN IMMEDIATE")
            for me in range(count):
                raw_statements(conn, f"k{me}", encoded)
            conn.execute("COMMIT")

        return seconds(batch, times) / count


async def store_tasks(path: Path, count: int, each: int) -> float:
    """… by tasks that share a store."""
    said = message()
    async with open_async_store(path) as store:

        async def work(me: int) -> None:
            for _ in range(each):
                await store.add_message(f"k{me}", said)

        start = time.perf_counter()
        await asyncio.gather(*map(work, range(count)))
        return (time.perf_counter() - start) / (count * each)


async def _aiosqlite_tasks(path: Path, count: int, each: int) -> float:
    encoded, mutex = draft(), asyncio.Lock()
    async with aiosqlite.connect(path, isolation_level=None) as conn:
        for pragma in ("journal_mode=WAL", "synchronous=full"):
            await conn.execute(f"PRAGMA {pragma}")

        async def work(me: int) -> None:
            for _ in range(each):
                async with mutex:
                    await _append(conn, f"k{me}")

        async def _append(conn: aiosqlite.Connection, key: str) -> None:
            await conn.execute("BEGIN IMMEDIATE")
            values = {"namespace": "", "key": key, "span": GAP, "n": 1, "now": 1}
            for sql in (SQL.grow, SQL.allocate):  # the second one for the first append
                cursor = await conn.execute(sql, values | {"ttl": None, "expires_at": None})
                if row := await cursor.fetchone():
                    break
            assert row is not None
            await conn.execute(SQL.add_message, (row[0], row[1] - GAP, row[2], *encoded))
            await conn.execute("COMMIT")

        start = time.perf_counter()
        await asyncio.gather(*map(work, range(count)))
        return (time.perf_counter() - start) / (count * each)
