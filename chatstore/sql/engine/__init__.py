"""The door of the ground floor: a `Database` runs work on connections, and knows no messages.

`work` is a function that gets the driver's connection and runs statements that were compiled once.
It reads to the end what it selects, begins and commits nothing itself, and keeps no connection. It
may be run again after a rollback, so that all it changes is in the database; and it may run in
another caller's thread.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from chatstore.arguments import check_durability, check_timeout
from chatstore.sql.engine.conn import Conn
from chatstore.sql.engine.loops import Mailboxes, Workers, settle
from chatstore.sql.engine.op import Op
from chatstore.sql.engine.sqlite.connector import Durability

if TYPE_CHECKING:
    import sqlalchemy as sa

T = TypeVar("T")

# Each holds a page cache of up to 16 MB; more of them only wait for each other.
READERS = 8


class Database(ABC):
    """A database that works are run on, from threads and from tasks."""

    dialect: str
    name: str
    patience: str | None = None
    """For how many milliseconds a statement waits for locks, where works of one statement are
    worth making; else `None`."""

    def __init__(self, threads: int = READERS) -> None:
        self._threads = threads
        self.renew()

    def renew(self) -> None:
        """New threads and locks: at first, and in a forked child."""
        self._mailboxes = Mailboxes()
        self._workers = Workers(self._threads)

    @property
    def exists(self) -> bool:
        """Whether it is there, so that looking into it makes nothing."""
        return True

    @abstractmethod
    def read(self, work: Callable[[Conn], T], *, snapshot: bool = False) -> T:
        """Runs work that only reads. With `snapshot`, all its statements see one state."""

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[Conn]:
        """A connection for reading one state, held until the end of the block."""

    @abstractmethod
    def write(self, work: Callable[[Conn], T]) -> T:
        """Runs work in a transaction, and returns once that is durable.

        Work may have an attribute `sure`: it refuses nothing, so that it fails only if the
        database does; and one `repeatable`: running it again does no harm even if it has been
        stored. A `Single` is made durable by a server itself.
        """

    async def aread(self, work: Callable[[Conn], T], *, snapshot: bool = False) -> T:
        """`read`, in a worker thread. A cancellation waits until work that runs has ended."""
        op = self._op(work)
        self._submit(op, lambda: self.read(work, snapshot=snapshot))
        value: T = await settle(op, self._withdraw)  # type: ignore[assignment]
        return value

    @abstractmethod
    async def awrite(self, work: Callable[[Conn], T]) -> T:
        """`write`, for a task. A cancellation is delivered when the work is settled."""

    @abstractmethod
    def exclusive(self) -> "AbstractContextManager[sa.Connection]":
        """A transaction for changing the schema, on a connection of its own."""

    @abstractmethod
    def checkpoint(self) -> bool:
        """Makes what was deleted gone from the files; False if readers keep it in use."""

    def tidy(self) -> None:  # noqa: B027 - most have nothing to do
        """After much was written, does what the next write would have to wait for. Never fails."""

    @abstractmethod
    def close(self) -> None:
        """Ends what runs and closes all connections. Later calls raise StoreClosedError."""

    async def aclose(self) -> None:
        """`close`, without blocking the event loop."""
        await asyncio.to_thread(self.close)

    def _op(self, work: Callable[[Conn], Any]) -> Op:
        loop = asyncio.get_running_loop()
        op = Op(work)
        op.mail = self._mailboxes.of(loop)
        op.future = loop.create_future()
        return op

    def _submit(self, op: Op, call: Callable[[], Any]) -> None:
        op.queued = True
        self._workers.submit(lambda: self._serve(op, call))

    def _serve(self, op: Op, call: Callable[[], Any]) -> None:
        """Runs a task's call in a worker thread."""
        with self._workers.mutex:
            if not op.queued:
                return
            op.queued = False
        self._carry_out(op, call)

    def _carry_out(self, op: Op, call: Callable[[], Any]) -> None:
        """Runs the call, and tells the task how it ended."""
        try:
            op.value = call()
        except BaseException as error:  # noqa: BLE001
            op.error = error
        if op.mail is not None:
            op.mail.post([op])

    def _withdraw(self, op: Op) -> bool:
        with self._workers.mutex:
            waiting, op.queued = op.queued, False
        return waiting


def open_database(
    target: "str | Path | sa.URL | sa.Engine",
    *,
    durability: Durability = "full",
    lock_timeout: float = 30.0,
    read_only: bool = False,
    create: bool = True,
) -> Database:
    """Opens a database by URL, by path, or on a host application's engine.

    Args:
        target: `sqlite:///chat.db`, `sqlite://`, `postgresql://…`, a path, or an SQLAlchemy Engine,
            which is only borrowed from: it is neither configured nor closed.
        durability: `full` survives a power cut, `normal` only the death of the process. SQLite.
        lock_timeout: How many seconds to wait for other writers before StoreBusyError.
        read_only: Nothing is written, not even the file's journal mode.
        create: Whether a missing SQLite file is created.

    Raises:
        ValueError: The URL or the engine is of a kind that cannot be used; no such durability.
        ImportError: PostgreSQL's driver is not installed.
        StoreUnavailableError: The file is missing and must not be created.
    """
    from chatstore.sql.engine.target import is_postgres, sqlite_place

    check_durability(durability)
    lock_timeout = check_timeout("lock_timeout", lock_timeout)
    if not isinstance(target, Path) and is_postgres(target):
        from chatstore.sql.engine.postgres.database import PostgresDatabase
        from chatstore.sql.engine.postgres.server import Server

        return PostgresDatabase(Server(target), lock_timeout=lock_timeout, read_only=read_only)
    from chatstore.sql.engine.sqlite.database import SQLiteDatabase

    place = sqlite_place(target)
    place.durability = durability
    place.lock_timeout = lock_timeout
    place.read_only = place.read_only or read_only
    place.create = place.create and create
    return SQLiteDatabase(place)
