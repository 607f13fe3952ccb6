"""What is done to a whole database: a schema change, a checkpoint, a copy."""

import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from chatstore.errors import ChatStoreError, ConflictError, StoreBusyError
from chatstore.sql.engine.conn import Conn
from chatstore.sql.engine.sqlite.database import SQLiteDatabase
from tests.sql.ledger import append, back_door, count, names

Opened = Callable[..., SQLiteDatabase]


@pytest.mark.parametrize("memory", [False, True])
def test_a_schema_change_is_one_transaction(path: Path, opened: Opened, memory: bool) -> None:
    database = opened("sqlite://" if memory else path)
    database.write(append())

    def fails() -> None:
        with database.exclusive() as connection:
            connection.exec_driver_sql("ALTER TABLE row ADD COLUMN more TEXT")
            connection.exec_driver_sql("DROP TABLE counter")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert database.write(append()) == 2
    columns = database.read(lambda c: c.execute("SELECT * FROM row").fetchone())
    assert len(columns) == 3
    with database.exclusive() as connection:
        connection.execute(sa.text("ALTER TABLE row ADD COLUMN more TEXT"))
    assert len(database.read(lambda c: c.execute("SELECT * FROM row").fetchone())) == 4


@pytest.mark.parametrize("memory", [False, True])
def test_foreign_keys_are_off_in_a_schema_change_only(
    path: Path, opened: Opened, memory: bool
) -> None:
    def keys(conn: Conn) -> int:
        (on,) = conn.execute("PRAGMA foreign_keys").fetchone()
        return int(on)

    database = opened("sqlite://" if memory else path)
    with database.exclusive() as connection:
        # `PRAGMA foreign_keys=OFF` inside a transaction would do nothing.
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 0
        assert connection.in_transaction()
    assert (database.write(keys), database.read(keys)) == (1, 1)


def test_writers_wait_for_a_schema_change(database: SQLiteDatabase) -> None:
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(database.write(append())))
    with database.exclusive():
        thread.start()
        time.sleep(0.1)
        assert answers == []
        assert database.read(count) == 0
    thread.join(5)
    assert answers == [1]


def test_a_schema_change_waits_for_another_process(path: Path, opened: Opened) -> None:
    database = opened(path, lock_timeout=0.2)
    with back_door(path) as conn:
        conn.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError), database.exclusive():
            pytest.fail("it is locked")
        conn.execute("ROLLBACK")
    with database.exclusive() as connection:
        connection.exec_driver_sql("CREATE TABLE more (x)")


def test_a_fault_in_a_schema_change_is_ours(database: SQLiteDatabase) -> None:
    with pytest.raises(ChatStoreError), database.exclusive() as connection:
        connection.exec_driver_sql("CREATE TABLE counter (x)")
    assert database.write(append()) == 1


def test_a_checkpoint_empties_the_log(database: SQLiteDatabase, path: Path) -> None:
    database.write(append())
    log = path.with_name("chat.db-wal")
    assert log.stat().st_size > 0
    assert database.checkpoint()
    assert log.stat().st_size == 0


def test_a_checkpoint_says_when_a_reader_is_in_its_way(path: Path, opened: Opened) -> None:
    database = opened(path, lock_timeout=0.2)
    database.write(append())
    with back_door(path) as conn:
        conn.execute("BEGIN")
        conn.execute("SELECT count(*) FROM row").fetchone()
        database.write(append())
        assert database.checkpoint() is False
        conn.execute("COMMIT")
    assert database.checkpoint() is True


def test_a_snapshot_sees_one_state(database: SQLiteDatabase) -> None:
    database.write(append())

    def twice(conn: Conn) -> tuple[int, int]:
        before = count(conn)
        thread = threading.Thread(target=database.write, args=(append(),))
        thread.start()
        thread.join(5)
        return before, count(conn)

    assert database.read(twice, snapshot=True) == (1, 1)
    assert database.read(twice) == (2, 3)


@pytest.mark.parametrize("memory", [False, True])
def test_a_snapshot_may_be_read_bit_by_bit(path: Path, opened: Opened, memory: bool) -> None:
    database = opened("sqlite://" if memory else path)
    for _ in range(3):
        database.write(append())
    with database.snapshot() as conn:
        rows = iter(conn.execute("SELECT n FROM row ORDER BY n"))
        assert next(rows) == (1,)
        database.write(append())
        assert [n for (n,) in rows] == [2, 3]
        assert count(conn) == 3
    with pytest.raises(ChatStoreError), database.snapshot() as conn:
        conn.execute("SELECT nothing FROM nowhere")
    with pytest.raises(LookupError), database.snapshot() as conn:
        raise LookupError
    assert database.write(append()) == 5
    assert database.checkpoint()


def test_a_read_that_fails_ends_its_snapshot(database: SQLiteDatabase) -> None:
    def fails(conn: Conn) -> None:
        count(conn)
        raise LookupError

    with pytest.raises(LookupError):
        database.read(fails, snapshot=True)
    database.write(append())
    assert database.read(count) == 1
    assert database.checkpoint()


def test_a_copy_is_whole_private_and_leaves_no_other_file(
    database: SQLiteDatabase, path: Path
) -> None:
    stop = threading.Event()

    def go() -> None:
        while not stop.is_set():
            database.write(append())

    thread = threading.Thread(target=go)
    thread.start()
    copies = [path.with_name(f"copy{i}.db") for i in range(5)]
    for copy in copies:
        time.sleep(0.01)
        database.backup(copy)
    stop.set()
    thread.join()
    for copy in copies:
        held = names(copy).get("a", [])
        assert held == list(range(1, len(held) + 1))
        with back_door(copy) as conn:
            assert conn.execute("SELECT n FROM counter").fetchall() == (
                [(len(held),)] if held else []
            )
        if sys.platform != "win32":
            assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert not [p for p in path.parent.iterdir() if p.suffix == ".tmp"]


def test_a_copy_overwrites_only_when_asked(database: SQLiteDatabase, path: Path) -> None:
    target = path.with_name("copy.db")
    target.write_text("precious")
    with pytest.raises(ConflictError, match="exists"):
        database.backup(target)
    assert target.read_text() == "precious"
    database.backup(target, overwrite=True)
    assert names(target) == {}
    with pytest.raises(ConflictError, match="own backup"):
        database.backup(path, overwrite=True)


def test_a_copy_that_fails_leaves_nothing(database: SQLiteDatabase, path: Path) -> None:
    with pytest.raises(ChatStoreError):
        database.backup(path.with_name("nowhere") / "copy.db")
    assert not path.with_name("nowhere").exists()
