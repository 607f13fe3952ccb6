"""`AsyncSQLChatStore`: the same store, for callers that await."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self, TypeVar

from chatstore import operations as ops
from chatstore.aio import AsyncChatStore
from chatstore.settle import in_thread
from chatstore.sql.carry import LONG, READS
from chatstore.sql.engine.sqlite.connector import Durability
from chatstore.sql.reading import needs_snapshot
from chatstore.sql.store import SQLChatStore
from chatstore.sql.turn import Raced
from chatstore.transfer import OnConflict, Snapshot, Stream, TransferReport

if TYPE_CHECKING:
    import sqlalchemy as sa

T = TypeVar("T")


class _Late(SQLChatStore):
    """The blocking face, whose schema is seen to when it is first used, in a worker thread."""

    def _begin(self) -> None:
        self._opening = threading.Lock()
        self._process = os.getpid()
        self.opened = False

    def open(self) -> None:
        """See to the schema, once."""
        if self._process != os.getpid():
            # The thread that had the lock when this process was forked does not exist here.
            self._opening, self._process = threading.Lock(), os.getpid()
        with self._opening:
            if not self.opened:
                self._open()
                self.opened = True

    @contextmanager
    def _snapshot(self) -> Iterator[Snapshot]:
        self.open()
        with super()._snapshot() as snapshot:
            yield snapshot

    def _restore(self, stream: Callable[[], Stream], on_conflict: OnConflict) -> TransferReport:
        self.open()
        return super()._restore(stream, on_conflict)


class AsyncSQLChatStore(AsyncChatStore):
    """`SQLChatStore` for callers that await. Tasks, and event loops, share one.

    An operation runs whole in a worker thread; those that write to SQLite at once share a commit,
    and appends to PostgreSQL wait for it in one thread. A write that is cancelled is settled before
    the cancellation arrives. The database is opened by `async with`, or by the first call.

    Args:
        url: As in `SQLChatStore`.
        ttl: As in `SQLChatStore`.
        namespace: As in `SQLChatStore`.
        durability: As in `SQLChatStore`.
        upgrade: As in `SQLChatStore`.
        strict: As in `SQLChatStore`.
        lock_timeout: As in `SQLChatStore`.
        create: As in `SQLChatStore`.
        read_only: As in `SQLChatStore`.
        backup: As in `SQLChatStore`.
        schema: As in `SQLChatStore`.

    Raises:
        ValueError: As in `SQLChatStore`; its other errors come from the first call.

    Example:
        >>> import asyncio
        >>> from chatstore import ChatMessage
        >>> async def main():
        ...     async with AsyncSQLChatStore("sqlite://") as store:
        ...         _ = await store.add_message("user1", ChatMessage("Hello"))
        ...         return await store.count_messages("user1")
        >>> asyncio.run(main())
        1
    """

    def __init__(
        self,
        url: "str | os.PathLike[str] | sa.URL | sa.Engine",
        *,
        ttl: float | None = None,
        namespace: str = "",
        durability: Durability = "full",
        upgrade: bool | None = None,
        strict: bool = False,
        lock_timeout: float = 30.0,
        create: bool = True,
        read_only: bool = False,
        backup: bool = True,
        schema: str | None = None,
    ) -> None:
        self._store = _Late(
            url,
            ttl=ttl,
            namespace=namespace,
            durability=durability,
            upgrade=upgrade,
            strict=strict,
            lock_timeout=lock_timeout,
            create=create,
            read_only=read_only,
            backup=backup,
            schema=schema,
        )
        self._strict = strict

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._store._database.name!r})"

    async def __aenter__(self) -> Self:
        if not self._store.opened:
            await in_thread(self._store.open)
        return self

    async def close(self) -> None:
        """Let go of files and connections. Closing twice is fine."""
        await self._store._database.aclose()

    async def _execute(self, operation: ops.Operation[T]) -> T:
        if not self._store.opened:
            await in_thread(self._store.open)
        store, database = self._store, self._store._database
        kind = type(operation)
        if kind in READS:
            work = store._carrier.reading(operation)
            return await database.aread(work, snapshot=needs_snapshot(operation))
        if kind in LONG:
            return await in_thread(store._execute, operation)
        for attempt in store._carrier.attempts(operation):
            try:
                return await database.awrite(attempt)
            except Raced:
                continue
        raise store._lost_races()

    def _blocking(self) -> SQLChatStore:
        return self._store
