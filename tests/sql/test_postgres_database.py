"""The ground floor on a real PostgreSQL."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import psycopg
import pytest
import sqlalchemy as sa

from chatstore.errors import (
    ChatStoreError,
    ConflictError,
    InvalidMessageError,
    StoreBusyError,
    StoreClosedError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from chatstore.sql.engine import open_database
from chatstore.sql.engine.conn import Conn
from chatstore.sql.engine.postgres.database import PostgresDatabase
from chatstore.sql.engine.postgres.server import CONNECTIONS
from chatstore.sql.engine.postgres.single import Single
from tests.servers.fixtures import Running
from tests.servers.postgres import PostgresServer
from tests.sql.ledger import count, wait_for


@contextmanager
def ledger(target: Any, **options: Any) -> Iterator[PostgresDatabase]:
    database = open_database(target, **options)
    assert isinstance(database, PostgresDatabase)
    with database.exclusive() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, n BIGINT)"
        )
        connection.exec_driver_sql(
            "CREATE TABLE IF NOT EXISTS row (name TEXT, n BIGINT, body TEXT, PRIMARY KEY (name, n))"
        )
    yield database
    database.close()


@pytest.fixture
def database(postgres_url: str) -> Iterator[PostgresDatabase]:
    with ledger(postgres_url) as opened:
        yield opened


def append(name: str = "a", body: str = "x" * 680) -> Callable[[Conn], int]:
    def work(conn: Conn) -> int:
        (n,) = conn.execute(
            "INSERT INTO counter VALUES (%(name)s, 1) "
            "ON CONFLICT (name) DO UPDATE SET n = counter.n + 1 RETURNING n",
            {"name": name},
        ).fetchone()
        conn.execute(
            "INSERT INTO row VALUES (%(name)s, %(n)s, %(body)s)",
            {"name": name, "n": n, "body": body},
        )
        return int(n)

    return work


class AppendAtOnce(Single[int]):
    """The same, in one statement."""

    weight = 0
    sql = (
        "WITH c AS (INSERT INTO counter VALUES (%(name)s::text, 1) ON CONFLICT (name) "
        "DO UPDATE SET n = counter.n + 1 RETURNING n) "
        "INSERT INTO row SELECT %(name)s::text, c.n, '' FROM c RETURNING n"
    )

    def parameters(self) -> dict[str, Any]:
        return {"name": "s"}

    def result(self, row: Sequence[int] | None) -> int:
        assert row is not None
        return row[0]


class InTransaction(AppendAtOnce):
    """Says whether a transaction of ours is around it."""

    def __call__(self, conn: Conn) -> bool:
        return in_transaction(conn)


def in_transaction(conn: Conn) -> bool:
    status = cast(Any, conn).info.transaction_status
    return bool(status == psycopg.pq.TransactionStatus.INTRANS)


@contextmanager
def back_door(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as conn:
        yield conn


def names(url: str) -> dict[str, list[int]]:
    held: dict[str, list[int]] = {}
    with back_door(url) as conn:
        for name, n in conn.execute("SELECT name, n FROM row ORDER BY name, n"):
            held.setdefault(name, []).append(n)
    return held


def terminate(url: str) -> int:
    """Ends every session of ours."""
    with back_door(url) as conn:
        rows = conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'chatstore' AND datname = current_database()"
        ).fetchall()
        return len(rows)


def test_threads_and_tasks(database: PostgresDatabase, postgres_url: str) -> None:
    async def tasks() -> None:
        await asyncio.gather(*[database.awrite(append()) for _ in range(40)])
        assert await database.aread(count) >= 40

    threads = [
        threading.Thread(target=lambda: [database.write(append()) for _ in range(20)])
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    asyncio.run(tasks())
    for thread in threads:
        thread.join()
    assert names(postgres_url) == {"a": list(range(1, 281))}
    assert len(database._pool._open) <= CONNECTIONS


def test_a_work_that_fails_changes_nothing(database: PostgresDatabase, postgres_url: str) -> None:
    def fails(conn: Conn) -> None:
        append()(conn)
        raise LookupError("refused")

    with pytest.raises(LookupError):
        database.write(fails)

    def twice(conn: Conn) -> None:
        for _ in range(2):
            conn.execute("INSERT INTO row VALUES ('secret', 1, 'secret')")

    with pytest.raises(ConflictError) as caught:
        database.write(twice)
    assert "secret" not in str(caught.value)
    assert names(postgres_url) == {}
    assert database.write(append()) == 1


def test_a_work_that_hides_a_failure_is_not_told_stored(
    database: PostgresDatabase, postgres_url: str
) -> None:
    # PostgreSQL answers COMMIT with ROLLBACK then, and the driver takes it for a success.
    def hides(conn: Conn) -> None:
        append()(conn)
        try:
            conn.execute("INSERT INTO row VALUES ('a', 1, '')")
        except psycopg.Error:
            return

    with pytest.raises(ChatStoreError, match="nothing was written"):
        database.write(hides)
    assert names(postgres_url) == {}


def test_a_snapshot_sees_one_state(database: PostgresDatabase) -> None:
    database.write(append())

    def twice(conn: Conn) -> tuple[int, int]:
        before = count(conn)
        thread = threading.Thread(target=database.write, args=(append(),))
        thread.start()
        thread.join(10)
        return before, count(conn)

    assert database.read(twice, snapshot=True) == (1, 1)
    assert database.read(twice) == (2, 3)
    with database.snapshot() as conn:
        assert count(conn) == 3
        database.write(append())
        assert count(conn) == 3
    with pytest.raises(StoreReadOnlyError):
        database.read(append(), snapshot=True)
    assert database.read(count) == 4


def test_one_statement_needs_no_transaction_of_ours(
    database: PostgresDatabase, postgres_url: str
) -> None:
    assert database.write(AppendAtOnce()) == 1
    assert database.write(InTransaction()) is False
    assert database.write(in_transaction) is True
    assert database.write(AppendAtOnce().__call__) == 2
    assert asyncio.run(database.awrite(AppendAtOnce())) == 3
    assert names(postgres_url) == {"s": [1, 2, 3]}


def test_terminated_sessions_are_replaced_unseen(
    database: PostgresDatabase, postgres_url: str
) -> None:
    for n in range(1, 6):
        assert database.write(append()) == n
        assert database.write(AppendAtOnce()) == n
        assert database.read(count) == 2 * n
        assert terminate(postgres_url) >= 1
        time.sleep(0.05)
    assert names(postgres_url) == {"a": [1, 2, 3, 4, 5], "s": [1, 2, 3, 4, 5]}


def test_a_session_that_ends_inside_a_write_is_no_reason_to_fail(
    database: PostgresDatabase, postgres_url: str
) -> None:
    tries: list[int] = []

    def work(conn: Conn) -> int:
        tries.append(1)
        if len(tries) == 1:
            terminate(postgres_url)
        return append()(conn)

    assert database.write(work) == 1
    assert len(tries) == 2
    assert names(postgres_url) == {"a": [1]}


def test_a_session_that_ends_in_the_commit_leaves_it_open(
    database: PostgresDatabase, postgres_url: str
) -> None:
    def work(conn: Conn) -> int:
        n = append()(conn)
        real = conn.execute

        def commit(sql: str, *rest: Any, **options: Any) -> Any:
            terminate(postgres_url)
            return real(sql, *rest, **options)

        conn.execute = commit  # type: ignore[method-assign]
        return n

    with pytest.raises(StoreUnavailableError, match="nobody knows"):
        database.write(work)
    assert database.write(append()) == 1


def test_deadlocks_are_repeated(database: PostgresDatabase, postgres_url: str) -> None:
    with back_door(postgres_url) as conn:
        conn.execute("INSERT INTO counter VALUES ('x', 0), ('y', 0)")
    both = threading.Barrier(2)
    met = threading.Event()

    def work(first: str, second: str) -> Callable[[Conn], None]:
        def run(conn: Conn) -> None:
            conn.execute("UPDATE counter SET n = n + 1 WHERE name = %s", (first,))
            if not met.is_set():
                both.wait(10)
                met.set()
            conn.execute("UPDATE counter SET n = n + 1 WHERE name = %s", (second,))

        return run

    threads = [
        threading.Thread(target=database.write, args=(work(*pair),)) for pair in ("xy", "yx")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert database.read(lambda c: c.execute("SELECT sum(n) FROM counter").fetchone()) == (4,)


def test_a_lock_that_is_held_too_long(postgres_url: str) -> None:
    with ledger(postgres_url, lock_timeout=0.2) as database:
        database.write(append())
        with psycopg.connect(postgres_url) as conn:
            conn.execute("UPDATE counter SET n = n")
            assert database.write(lambda c: c.execute("SHOW lock_timeout").fetchone()) == ("200ms",)
            with pytest.raises(StoreBusyError):
                database.write(append())
            conn.rollback()
        assert database.write(append()) == 2


def test_no_setting_outlives_a_transaction(database: PostgresDatabase) -> None:
    def settings(conn: Conn) -> list[Any]:
        return conn.execute(
            "SELECT name, setting FROM pg_settings WHERE source = 'session' "
            "AND name NOT IN ('application_name', 'client_encoding')"
        ).fetchall()

    before = database.read(settings)
    database.write(append())
    database.read(count, snapshot=True)
    assert database.read(settings) == before


def test_statements_are_prepared_until_a_pooler_mixes_them_up(
    database: PostgresDatabase, postgres_url: str
) -> None:
    def prepared(conn: Conn) -> int:
        (n,) = conn.execute("SELECT count(*) FROM pg_prepared_statements", prepare=False).fetchone()  # type: ignore[call-arg]
        return int(n)

    for _ in range(8):
        database.write(append())
    assert database.read(prepared) >= 2
    # What a pooler in transaction mode does: the next transaction is on another session. Past
    # psycopg, which would notice.
    database.read(lambda conn: cast(Any, conn).pgconn.exec_(b"DEALLOCATE ALL"))
    assert database.write(append()) == 9
    assert database._server.prepare_after is None
    for n in range(10, 20):
        assert database.write(append()) == n
    assert database.read(prepared) == 0


def test_a_call_on_its_way_while_another_gives_up_preparing(
    database: PostgresDatabase, postgres_url: str
) -> None:
    for _ in range(8):
        database.write(append())
    tries: list[int] = []

    def work(conn: Conn) -> int:
        tries.append(1)
        if len(tries) == 1:
            cast(Any, conn).pgconn.exec_(b"DEALLOCATE ALL")
            database._server.prepare_after = None
        return append()(conn)

    assert database.write(work) == 9
    assert len(tries) == 2
    assert names(postgres_url) == {"a": list(range(1, 10))}


def test_a_cancelled_write_is_settled(database: PostgresDatabase, postgres_url: str) -> None:
    async def main() -> None:
        started = threading.Event()

        def work(conn: Conn) -> int:
            started.set()
            conn.execute("SELECT pg_sleep(0.2)")
            return append()(conn)

        task = asyncio.create_task(database.awrite(work))
        await asyncio.to_thread(started.wait)
        task.cancel()
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert names(postgres_url) == {"a": [1]}

    asyncio.run(main())


def test_closing(postgres_url: str) -> None:
    with ledger(postgres_url) as database:
        database.write(append())
        database.close()
        database.close()
        with pytest.raises(StoreClosedError):
            database.write(append())
        with pytest.raises(StoreClosedError):
            database.read(count)
        with pytest.raises(StoreClosedError), database.exclusive():
            pass
    wait_for(lambda: terminate(postgres_url) == 0)


def test_read_only(postgres_url: str, database: PostgresDatabase) -> None:
    with pytest.raises(StoreReadOnlyError, match="reading only"):
        open_database(postgres_url, read_only=True).write(append())


def test_a_schema_change_is_one_transaction(database: PostgresDatabase) -> None:
    def fails() -> None:
        with database.exclusive() as connection:
            connection.execute(sa.text("DROP TABLE row"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    with pytest.raises(ChatStoreError), database.exclusive() as connection:
        connection.exec_driver_sql("CREATE TABLE counter (x INT)")
    assert database.write(append()) == 1


def test_a_nul_is_refused_as_a_value(database: PostgresDatabase) -> None:
    with pytest.raises(InvalidMessageError):
        database.write(append("nul\0"))


def test_a_hosts_engine_is_borrowed_from(postgres_url: str) -> None:
    url = sa.make_url(postgres_url).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url, pool_size=1, max_overflow=0)
    with engine.connect() as theirs, ledger(engine) as database:
        theirs.execute(sa.text("SELECT 1"))
        assert database.write(append()) == 1
        assert database.read(count) == 1
    with engine.connect() as theirs:
        assert theirs.execute(sa.text("SELECT count(*) FROM row")).scalar() == 1
        assert theirs.connection.driver_connection.autocommit is False  # type: ignore[union-attr]
    engine.dispose()


def test_servers_that_cannot_be_reached(postgres_url: str) -> None:
    with pytest.raises(
        StoreUnavailableError, match=r"nobody:\*\*\*@127.0.0.1:1/.*cannot be reached"
    ) as caught:
        open_database("postgresql://nobody:secret@127.0.0.1:1/x?password=secret").read(count)
    assert "secret" not in str(caught.value)
    wrong = sa.make_url(postgres_url).set(database="nowhere").render_as_string(hide_password=False)
    with pytest.raises(StoreUnavailableError, match="database name"):
        open_database(wrong).read(count)
    with pytest.raises(ValueError, match="psycopg"):
        open_database("postgresql+asyncpg://localhost/x")


def test_a_server_that_restarts(running: Running) -> None:
    server = running(PostgresServer())
    url = server.url_of(server.new_database())
    with ledger(url) as database:
        acknowledged: list[int] = []
        failures: list[BaseException] = []
        stop = threading.Event()

        def go() -> None:
            while not stop.is_set():
                try:
                    acknowledged.append(database.write(append()))
                except StoreUnavailableError as error:
                    failures.append(error)

        thread = threading.Thread(target=go)
        thread.start()
        time.sleep(0.3)
        server.restart()
        before = len(acknowledged)
        wait_for(lambda: len(acknowledged) > before + 20, 20)
        stop.set()
        thread.join(20)
        held = names(url)["a"]
        assert held == list(range(1, len(held) + 1))
        assert set(acknowledged) <= set(held)
        assert all("nobody knows" in str(error) for error in failures)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forks(database: PostgresDatabase, postgres_url: str) -> None:
    stop = threading.Event()
    told: list[int] = []

    def go() -> None:
        while not stop.is_set():
            told.append(database.write(append("parent")))

    thread = threading.Thread(target=go)
    thread.start()
    children = []
    for _ in range(10):
        child = os.fork()
        if child == 0:
            try:
                database.write(append("child"))
                database.close()
            except BaseException:  # noqa: BLE001
                os._exit(1)
            os._exit(0)
        children.append(child)
        time.sleep(0.01)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 10
    stop.set()
    thread.join(10)
    held = names(postgres_url)
    assert held == {"child": list(range(1, 11)), "parent": told}
