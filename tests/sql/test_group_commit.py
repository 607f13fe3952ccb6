"""Writers share commits: who leads, who is told what, and what an interruption does."""

import contextlib
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chatstore.errors import (
    ConflictError,
    StoreBusyError,
    StoreClosedError,
    StoreFullError,
)
from chatstore.sql.engine.conn import Conn
from chatstore.sql.engine.op import Op
from chatstore.sql.engine.sqlite import batch, commit
from chatstore.sql.engine.sqlite.database import SQLiteDatabase
from tests.sql.ledger import (
    Sure,
    append,
    back_door,
    count,
    names,
    queued,
    refuse,
    traced,
    wait_for,
)

Opened = Callable[..., SQLiteDatabase]


def test_a_caller_alone_pays_for_its_own_statements_only(database: SQLiteDatabase) -> None:
    with traced(database) as statements:
        assert database.write(append()) == 1
    assert statements == ["BEGIN IMMEDIATE", "INSERT INTO", "INSERT INTO", "COMMIT"]


def test_a_caller_alone_that_fails_changes_nothing(database: SQLiteDatabase) -> None:
    with pytest.raises(LookupError, match="refused"):
        database.write(refuse)
    assert database.read(count) == 0
    assert database.write(append()) == 1


def test_all_who_queue_share_one_commit(database: SQLiteDatabase, path: Path) -> None:
    with traced(database) as statements:
        with queued(database, [append(f"t{i}") for i in range(9)]) as answers:
            pass
        assert statements.count("COMMIT") == 1
        assert statements.count("BEGIN IMMEDIATE") == 1
    assert answers.values == dict.fromkeys(range(9), 1)
    assert names(path) == {f"t{i}": [1] for i in range(9)}


def test_they_are_served_in_the_order_in_which_they_came(database: SQLiteDatabase) -> None:
    with queued(database, [append() for _ in range(9)]) as answers:
        pass
    assert answers.values == {i: i + 1 for i in range(9)}


def test_one_that_fails_in_a_shared_commit_fails_alone(
    database: SQLiteDatabase, path: Path
) -> None:
    def twice(conn: Conn) -> None:
        append("c")(conn)
        conn.execute("INSERT INTO row VALUES ('c', 1, '')")

    works = [append("a"), refuse, append("a"), twice, append("a")]
    with queued(database, works) as answers:
        pass
    assert answers.values == {0: 1, 2: 2, 4: 3}
    assert isinstance(answers.errors[1], LookupError)
    assert isinstance(answers.errors[3], ConflictError)
    assert names(path) == {"a": [1, 2, 3]}


def test_those_who_cannot_refuse_need_no_savepoint(database: SQLiteDatabase, path: Path) -> None:
    with traced(database) as statements:
        with queued(database, [Sure(append("a")) for _ in range(3)]) as answers:
            pass
        assert statements == ["BEGIN IMMEDIATE", *["INSERT INTO"] * 6, "COMMIT"]
    assert answers.values == {0: 1, 1: 2, 2: 3}
    assert names(path) == {"a": [1, 2, 3]}


def test_one_that_should_not_have_failed_fails_alone_too(
    database: SQLiteDatabase, path: Path
) -> None:
    with queued(database, [Sure(work) for work in (append("a"), refuse, append("a"))]) as answers:
        pass
    assert answers.values == {0: 1, 2: 2}
    assert isinstance(answers.errors[1], LookupError)
    assert names(path) == {"a": [1, 2]}


def test_who_comes_while_the_leader_works_shares_its_commit(
    database: SQLiteDatabase, path: Path
) -> None:
    def fails() -> None:
        with pytest.raises(LookupError):
            database.write(refuse)

    late = [
        threading.Thread(target=database.write, args=(append(),)),
        threading.Thread(target=fails),
    ]

    def waits(conn: Conn) -> int:
        for thread in late:
            thread.start()
        wait_for(lambda: len(database._commit._queue) == len(late))
        return append()(conn)

    with traced(database) as statements:
        assert database.write(waits) in (1, 2)
        for thread in late:
            thread.join(10)
        assert statements.count("BEGIN IMMEDIATE") == statements.count("COMMIT") == 1
        # None for the first, who was alone until then.
        assert statements.count("SAVEPOINT op") == 2
    assert names(path) == {"a": [1, 2]}


