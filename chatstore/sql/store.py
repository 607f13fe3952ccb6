"""`SQLChatStore`: a store in a SQLite file, in SQLite's memory, or on PostgreSQL."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from chatstore import arguments
from chatstore import operations as ops
from chatstore.errors import StoreBusyError
from chatstore.sql import transfer, upkeep
from chatstore.sql.carry import RACES, READS, Carrier
from chatstore.sql.dialects import statements
from chatstore.sql.engine import open_database
from chatstore.sql.engine.conn import Conn
from chatstore.sql.engine.sqlite.connector import Durability
from chatstore.sql.reading import needs_snapshot
from chatstore.sql.schema import ensure
from chatstore.sql.turn import Raced
from chatstore.store import ChatStore
from chatstore.transfer import OnConflict, Snapshot, Stream, TransferReport

if TYPE_CHECKING:
    import sqlalchemy as sa

T = TypeVar("T")

_MUCH = 1000
"""Messages of an import after which the log is worth emptying at once."""


class SQLChatStore(ChatStore):
    """The store in a SQL database. Threads share one; so do a process and its forks.

    Args:
        url: "chat.db", "sqlite:///chat.db", "sqlite://" (in memory), "postgresql://…", or an
            SQLAlchemy `Engine`, from which connections are borrowed and which is not closed.
        ttl: Seconds that new conversations live after each write; `None`: for ever.
        namespace: Stores with different namespaces over one database never see each other.
        durability: On SQLite, "full" survives a power cut, "normal" the death of the process.
        upgrade: Whether an older schema is upgraded; `None`: on SQLite yes, on PostgreSQL no.
        strict: Raise for a stored message that cannot be decoded, instead of returning an
            `UndecodableMessage`.
        lock_timeout: Seconds to wait for other writers before `StoreBusyError`.
        create: Whether a SQLite file that is missing is created.
        read_only: Whether nothing is written, not even by opening.
        backup: Whether a SQLite file with conversations is copied before its schema is upgraded.
        schema: PostgreSQL's schema for the tables, if not the default one.

    Raises:
        ValueError: The URL or the engine cannot be used; an argument is out of its range.
        StoreUnavailableError: The file is missing and must not be created; no server answers.
        StoreReadOnlyError: The file, or its folder, cannot be written.
        StoreCorruptError: The file is damaged, or is no database.
        SchemaOutdatedError: The schema is older and is not to be upgraded.
        SchemaTooNewError: A newer version wrote the schema; nothing was touched.

    Example:
        >>> from chatstore import ChatMessage
        >>> with SQLChatStore("sqlite://") as store:
        ...     _ = store.add_message("user1", ChatMessage("Hello"))
        ...     store.count_messages("user1")
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
        ttl_in_us, namespace = arguments.ttl_in_us(ttl), arguments.check_namespace(namespace)
        self._strict = strict
        self._schema: dict[str, Any] = {"upgrade": upgrade, "backup": backup, "schema": schema}
        self._database = open_database(
            _target(url),
            durability=durability,
            lock_timeout=lock_timeout,
            read_only=read_only,
            create=create,
        )
        sql = statements(self._database.dialect, schema)
        self._carrier = Carrier(sql, namespace, ttl_in_us, self._database.patience)
        try:
            self._begin()
        except BaseException:
            self._database.close()
            raise

    def _begin(self) -> None:
        self._open()

    def _open(self) -> None:
        """See to the schema: the part of opening that waits for a disk or a server."""
        ensure(self._database, **self._schema)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._database.name!r})"

    def close(self) -> None:
        """Let go of files and connections. Closing twice is fine."""
        self._database.close()

    def _execute(self, operation: ops.Operation[T]) -> T:
        kind = type(operation)
        if kind in READS:
            work = self._carrier.reading(operation)
            return self._database.read(work, snapshot=needs_snapshot(operation))
        if kind is ops.PurgeExpired:
            return cast(T, self._purge())
        result = self._write(self._carrier.attempts(operation))
        if kind is ops.Erase:
            self._clean()
        return result

    def _write(self, attempts: Iterable[Callable[[Conn], T]]) -> T:
        for work in attempts:
            try:
                return self._database.write(work)
            except Raced:
                continue
        raise self._lost_races()

    def _lost_races(self) -> StoreBusyError:
        return StoreBusyError(
            f"{self._database.name}: others changed the conversation each time it was about to be "
            "written; nothing was. Repeat the call"
        )

    def _purge(self) -> int:
        freed = 0
        while True:
            batch = self._write(self._carrier.attempts(ops.PurgeExpired()))
            freed += batch
            if batch < upkeep.PURGE_BATCH:
                return freed

    def _clean(self) -> None:
        if not self._database.checkpoint():
            raise StoreBusyError(
                f"{self._database.name}: the conversation is removed, but a reader keeps its old "
                "text alive. Call erase again when no long read is on its way"
            )

    @contextmanager
    def _snapshot(self) -> Iterator[Snapshot]:
        with self._database.snapshot() as conn:
            yield transfer.snapshot(self._carrier.turn(conn))

    def _restore(self, stream: Callable[[], Stream], on_conflict: OnConflict) -> TransferReport:
        def work(conn: Conn) -> TransferReport:
            with closing(stream()) as conversations:
                return transfer.restore(self._carrier.turn(conn), conversations, on_conflict)

        report = self._write(repeat(work, RACES))
        if report.messages >= _MUCH:
            self._database.tidy()
        return report


def _target(
    url: "str | os.PathLike[str] | sa.URL | sa.Engine",
) -> "str | Path | sa.URL | sa.Engine":
    if url == ":memory:":
        return "sqlite://"
    if isinstance(url, os.PathLike) or (isinstance(url, str) and "://" not in url):
        return Path(arguments.check_url(url))
    return url
