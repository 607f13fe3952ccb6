"""SQLite behind the `Database` interface: one writer, a few readers, one connection in memory."""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from typing_extensions import override

from chatstore.errors import ChatStoreError, ConflictError, StoreReadOnlyError
from chatstore.sql.engine import READERS, Database, faults
from chatstore.sql.engine.conn import Conn
from chatstore.sql.engine.fork import DRAIN_SECONDS, protect, taint
from chatstore.sql.engine.loops import settle
from chatstore.sql.engine.pool import Pool
from chatstore.sql.engine.sqlite.commit import GroupCommit
from chatstore.sql.engine.sqlite.connector import Connector, Place, pause, require_file
from chatstore.sql.engine.sqlite.files import replaced_file
from chatstore.sql.engine.sqlite.writer import Writer

if TYPE_CHECKING:
    import sqlalchemy as sa

T = TypeVar("T")


class SQLiteDatabase(Database):
    """One SQLite database, in a file or in memory."""

    dialect = "sqlite"

    def __init__(self, place: Place) -> None:
        super().__init__()
        require_file(place)
        self.name = place.name
        self.place = place
        self._connector = Connector(place)
        self._writer = Writer(self._connector)
        self._commit = GroupCommit(self._writer, place.name)
        self._readers: Pool[sqlite3.Connection] = Pool(
            lambda: self._connector.connect("reader"), READERS, place.lock_timeout, place.name
        )
        self._closed = False
        self._held: contextlib.AbstractContextManager[None] | None = None
        protect(self)

    @property
    @override
    def exists(self) -> bool:
        return self.place.path is None or self.place.path.exists()

    @override
    def read(self, work: Callable[[Conn], T], *, snapshot: bool = False) -> T:
        if self.place.path is None:
            return self._read_memory(work)
        pool = self._readers
        conn: sqlite3.Connection | None = None
        try:
            with pool.mutex:
                if pool.free:
                    conn = pool.free[-1]
                    del pool.free[-1]
            if conn is None:
                conn = pool.take()
            if snapshot:
                return _in_snapshot(conn, work)
            return work(cast(Conn, conn))
        except sqlite3.Error as error:
            raise self._writer.translate(error) from None
        finally:
            if conn is not None:
                pool.give(conn)

    @override
    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Conn]:
        try:
            with self._copy() if self.place.path is None else self._held_reader() as conn:
                conn.execute("BEGIN").close()
                try:
                    yield cast(Conn, conn)
                finally:
                    if conn.in_transaction:
                        conn.execute("ROLLBACK").close()
        except sqlite3.Error as error:
            raise self._writer.translate(error) from None

    @contextlib.contextmanager
    def _copy(self) -> Iterator[sqlite3.Connection]:
        """Of memory: its one connection must not be held while its owner does other things."""
        copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        with contextlib.closing(copy):
            self._read_memory(lambda conn: cast(sqlite3.Connection, conn).backup(copy))
            yield copy

    @contextlib.contextmanager
    def _held_reader(self) -> Iterator[sqlite3.Connection]:
        conn = self._readers.take()
        try:
            yield conn
        finally:
            self._readers.give(conn)

    @override
    def write(self, work: Callable[[Conn], T]) -> T:
        if self.place.read_only:
            raise self._read_only()
        value: T = self._commit.write(work)
        return value

    @override
    async def awrite(self, work: Callable[[Conn], T]) -> T:
        if self.place.read_only:
            raise self._read_only()
        op = self._op(work)
        self._commit.submit(op)
        return cast(T, await settle(op, self._commit.withdraw))

    @override
    @contextlib.contextmanager
    def exclusive(self) -> "Iterator[sa.Connection]":
        """Yields an SQLAlchemy connection in a `BEGIN IMMEDIATE`, with foreign keys off.

        Commits at the end of the block, rolls back if it raises. No other write runs meanwhile.
        """
        if self.place.read_only:
            raise self._read_only()
        with self._commit.alone(self.place.lock_timeout), self._raw_exclusive() as conn:
            from chatstore.sql.engine.alchemy import transaction

            with transaction(conn, self._writer) as connection:
                yield connection

    @contextlib.contextmanager
    def _raw_exclusive(self) -> Iterator[sqlite3.Connection]:
        writer = self._writer
        try:
            held = writer.open()
            writer.enter()
            if self.place.path is None:
                held.execute("PRAGMA foreign_keys=OFF").close()
                try:
                    yield held
                finally:
                    held.execute("PRAGMA foreign_keys=ON").close()
            else:
                with contextlib.closing(self._connector.connect("migration")) as conn:
                    yield conn
        finally:
            writer.leave()

    @override
    def checkpoint(self) -> bool:
        """Moves the log into the file and empties it; False if readers kept it in use."""
        return self._checkpoint(self.place.lock_timeout)

    @override
    def tidy(self) -> None:
        # What was written is durable: nothing of this may make it look as if it had failed.
        with contextlib.suppress(ChatStoreError):
            self._checkpoint(0.0)

    def _checkpoint(self, patience: float) -> bool:
        if self.place.path is None or self.place.read_only:
            return True
        deadline = time.monotonic() + patience
        with self._commit.alone(patience):
            writer = self._writer
            try:
                conn = writer.open()
                writer.enter(deadline - self.place.lock_timeout)
                while True:
                    with contextlib.closing(conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")) as c:
                        busy = c.fetchone()[0]
                    if not busy or time.monotonic() >= deadline:
                        return not busy
                    pause()
            except sqlite3.Error as error:
                raise writer.translate(error) from None
            finally:
                writer.leave()

    def backup(self, path: Path, *, overwrite: bool = False) -> None:
        """Writes a consistent, compact copy, readable by its owner only, while writers go on.

        Raises:
            ConflictError: There is a file of that name, and `overwrite` is not set.
            StoreFullError: There is no room for the copy; nothing is left of it.
        """
        target = path.resolve()
        if target == self.place.path:
            raise ConflictError(f"{self.name}: a database cannot be its own backup; name another.")
        if target.exists() and not overwrite:
            message = f"{path}: the file exists. Choose another name, or ask for overwriting."
            raise ConflictError(message)
        try:
            with replaced_file(target) as temporary:
                self._copy_into(temporary)
        except sqlite3.Error as error:
            raise faults.from_sqlite(error, str(path), target) from None
        except ChatStoreError:
            raise
        except OSError as error:
            raise faults.unreachable(str(path), error) from None

    def _copy_into(self, path: Path) -> None:
        if self.place.path is None:
            self._read_memory(lambda conn: conn.execute("VACUUM INTO ?", (str(path),)))
            return
        if self._closed:
            raise faults.closed(self.name)
        # Not one of the pool's: they refuse to write, even into another file.
        with contextlib.closing(self._connector.connect("reader")) as conn:
            conn.execute("PRAGMA query_only=OFF").close()
            conn.execute("VACUUM INTO ?", (str(path),)).close()

    def _read_memory(self, work: Callable[[Conn], T]) -> T:
        writer = self._writer
        if self._closed:
            raise faults.closed(self.name)
        try:
            writer.enter()
            # The lock makes it a snapshot.
            return work(cast(Conn, writer.open()))
        except sqlite3.Error as error:
            raise writer.translate(error) from None
        finally:
            writer.gate.leave()

    @override
    def close(self) -> None:
        self._commit.shut()
        self._closed = True
        self._readers.shut(lambda: faults.closed(self.name), time.monotonic() + DRAIN_SECONDS)
        self._workers.stop()
        # Last, so that the log is emptied by a connection that may write.
        self._writer.close(tidy=True)

    def freeze(self, deadline: float) -> bool:
        """Before a fork: see `fork.py`."""
        if self._closed:
            return True
        held = self._commit.alone(max(0.0, deadline - time.monotonic()))
        held.__enter__()
        self._held = held
        if self.place.path is None:
            return self._writer.gate.enter()
        self._writer.close(tidy=False)
        return self._readers.freeze(deadline)

    def thaw(self) -> None:
        """After a fork, in the parent."""
        held, self._held = self._held, None
        if self.place.path is None and held is not None:
            self._writer.gate.leave()
        self._readers.thaw()
        if held is not None:
            held.__exit__(None, None, None)

    def rebirth(self, *, clean: bool) -> None:
        """After a fork, in the child."""
        self._held = None
        writer = self._writer
        if not clean:
            self._connector.lost = True
            taint(
                self.place.path,
                [*self._readers.inherited(), *([writer.conn] if writer.conn else [])],
            )
            writer.conn = None
        elif self.place.path is None:
            writer.gate.leave()
        writer.forget()
        self._commit.reset()
        self._readers.reset()
        self.renew()
        if self._closed:
            self.close()

    def _read_only(self) -> StoreReadOnlyError:
        return StoreReadOnlyError(
            f"{self.name}: it was opened for reading only. Open it without read_only to write."
        )


def _in_snapshot(conn: sqlite3.Connection, work: Callable[[Conn], T]) -> T:
    conn.execute("BEGIN")
    try:
        return work(cast(Conn, conn))
    finally:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
