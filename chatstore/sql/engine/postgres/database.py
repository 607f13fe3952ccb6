"""PostgreSQL behind the `Database` interface.

Here every write has a transaction and a connection of its own: the server lets writers of
different conversations pass each other, and shares the flush of the disk among those who commit
together. What is bounded is the number of connections.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

from typing_extensions import override

from chatstore.errors import StoreReadOnlyError
from chatstore.sql.engine import Database, faults
from chatstore.sql.engine.conn import Conn
from chatstore.sql.engine.fork import DRAIN_SECONDS, protect, taint
from chatstore.sql.engine.loops import Workers, settle
from chatstore.sql.engine.op import Op
from chatstore.sql.engine.pool import Pool
from chatstore.sql.engine.postgres.calls import Attempt, Calls
from chatstore.sql.engine.postgres.lane import MOST_BYTES, Lane
from chatstore.sql.engine.postgres.server import Server
from chatstore.sql.engine.postgres.single import Single

if TYPE_CHECKING:
    import psycopg
    import sqlalchemy as sa

T = TypeVar("T")

_LONGEST = (1 << 31) - 1  # milliseconds; the server's own limit
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresDatabase(Database):
    """One PostgreSQL database, on a bounded number of connections."""

    dialect = "postgresql"

    def __init__(self, server: Server, *, lock_timeout: float, read_only: bool) -> None:
        # Fewer than connections, so that tasks' long work leaves some to their appends.
        super().__init__(max(1, 2 * server.limit // 3))
        self.name = server.name
        self._server = server
        self._read_only = read_only
        self.patience = str(min(max(1, round(lock_timeout * 1_000)), _LONGEST))
        # One message to the server, and nothing of it outlives the transaction.
        self._begin = (
            f"BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {self.patience}"
        )
        self._pool: Pool[psycopg.Connection[Any]] = Pool(
            server.connect, server.limit, lock_timeout, server.name
        )
        self._calls = Calls(server, self._pool)
        self._closed = False
        self._open_lane()
        protect(self)

    def _open_lane(self) -> None:
        self._helpers = Workers(self._server.limit)
        self._lane = Lane(
            self._pool,
            self._server,
            self._workers.mutex,
            pass_on=self._help,
            has_help=lambda: self._helpers.busy() < self._server.limit,
        )

    @override
    def read(self, work: Callable[[Conn], T], *, snapshot: bool = False) -> T:
        def call(conn: "psycopg.Connection[Any]", _attempt: Attempt) -> T:
            if not snapshot:
                return work(cast(Conn, conn))
            conn.execute(_SNAPSHOT, prepare=False)
            value = work(cast(Conn, conn))
            conn.execute("COMMIT", prepare=False)
            return value

        return self._calls.run(call)

    @override
    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Conn]:
        conn = None
        try:
            conn = self._calls.take()
            conn.execute(_SNAPSHOT, prepare=False)
            yield cast(Conn, conn)
        except Exception as error:
            ours = self._server.translate(error)
            if ours is error:
                raise
            raise ours from None
        finally:
            if conn is not None:
                self._calls.put_back(conn)

    @override
    def write(self, work: Callable[[Conn], T]) -> T:
        self._refuse_read_only()
        return self._calls.run(self._writing(work))

    def _writing(
        self, work: Callable[[Conn], T]
    ) -> "Callable[[psycopg.Connection[Any], Attempt], T]":
        single, repeatable = isinstance(work, Single), getattr(work, "repeatable", False)

        def call(conn: "psycopg.Connection[Any]", attempt: Attempt) -> T:
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

        return call

    @override
    async def awrite(self, work: Callable[[Conn], T]) -> T:
        op = self._op(work)
        if isinstance(work, Single) and work.weight <= MOST_BYTES:
            self._refuse_read_only()
            self._lane.submit(op)
        else:
            self._submit(op, lambda: self.write(work))
        return cast(T, await settle(op, self._withdraw))

    def _help(self, op: Op, error: Exception | None, sent: bool) -> None:
        """Goes on with what the lane did not end, in a thread that may block."""

        def met() -> "psycopg.Connection[Any]":
            raise cast(Exception, error)

        call = self._writing(op.work)
        first = self._calls.open if error is None else met
        doubt = sent and not op.repeatable
        self._helpers.submit(
            lambda: self._carry_out(
                op, lambda: self._calls.run(call, first=first, committing=doubt)
            )
        )

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
        with self._alchemy(read_only=True) as connection:
            yield connection

    @contextlib.contextmanager
    def _alchemy(self, *, read_only: bool = False) -> "Iterator[sa.Connection]":
        if self._closed:
            raise faults.closed(self.name)
        from chatstore.sql.engine.alchemy import postgres_transaction

        try:
            with contextlib.closing(self._server.connect()) as conn:
                conn.autocommit = False
                # In BEGIN: SET TRANSACTION would mark the session as one with a setting of its own.
                conn.read_only = read_only or None
                with postgres_transaction(conn, self._server.translate) as connection:
                    yield connection
        except self._server.driver.Error as error:
            raise self._server.translate(error) from None

    @override
    def checkpoint(self) -> bool:
        """Nothing: when old rows are overwritten is the server's affair (VACUUM)."""
        return True

    @override
    def close(self) -> None:
        self._closed = True
        self._pool.shut(lambda: faults.closed(self.name), time.monotonic() + DRAIN_SECONDS)
        self._lane.stop()
        self._helpers.stop()
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
        self._lane.abandon()
        self.renew()
        self._open_lane()
        if self._closed:
            self.close()

    def _refuse_read_only(self) -> None:
        if self._read_only:
            raise StoreReadOnlyError(
                f"{self.name}: it was opened for reading only. Open it without read_only to write."
            )