def test_after_a_crowd_the_next_leader_waits_for_it_a_little(
    database: SQLiteDatabase, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "LINGER", 10.0)
    batches = database._commit._batches
    began = threading.Event()

    def first(conn: Conn) -> int:
        began.set()
        return append()(conn)

    batches._crowd, batches._flush = 2, 20.0
    with traced(database) as statements:
        leader = threading.Thread(target=database.write, args=(first,))
        leader.start()
        assert began.wait(10)
        time.sleep(0.05)
        assert database.write(append()) == 2
        leader.join(30)
        assert statements.count("COMMIT") == 1
        # Half of a flush at most, and ever less: nobody waits for those who are gone.
        batches._flush = 0.0
        assert [database.write(append()) for _ in range(2)] == [3, 4]
        assert batches._crowd == 1
        batches._flush = 1e9
        assert database.write(append()) == 5
    assert names(path) == {"a": list(range(1, 6))}


def test_nobody_is_told_stored_before_the_commit(database: SQLiteDatabase, path: Path) -> None:
    real = database._writer.commit
    told: list[object] = []

    def slow(conn: sqlite3.Connection) -> None:
        time.sleep(0.1)
        told.extend(answers.values)
        real(conn)

    database._writer.commit = slow  # type: ignore[method-assign]
    with queued(database, [append("a"), append("b")]) as answers:
        pass
    assert told == []
    assert answers.values == {0: 1, 1: 1}
    assert names(path) == {"a": [1], "b": [1]}


def test_a_commit_that_fails_fails_all_and_tells_each_its_own_error(
    database: SQLiteDatabase, path: Path
) -> None:
    def full(conn: sqlite3.Connection) -> None:
        conn.execute("ROLLBACK")
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorname = "SQLITE_FULL"
        raise error

    real, database._writer.commit = database._writer.commit, full  # type: ignore[method-assign]
    with queued(database, [append("a"), refuse, append("b")]) as answers:
        pass
    assert not answers.values
    kinds = [type(answers.errors[i]) for i in range(3)]
    assert kinds == [StoreFullError, LookupError, StoreFullError]
    assert answers.errors[0] is not answers.errors[2]
    database._writer.commit = real  # type: ignore[method-assign]
    assert database.write(append("c")) == 1
    assert names(path) == {"c": [1]}


def test_when_sqlite_rolls_back_everything_the_others_are_run_again(
    database: SQLiteDatabase, path: Path
) -> None:
    def hogs(conn: Conn) -> None:
        # A full file rolls back no more than the statement; a program may lose all of it.
        append("hog")(conn)
        conn.execute("ROLLBACK")
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = "SQLITE_FULL"
        raise error

    with queued(database, [append("a"), hogs, append("b")]) as answers:
        pass
    assert answers.values == {0: 1, 2: 1}
    assert isinstance(answers.errors[1], StoreFullError)
    assert names(path) == {"a": [1], "b": [1]}


def test_a_really_full_file(path: Path, opened: Opened) -> None:
    database = opened(path)
    database.write(append())
    pages = database._writer.open().execute("PRAGMA page_count").fetchone()[0]
    database._writer.open().execute(f"PRAGMA max_page_count={pages + 2}").fetchall()
    big = append("big", "x" * 100_000)
    with queued(database, [append("a"), big, append("b")]) as answers:
        pass
    assert answers.values == {0: 2, 2: 1}
    assert isinstance(answers.errors[1], StoreFullError)
    with pytest.raises(StoreFullError, match="Free some space"):
        database.write(big)
    assert database.read(count) == 3
    database._writer.open().execute("PRAGMA max_page_count=1000000").fetchall()
    assert database.write(big) == 1
    assert names(path) == {"a": [1, 2], "b": [1], "big": [1]}


