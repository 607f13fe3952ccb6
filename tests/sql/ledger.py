"""A small database to run works on: a counter and rows, two statements an append, as in a store.

The back door reads with a connection of its own, so that nothing is tested with itself.
"""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from chatstore.sql.engine import open_database
from chatstore.sql.engine.conn import Conn
from chatstore.sql.engine.sqlite.database import SQLiteDatabase

TEXT = "x" * 680


def ledger(target: Any, **options: Any) -> SQLiteDatabase:
    """A database with the two tables, made if they are missing."""
    database = open_database(target, **options)
    assert isinstance(database, SQLiteDatabase)
    with database.exclusive() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, n INT)"
        )
        connection.exec_driver_sql(
            "CREATE TABLE IF NOT EXISTS row (name TEXT, n INT, body TEXT, PRIMARY KEY (name, n))"
        )
    return database


def append(name: str = "a", body: str = TEXT) -> Callable[[Conn], int]:
    """Work that adds a row, and says which."""

    def work(conn: Conn) -> int:
        (n,) = conn.execute(
            "INSERT INTO counter VALUES (:name, 1) "
            "ON CONFLICT (name) DO UPDATE SET n = n + 1 RETURNING n",
            {"name": name},
        ).fetchone()
        conn.execute(
            "INSERT INTO row VALUES (:name, :n, :body)", {"name": name, "n": n, "body": body}
        )
        return int(n)

    return work


class Sure:
    """Work that promises to refuse nothing, whether it keeps that or not."""

    sure = True

    def __init__(self, work: Callable[[Conn], object]) -> None:
        self._work = work

    def __call__(self, conn: Conn) -> object:
        return self._work(conn)


def refuse(conn: Conn) -> None:
    """Work that writes, then fails."""
    append("refused")(conn)
    raise LookupError("refused")


def count(conn: Conn) -> int:
    """Work that reads."""
    (n,) = conn.execute("SELECT count(*) FROM row").fetchone()
    return int(n)


@contextlib.contextmanager
def back_door(path: Path) -> Iterator[sqlite3.Connection]:
    """A plain connection, closed afterwards."""
    conn = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        yield conn
    finally:
        conn.close()


@contextlib.contextmanager
def traced(database: SQLiteDatabase) -> Iterator[list[str]]:
    """The statements that the writer's connection runs, as words."""
    statements: list[str] = []
    conn = database._writer.open()
    conn.set_trace_callback(lambda sql: statements.append(" ".join(sql.split()[:2])))
    yield statements
    conn.set_trace_callback(None)


@contextlib.contextmanager
def queued(
    database: SQLiteDatabase, works: Sequence[Callable[[Conn], object]]
) -> "Iterator[Answers]":
    """Threads that all wait for the next commit, which comes at the end of the block."""
    answers = Answers()

    def call(index: int) -> None:
        try:
            answers.values[index] = database.write(works[index])
        except BaseException as error:  # noqa: BLE001
            answers.errors[index] = error

    threads = []
    with database._commit.alone():
        for index in range(len(works)):
            threads.append(threading.Thread(target=call, args=(index,)))
            threads[-1].start()
            wait_for(lambda: len(database._commit._queue) == len(threads))
        yield answers
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


class Answers:
    """What each of several calls came to."""

    def __init__(self) -> None:
        self.values: dict[int, object] = {}
        self.errors: dict[int, BaseException] = {}


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.001)


def names(path: Path) -> dict[str, list[int]]:
    """What the file holds, by name, in the order of the numbers."""
    held: dict[str, list[int]] = {}
    with back_door(path) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for name, n in conn.execute("SELECT name, n FROM row ORDER BY name, n"):
            held.setdefault(name, []).append(n)
    return held
