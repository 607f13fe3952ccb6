"""Databases in memory, and on the engine of a host application."""

import asyncio
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool, StaticPool

from chatstore.errors import ConflictError, StoreBusyError, StoreClosedError
from chatstore.sql.engine import open_database
from chatstore.sql.engine.conn import Conn
from chatstore.sql.engine.sqlite.database import SQLiteDatabase
from tests.sql.ledger import append, count, ledger, names, refuse

Opened = Callable[..., SQLiteDatabase]


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true"]
)
def test_one_database_in_memory_for_threads_and_tasks(url: str, opened: Opened) -> None:
    database = opened(url)
    threads = [
        threading.Thread(target=lambda: [database.write(append()) for _ in range(50)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()

    async def main() -> None:
        await asyncio.gather(*[database.awrite(append()) for _ in range(50)])
        assert await database.aread(count, snapshot=True) >= 50

    asyncio.run(main())
    for thread in threads:
        thread.join()
    assert database.read(count) == 450
    assert database.read(lambda c: c.execute("SELECT n FROM counter").fetchall()) == [(450,)]


def test_a_reader_of_memory_sees_nothing_that_is_not_committed(opened: Opened) -> None:
    database = opened("sqlite://")
    written, seen = threading.Event(), []

    def fails(conn: Conn) -> None:
        append()(conn)
        written.set()
        time.sleep(0.2)
        raise LookupError

    def look() -> None:
        written.wait(5)
        seen.append(database.read(count))

    reader = threading.Thread(target=look)
    reader.start()
    with pytest.raises(LookupError):
        database.write(fails)
    reader.join(5)
    assert seen == [0]


def test_a_write_to_memory_may_read_what_it_wrote(opened: Opened) -> None:
    database = opened("sqlite://")

    def work(conn: Conn) -> int:
        append()(conn)
        return database.read(count)

    assert database.write(work) == 1
    assert database.read(count) == 1


def test_two_databases_in_memory_are_two(opened: Opened) -> None:
    first, second = opened("sqlite://"), opened("sqlite://")
    first.write(append())
    assert (first.read(count), second.read(count)) == (1, 0)


def test_failures_in_memory_are_rolled_back(opened: Opened) -> None:
    database = opened("sqlite://")
    with pytest.raises(LookupError):
        database.write(refuse)
    with pytest.raises(ConflictError):
        database.write(lambda c: c.execute("INSERT INTO row VALUES ('a', 1, ''), ('a', 1, '')"))
    assert database.read(count) == 0
    database.close()
    with pytest.raises(StoreClosedError):
        database.read(count)


def test_memory_can_be_saved(tmp_path: Path, opened: Opened) -> None:
    database = opened("sqlite://")
    database.write(append())
    database.backup(tmp_path / "copy.db")
    assert names(tmp_path / "copy.db") == {"a": [1]}


@pytest.fixture
def engine(path: Path) -> Any:
    engine = sa.create_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()


def test_a_hosts_engine_is_borrowed_from_and_left_as_it_was(engine: sa.Engine, path: Path) -> None:
    with engine.begin() as theirs:
        theirs.exec_driver_sql("CREATE TABLE theirs (x)")
    before = engine.raw_connection()
    settings = [before.driver_connection.isolation_level]  # type: ignore[union-attr]
    cursor = before.cursor()
    wanted = ("foreign_keys", "synchronous", "journal_mode", "busy_timeout")
    settings += [cursor.execute(f"PRAGMA {name}").fetchone() for name in wanted]
    before.close()

    database = ledger(engine)
    database.write(append())
    assert database.read(count) == 1
    assert not path.with_name("chat.db-wal").exists(), "the file's journal mode is the host's"
    database.close()
    database.close()

    after = engine.raw_connection()
    cursor = after.cursor()
    assert settings == [
        after.driver_connection.isolation_level,  # type: ignore[union-attr]
        *[cursor.execute(f"PRAGMA {name}").fetchone() for name in wanted],
    ]
    after.close()
    with engine.begin() as theirs:
        assert theirs.exec_driver_sql("SELECT count(*) FROM row").scalar() == 1
        theirs.exec_driver_sql("INSERT INTO theirs VALUES (1)")
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "options", [{}, {"poolclass": NullPool}, {"pool_size": 1, "max_overflow": 0}]
)
def test_a_host_that_holds_its_connections_does_not_starve_us(
    path: Path, options: dict[str, Any]
) -> None:
    engine = sa.create_engine(f"sqlite:///{path}", **options)
    database = ledger(engine)
    database.write(append())
    with engine.connect() as theirs:
        theirs.exec_driver_sql("SELECT 1")
        assert database.read(count) == 1
        assert database.write(append()) == 2
    database.close()
    engine.dispose()


def test_rows_and_texts_are_plain_whatever_the_host_prefers(path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{path}")

    @sa.event.listens_for(engine, "connect")
    def theirs(connection: Any, record: Any) -> None:
        connection.row_factory = sqlite3.Row
        connection.text_factory = bytes

    database = ledger(engine)
    database.write(append())
    assert database.read(lambda c: c.execute("SELECT name FROM row").fetchall()) == [("a",)]
    database.close()
    engine.dispose()


def memory_engine() -> sa.Engine:
    return sa.create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )


def test_a_hosts_engine_in_memory_is_shared() -> None:
    engine = memory_engine()
    with engine.begin() as theirs:
        theirs.exec_driver_sql("CREATE TABLE theirs (x)")
    database = ledger(engine)
    threads = [
        threading.Thread(target=lambda: [database.write(append()) for _ in range(20)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asyncio.run(database.aread(count)) == 80
    with engine.begin() as theirs:
        assert theirs.exec_driver_sql("SELECT count(*) FROM row").scalar() == 80
        conn = theirs.connection.driver_connection
        assert conn is not None
        assert conn.isolation_level == ""
        assert conn.execute("PRAGMA foreign_keys").fetchone() == (0,)
    database.close()
    with engine.begin() as theirs:
        theirs.exec_driver_sql("INSERT INTO theirs VALUES (1)")
    engine.dispose()


def test_a_hosts_open_transaction_is_neither_joined_nor_committed() -> None:
    engine = memory_engine()
    database = ledger(engine, lock_timeout=0.1)
    with engine.connect() as theirs:
        theirs.exec_driver_sql("INSERT INTO counter VALUES ('theirs', 1)")
        with pytest.raises(StoreBusyError):
            database.write(append())
        theirs.rollback()
    assert database.write(append()) == 1
    assert database.read(lambda c: c.execute("SELECT name FROM counter").fetchall()) == [("a",)]
    database.close()
    engine.dispose()


def test_engines_that_cannot_be_used_are_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="StaticPool"):
        open_database(sa.create_engine("sqlite://"))
    bound = sa.create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": True})
    database = open_database(bound)
    with pytest.raises(ValueError, match="check_same_thread"):
        database.read(count)
    database.close()
    bound.dispose()


def test_an_async_engine_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # The real one needs greenlet and a driver, which need not be installed here.
    room = ModuleType("sqlalchemy.ext.asyncio")
    kind = type("AsyncEngine", (), {})
    vars(room)["AsyncEngine"] = kind
    monkeypatch.setitem(sys.modules, room.__name__, room)
    with pytest.raises(TypeError, match="plain Engine"):
        open_database(kind())


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("mysql://host/db", "mysql"),
        ("sqlite+pysqlcipher:///x.db", "sqlite3"),
        ("sqlite:///x.db?timeout=5", "timeout"),
        ("nonsense", "sqlite:///chat.db"),
    ],
)
def test_urls_that_cannot_be_used_are_refused(url: str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        open_database(url)


def test_paths_with_awkward_names(tmp_path: Path) -> None:
    for name in ("a b.db", "100%.db", "q?x=1.db", "hash#1.db", "ümläut.db", "file:x.db"):
        path = tmp_path / name
        database = ledger(path)
        database.write(append())
        database.close()
        assert names(path) == {"a": [1]}
    assert {p.name.removesuffix("-lock") for p in tmp_path.iterdir()} == {
        "a b.db", "100%.db", "q?x=1.db", "hash#1.db", "ümläut.db", "file:x.db",
    }  # fmt: skip


def test_uri_urls(path: Path) -> None:
    ledger(path).close()
    database = open_database(f"sqlite:///file:{path}?uri=true&mode=ro")
    assert database.read(count) == 0
    assert isinstance(database, SQLiteDatabase)
    assert database.place.read_only
    database.close()
