"""Each thing that goes wrong is one error of ours, with the remedy and without the data."""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from chatstore.errors import (
    ChatStoreError,
    ConflictError,
    InvalidMessageError,
    StoreBusyError,
    StoreCorruptError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from chatstore.sql.engine import faults, open_database
from chatstore.sql.engine.conn import Conn
from chatstore.sql.engine.sqlite.database import SQLiteDatabase
from tests.sql.ledger import append, back_door, count

Opened = Callable[..., SQLiteDatabase]
SECRET = "what nobody may read in a log"


def fault(code: str, text: str = SECRET) -> sqlite3.Error:
    error = sqlite3.OperationalError(text)
    if code:
        error.sqlite_errorname = code
    return error


@pytest.mark.parametrize(
    ("code", "kind", "remedy"),
    [
        ("SQLITE_BUSY", StoreBusyError, "lock_timeout"),
        ("SQLITE_BUSY_SNAPSHOT", StoreBusyError, "lock_timeout"),
        ("SQLITE_LOCKED", StoreBusyError, "lock_timeout"),
        ("SQLITE_PROTOCOL", StoreBusyError, "lock_timeout"),
        ("SQLITE_FULL", StoreFullError, "Free some space"),
        ("SQLITE_READONLY", StoreReadOnlyError, "permission"),
        ("SQLITE_READONLY_DIRECTORY", StoreReadOnlyError, "permission"),
        ("SQLITE_CORRUPT", StoreCorruptError, "chatstore check"),
        ("SQLITE_CORRUPT_INDEX", StoreCorruptError, "chatstore check"),
        ("SQLITE_NOTADB", StoreCorruptError, "chatstore check"),
        ("SQLITE_IOERR_FSYNC", StoreUnavailableError, "Check the disk"),
        ("SQLITE_CANTOPEN", StoreUnavailableError, "Check the path"),
        ("SQLITE_CONSTRAINT_UNIQUE", ConflictError, "chatstore check"),
        ("SQLITE_TOOBIG", InvalidMessageError, "in parts"),
        ("SQLITE_ERROR", ChatStoreError, "chatstore check"),
        ("", ChatStoreError, "chatstore check"),
    ],
)
def test_every_code_is_an_error_with_its_remedy(
    code: str, kind: type[ChatStoreError], remedy: str
) -> None:
    error = faults.from_sqlite(fault(code), "chat.db", None)
    assert type(error) is kind
    assert str(error).startswith("chat.db: ")
    assert remedy in str(error)
    assert (code or "OperationalError") in str(error)
    assert SECRET not in str(error)


def test_a_driver_without_codes_is_told_by_its_text() -> None:
    error = faults.from_sqlite(fault("", "database is locked"), "chat.db", None)
    assert isinstance(error, StoreBusyError)


def test_an_io_error_on_a_full_disk_is_a_full_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 4096})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    assert isinstance(faults.from_sqlite(fault("SQLITE_IOERR_SHMSIZE"), "x", path), StoreFullError)


class FromPostgresError(Exception):
    def __init__(self, state: str) -> None:
        super().__init__(f'DETAIL: Key (key)=("{SECRET}") already exists')
        self.sqlstate = state


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("53100", StoreFullError),
        ("53300", StoreUnavailableError),
        ("40001", StoreBusyError),
        ("40P01", StoreBusyError),
        ("55P03", StoreBusyError),
        ("57014", StoreBusyError),
        ("57P01", StoreUnavailableError),
        ("08006", StoreUnavailableError),
        ("28P01", StoreUnavailableError),
        ("3D000", StoreUnavailableError),
        ("25006", StoreReadOnlyError),
        ("42501", StoreReadOnlyError),
        ("23505", ConflictError),
        ("22021", InvalidMessageError),
        ("54000", InvalidMessageError),
        ("XX001", StoreCorruptError),
        ("42P01", ChatStoreError),
    ],
)
def test_sqlstates(state: str, kind: type[ChatStoreError]) -> None:
    error = faults.from_postgres(FromPostgresError(state), "postgresql://u:***@h/d")
    assert type(error) is kind
    assert state in str(error)
    assert SECRET not in str(error)


def test_an_error_shows_no_data_and_no_driver_behind_it(database: SQLiteDatabase) -> None:
    def twice(conn: Conn) -> None:
        for _ in range(2):
            conn.execute("INSERT INTO row VALUES (:name, 1, :body)", {"name": "a", "body": SECRET})

    with pytest.raises(ConflictError) as caught:
        database.write(twice)
    assert SECRET not in str(caught.value)
    # A traceback shows a cause or an unsuppressed context with the driver's own text.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_text_file_is_no_database(path: Path) -> None:
    path.write_text("this is a letter, not a database\n" * 100)
    before = path.read_bytes()
    database = open_database(path)
    with pytest.raises(StoreCorruptError, match="not a database"):
        database.read(count)
    with pytest.raises(StoreCorruptError), database.exclusive():
        pass
    database.close()
    assert path.read_bytes() == before


def test_after_damage_was_seen_nothing_more_is_written(path: Path, opened: Opened) -> None:
    database = opened(path)
    for _ in range(50):
        database.write(append())
    database.close()
    with back_door(path) as conn:
        (root,) = conn.execute("SELECT rootpage FROM sqlite_master WHERE name = 'row'").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * 8192)
        file.write(b"\x00" * 8192)
    again = open_database(path)
    with pytest.raises(StoreCorruptError, match="damaged"):
        again.read(lambda conn: conn.execute("SELECT body FROM row").fetchall())
    broken = path.read_bytes()
    with pytest.raises(StoreCorruptError, match="writing has stopped"):
        again.write(lambda conn: conn.execute("INSERT INTO counter VALUES ('b', 1)"))
    again.close()
    assert path.read_bytes() == broken


def test_a_locked_file_is_busy_for_readers_of_a_rollback_journal(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatstore.sql.engine.sqlite.connector._BUSY_MS", 50)
    with back_door(path) as conn:
        conn.execute("CREATE TABLE row (x)")
        conn.execute("BEGIN EXCLUSIVE")
        database = open_database(path)
        with pytest.raises(StoreBusyError, match="locked"):
            database.read(count)
        database.close()


def test_readers_wait_for_a_connection_and_then_are_told(path: Path, opened: Opened) -> None:
    database = opened(path, lock_timeout=0.1)
    ready, go_on = threading.Barrier(9), threading.Event()

    def work(conn: Conn) -> None:
        ready.wait(5)
        go_on.wait(5)

    threads = [threading.Thread(target=database.read, args=(work,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    ready.wait(5)
    with pytest.raises(StoreBusyError, match="all 8 connections"):
        database.read(count)
    go_on.set()
    assert database.read(count) == 0
    for thread in threads:
        thread.join(5)


def test_names_of_hosts_and_users_stay_but_passwords_do_not() -> None:
    with pytest.raises(ValueError, match="no database URL") as caught:
        open_database("postgresql//user:secret@host")
    assert "secret" not in str(caught.value)
