"""PostgreSQL behind the `Database` interface.

Here every write has a transaction and a connection of its own: the server lets writers of
different conversations pass each other, and shares the flush of the disk among those who commit
together. What is bounded is the number of connections.
"""

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

from typing_extensions import override

from chatstore.errors import StoreReadOnlyError
from chatstore.sql.engine import Database, faults
from chatstore.sql.engine.conn import Conn
from chatstore.sql.engine.fork import DRAIN_SECONDS, protect, taint
from chatstore.sql.engine.loops import settle
from chatstore.sql.engine.pool import Pool
from chatstore.sql.engine.postgres import Server, is_usable, tidy

if TYPE_CHECKING:
    import psycopg
    import sqlalchemy as sa

T = TypeVar("T")

CONNECTIONS = 10
_CONFLICTS = 5
_LONGEST = (1 << 31) - 1  # milliseconds; the server's own limit
_RESTART_SECONDS = 5.0
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class _Attempt:
    """How far a call got, which decides whether it may be repeated.

    `committing`: whether it may have been stored, and must not be twice.
    """

    __slots__ = ("committing", "conflicts")

    def __init__(self, conflicts: int) -> None:
        self.committing = False
        self.conflicts = conflicts


class PostgresDatabase(Database):
    """One PostgreSQL database, on a bounded number of connections."""

    dialect = "postgresql"

    def __init__(self, server: Server, *, lock_timeout: float, read_only: bool) -> None:
        super().__init__(CONNECTIONS)
        self.name = server.name
        self._server = server
        self._read_only = read_only
        self.patience = str(min(max(1, round(lock_timeout * 1_000)), _LONGEST))
        # One message to the server, and nothing of it outlives the transaction.
        self._begin = (
            f"BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {self.patience}"
        )
        self._pool: Pool[psycopg.Connection[Any]] = Pool(
            server.connect, CONNECTIONS, lock_timeout, server.name
        )
        self._closed = False
        protect(self)

    @override
    def read(self, work: Callable[[Conn], T], *, snapshot: bool = False) -> T:
        def call(conn: "psycopg.Connection[Any]", _attempt: _Attempt) -> T:
            if not snapshot:
                return work(cast(Conn, conn))
            conn.execute(_SNAPSHOT, prepare=False)
            value = work(cast(Conn, conn))
            conn.execute("COMMIT", prepare=False)
            return value

        return self._run(call)

    @override
    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Conn]:
        conn = None
        try:
            conn = self._take()
            conn.execute(_SNAPSHOT, prepare=False)
            yield cast(Conn, conn)
        except Exception as error:
            ours = self._server.translate(error)
            if ours is error:
                raise
            raise ours from None
        finally:
            if conn is not None:
                self._put_back(conn)

    @override
    def write(
        self,
        work: Callable[[Conn], T],
        *,
        single: bool = False,
        sure: bool = False,
        repeatable: bool = False,
    ) -> T:
        self._refuse_read_only()

        def call(conn: "psycopg.Connection[Any]", attempt: _Attempt) -> T:
            # After a conflict in a transaction that says its isolation level, as the server's
            # default may be one in which a busy conversation has nothing but conflicts.
            if single and not attempt.conflicts:
                attempt.committing = not repeatable
                return work(cast(Conn, conn))
            conn.execute(self._begin, prepare=False)
            value = work(cast(Conn, conn))
            attempt.committing = not repeatable
            end = conn.execute("COMMIT", prepare=False)
            if end.statusmessage != "COMMIT":
                # What PostgreSQL answers if a statement had failed and the work went on.
                raise faults.rolled_back(self.name)
            return value

        return self._run(call)

    @override
    async def awrite(
        self,
        work: Callable[[Conn], T],
        *,
        single: bool = False,
        sure: bool = False,
        repeatable: bool = False,
    ) -> T:
        op = self._op(work)
        self._submit(op, lambda: self.write(work, single=single, repeatable=repeatable))
        return cast(T, await settle(op, self._withdraw))

    @override
    @contextlib.contextmanager
    def exclusive(self) -> "Iterator[sa.Connection]":
        """Yields an SQLAlchemy connection in a transaction. What it locks is the caller's affair.

        Commits at the end of the block, rolls back if it raises.
        """
        self._refuse_read_only()
        with self._alchemy() as connection:
            yield connection

    @contextlib.contextmanager
    def inspecting(self) -> "Iterator[sa.Connection]":
        """Yields an SQLAlchemy connection in a transaction that may only read."""
        with self._alchemy() as connection:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            yield connection

    @contextlib.contextmanager
    def _alchemy(self) -> "Iterator[sa.Connection]":
        if self._closed:
            raise faults.closed(self.name)
        from chatstore.sql.engine.alchemy import postgres_transaction

        try:
            with contextlib.closing(self._server.connect()) as conn:
                conn.autocommit = False
                with postgres_transaction(conn, self._server.translate) as connection:
                    yield connection
        except self._driver_error as error:
            raise self._server.translate(error) from None

    @override
    def checkpoint(self) -> bool:
        """Nothing: when old rows are overwritten is the server's affair (VACUUM)."""
        return True

    @override
    def close(self) -> None:
        self._closed = True
        self._pool.shut(lambda: faults.closed(self.name), time.monotonic() + DRAIN_SECONDS)
        self._workers.stop()

    def freeze(self, deadline: float) -> bool:
        """Before a fork: see `fork.py`."""
        return self._pool.freeze(deadline)

    def thaw(self) -> None:
        """After a fork, in the parent."""
        self._pool.thaw()

    def rebirth(self, *, clean: bool) -> None:
        """After a fork, in the child. Connections that were in use stay the parent's."""
        if not clean:
            taint(None, self._pool.inherited())
        self._pool.reset()
        self.renew()
        if self._closed:
            self.close()

    def _refuse_read_only(self) -> None:
        if self._read_only:
            raise StoreReadOnlyError(
                f"{self.name}: it was opened for reading only. Open it without read_only to write."
            )

    @property
    def _driver_error(self) -> type[Exception]:
        error: type[Exception] = self._server.driver.Error
        return error

    def _run(self, call: "Callable[[psycopg.Connection[Any], _Attempt], T]") -> T:
        """Runs a call, again if the server or the network failed it and repeating is safe."""
        tries = conflicts = 0
        begun: float | None = None
        while True:
            attempt = _Attempt(conflicts)
            conn = None
            try:
                conn = self._take()
                return call(conn, attempt)
            except self._driver_error as error:
                begun = begun or time.monotonic()
                tries += 1
                conflicts += self._server.is_conflict(error)
                if not self._may_repeat(error, attempt, tries, time.monotonic() - begun):
                    lost = self._server.is_lost(error) and attempt.committing
                    ours = faults.in_doubt(self.name) if lost else self._server.translate(error)
                    raise ours from None
            finally:
                if conn is not None:
                    self._put_back(conn)
            time.sleep(random.uniform(0.5, 1.0) * min(0.5, 0.005 * 2**tries))  # noqa: S311

    def _may_repeat(
        self, error: BaseException, attempt: _Attempt, tries: int, seconds: float
    ) -> bool:
        server = self._server
        if server.gives_up_preparing(error):
            return tries <= CONNECTIONS
        if server.is_conflict(error):
            return attempt.conflicts < _CONFLICTS
        return (
            server.is_lost(error)
            and server.answered
            and not attempt.committing
            and seconds < _RESTART_SECONDS
        )

    def _take(self) -> "psycopg.Connection[Any]":
        pool = self._pool
        while True:
            conn = None
            with pool.mutex:
                if pool.free:
                    conn = pool.free[-1]
                    del pool.free[-1]
            if conn is None:
                conn = pool.take()
            if is_usable(conn):
                conn.prepare_threshold = self._server.prepare_after
                return conn
            pool.drop(conn)

    def _put_back(self, conn: "psycopg.Connection[Any]") -> None:
        if tidy(conn):
            self._pool.give(conn)
        else:
            self._pool.drop(conn)
