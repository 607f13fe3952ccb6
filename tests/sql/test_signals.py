"""A handler of a signal that calls the store, wherever it strikes: never a wait without end."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatstore.sql.engine import op, pool
from chatstore.sql.engine.sqlite import batch, commit, writer
from chatstore.sql.engine.sqlite.database import SQLiteDatabase
from tests.sql.ledger import append, count

Opened = Callable[..., SQLiteDatabase]
ROOMS = frozenset(room.__file__ for room in (batch, commit, op, pool, writer))


@contextlib.contextmanager
def struck(at: int, handler: Callable[[], None], database: SQLiteDatabase) -> Iterator[list[int]]:
    """Before the line of that number, counted from 1, this thread runs the handler."""
    seen = [0]

    def trace(frame: Any, event: str, argument: object) -> Any:
        if frame.f_code.co_filename not in ROOMS:
            return None
        # A signal comes after a call and on a backward jump, of which none is under the mutexes.
        if event == "line" and not database._commit._mutex.locked():
            seen[0] += 1
            if seen[0] == at:
                handler()
        return trace

    sys.settrace(trace)
    try:
        yield seen
    finally:
        sys.settrace(None)


def write_in_every_line(database: SQLiteDatabase, told: list[str]) -> None:
    def handler() -> None:
        try:
            database.write(append("handler"))
            told.append("stored")
        except RuntimeError:
            told.append("refused")

    at = 0
    while len(told) == at:
        at += 1
        with struck(at, handler, database):
            database.write(append())


@pytest.mark.skipif(sys.gettrace() is not None, reason="something else traces")
@pytest.mark.parametrize("memory", [True, False])
def test_a_handler_in_a_write_is_served_or_refused(
    path: Path, opened: Opened, memory: bool
) -> None:
    database = opened("sqlite://" if memory else path, durability="normal")
    told: list[str] = []
    thread = threading.Thread(target=write_in_every_line, args=(database, told), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "a call waits for itself"
    assert "refused" in told
    # Each write is there, and each of the handler's that was told so.
    lines = len(told)
    assert lines > 20
    assert database.read(count) == lines + 1 + told.count("stored")


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="timers")
def test_a_handler_while_its_thread_waits_is_refused(database: SQLiteDatabase) -> None:
    begun, go_on, told = threading.Event(), threading.Event(), []

    def slow(conn: Any) -> object:
        begun.set()
        go_on.wait(10)
        return append("slow")(conn)

    def handler(*_: object) -> None:
        with pytest.raises(RuntimeError, match="inside a write"):
            database.write(append("handler"))
        told.append(database.read(count))
        go_on.set()

    leader = threading.Thread(target=database.write, args=(slow,))
    before = signal.signal(signal.SIGALRM, handler)
    try:
        leader.start()
        assert begun.wait(10)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert database.write(append()) == 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        go_on.set()
        leader.join()
    assert told == [0]
    assert database.read(count) == 2