def test_a_deferred_constraint_fails_only_whom_it_concerns(path: Path, opened: Opened) -> None:
    database = opened(path)
    with database.exclusive() as connection:
        connection.exec_driver_sql("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        connection.exec_driver_sql(
            "CREATE TABLE child (id INT REFERENCES parent DEFERRABLE INITIALLY DEFERRED)"
        )

    def orphan(conn: Conn) -> None:
        conn.execute("INSERT INTO child VALUES (7)")

    with queued(database, [append("a"), orphan, append("b")]) as answers:
        pass
    assert answers.values == {0: 1, 2: 1}
    assert isinstance(answers.errors[1], ConflictError)
    assert names(path) == {"a": [1], "b": [1]}


def test_who_finds_the_lead_free_after_all_is_served_too(
    database: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    led, go_on = threading.Event(), threading.Event()

    def lead() -> None:
        with database._commit.alone():
            led.set()
            go_on.wait(10)

    leader = threading.Thread(target=lead)
    leader.start()
    assert led.wait(10)
    real = Op.expect_to_wait

    def just_then(op: Op) -> None:
        # Between seeing that somebody leads and queueing, that one stops leading.
        real(op)
        go_on.set()
        leader.join(10)

    monkeypatch.setattr(Op, "expect_to_wait", just_then)
    assert database.write(append()) == 1
    assert database.read(count) == 1


def test_closing_inside_a_write_is_refused_and_harms_nobody(database: SQLiteDatabase) -> None:
    with pytest.raises(RuntimeError, match="inside a write"):
        database.write(lambda conn: database.close())
    with queued(database, [append(), append()]) as answers:
        pass
    assert answers.values == {0: 1, 1: 2}


def test_a_batch_is_bounded(database: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "MAX_BATCH", 4)
    with traced(database) as statements:
        with queued(database, [append() for _ in range(10)]) as answers:
            pass
        assert statements.count("COMMIT") == 3
    assert answers.values == {i: i + 1 for i in range(10)}


@pytest.mark.parametrize("threads", [8, 32])
def test_many_threads_keep_order_and_lose_nothing(
    database: SQLiteDatabase, path: Path, threads: int
) -> None:
    seen: dict[int, list[int]] = {i: [] for i in range(threads)}

    def go(index: int) -> None:
        for _ in range(25):
            if index % 4 == 0:
                with contextlib.suppress(LookupError):
                    database.write(refuse)
            seen[index].append(database.write(append()))

    running = [threading.Thread(target=go, args=(i,)) for i in range(threads)]
    with traced(database) as statements:
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    assert all(mine == sorted(mine) for mine in seen.values())
    assert sorted(n for mine in seen.values() for n in mine) == list(range(1, threads * 25 + 1))
    assert names(path) == {"a": list(range(1, threads * 25 + 1))}
    assert statements.count("COMMIT") < threads * 25


def test_threads_that_are_switched_all_the_time(opened: Opened) -> None:
    # In memory, where the races between leading and queueing are not hidden behind a disk.
    database = opened("sqlite://")
    told: dict[int, list[int]] = {i: [] for i in range(6)}

    def go(index: int) -> None:
        work = append(body="")
        for _ in range(300):
            told[index].append(database.write(work))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=go, args=(i,)) for i in told]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
    finally:
        sys.setswitchinterval(interval)
    assert sorted(n for mine in told.values() for n in mine) == list(range(1, 1801))
    assert database.read(count) == 1800


def test_a_write_inside_a_write_is_refused_and_harms_nobody(database: SQLiteDatabase) -> None:
    def nested(conn: Conn) -> None:
        append("outer")(conn)
        database.write(append("inner"))

    with pytest.raises(RuntimeError, match="inside a write"):
        database.write(nested)
    assert database.read(count) == 0
    assert database.write(append()) == 1


def test_another_process_may_hold_the_lock_for_a_while(path: Path, opened: Opened) -> None:
    database = opened(path)
    with back_door(path) as conn:
        conn.execute("BEGIN IMMEDIATE")
        answers: list[int] = []
        writer = threading.Thread(target=lambda: answers.append(database.write(append())))
        writer.start()
        time.sleep(0.2)
        assert not answers
        conn.execute("COMMIT")
        writer.join(5)
    assert answers == [1]


def test_after_the_lock_timeout_the_store_is_busy(path: Path, opened: Opened) -> None:
    database = opened(path, lock_timeout=0.2)
    with back_door(path) as conn:
        conn.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        with queued(database, [append("a"), append("b"), append("c")]) as answers:
            pass
        assert time.monotonic() - begun >= 0.2
        conn.execute("ROLLBACK")
    assert {type(error) for error in answers.errors.values()} == {StoreBusyError}
    assert all("after 0.2 seconds" in str(error) for error in answers.errors.values())
    assert database.write(append()) == 1


def test_closing_serves_who_waits_and_refuses_who_comes_later(
    database: SQLiteDatabase, path: Path
) -> None:
    with queued(database, [append("a"), append("b")]) as answers:
        closer = threading.Thread(target=database.close)
        closer.start()
        wait_for(lambda: database._commit._closing)
        with pytest.raises(RuntimeError):
            database.write(append("leads here"))
        late: list[BaseException] = []

        def comes_late() -> None:
            try:
                database.write(append("late"))
            except StoreClosedError as error:
                late.append(error)

        latecomer = threading.Thread(target=comes_late)
        latecomer.start()
        latecomer.join(5)
        assert late
    closer.join(10)
    assert not closer.is_alive()
    assert answers.values == {0: 1, 1: 1}
    assert names(path) == {"a": [1], "b": [1]}
    for _ in range(2):
        database.close()
    with pytest.raises(StoreClosedError, match="open_store"):
        database.write(append())
    with pytest.raises(StoreClosedError, match="open_store"):
        database.read(count)
    with pytest.raises(StoreClosedError), database.exclusive():
        pass


INTERRUPTIONS = """
    import os, random, signal, sys, threading, time
    from pathlib import Path
    from tests.sql.ledger import append, ledger

    database = ledger(Path(sys.argv[1]), durability="normal")
    stop = threading.Event()
    stored = {name: [] for name in ("main", "a", "b", "c")}

    def go(name):
        work = append(name)
        while not stop.is_set():
            stored[name].append(database.write(work))

    def disturb():
        generator = random.Random(int(sys.argv[2]))
        for _ in range(int(sys.argv[3])):
            time.sleep(generator.uniform(0.0001, 0.001))
            os.kill(os.getpid(), signal.SIGINT)
        stop.set()

    armed = False
    def on_signal(number, frame):
        global armed
        if armed:
            armed = False  # or a second signal could strike where the first is being dealt with
            raise KeyboardInterrupt
    signal.signal(signal.SIGINT, on_signal)

    threads = [threading.Thread(target=go, args=(name,)) for name in "abc"]
    disturber = threading.Thread(target=disturb)
    for thread in [*threads, disturber]:
        thread.start()
    interrupted = 0
    work = append("main")
    while not stop.is_set():
        try:
            armed = True
            number = database.write(work)
            armed = False
            stored["main"].append(number)
        except KeyboardInterrupt:
            armed = False
            interrupted += 1
    for thread in [*threads, disturber]:
        thread.join(20)
        if thread.is_alive():
            import faulthandler
            faulthandler.dump_traceback()
            os._exit(3)
    database.close()
    print({name: (len(numbers), len(set(numbers))) for name, numbers in stored.items()}, flush=True)
    print(interrupted, *(" ".join(map(str, stored[name])) for name in stored), sep="\\n")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals between threads")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_interrupted_thread_loses_neither_the_lead_nor_the_others(path: Path, seed: int) -> None:
    script = textwrap.dedent(INTERRUPTIONS)
    run = subprocess.run(
        [sys.executable, "-c", script, str(path), str(seed), "400"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    assert run.returncode == 0, run.stderr
    _, interrupted, *lines = run.stdout.splitlines()
    assert int(interrupted) > 50
    held = names(path)
    for name, line in zip(("main", "a", "b", "c"), lines, strict=True):
        acknowledged = [int(n) for n in line.split()]
        assert acknowledged == sorted(set(acknowledged))
        if name == "main":
            # What was interrupted may have been stored or not; what was acknowledged was.
            assert set(acknowledged) <= set(held[name])
        else:
            assert acknowledged == held[name]
