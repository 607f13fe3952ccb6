"""How a SQLite connection is made, and with which settings.

Writers put the file into WAL mode; readers leave it as it is, so that looking at a database that
turns out to be newer, or somebody else's, changes no byte of it. With `isolation_level=None` the
driver begins nothing by itself: every BEGIN is ours.
"""

import contextlib
import random
import sqlite3
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from chatstore.errors import ChatStoreError, StoreUnavailableError
from chatstore.sql.engine import faults
from chatstore.sql.engine.fork import is_tainted
from chatstore.sql.engine.sqlite.files import create_private, is_remote

Durability = Literal["full", "normal"]
Role = Literal["writer", "reader", "migration"]

# SQLite's own back-off sleeps up to 100 ms and starves (worst wait 8.5 s against 0.1 s). Who has
# waited for a while looks more often, and so comes before those who have just begun: 8 processes
# waited 0.3 s at worst where even waits made it 1.4 s. After a second it is no crowd but one long
# transaction, and not worth the processor.
_POLL = (0.0005, 0.0025)
_POLL_OFTEN = (0.00005, 0.0002)
_OFTEN = (0.02, 1.0)
_BUSY_MS = 5_000


@dataclass(slots=True)
class Place:
    """Where a database is, and how it is to be used. `path` is None for one in memory."""

    name: str
    path: Path | None
    durability: Durability = "full"
    lock_timeout: float = 30.0
    read_only: bool = False
    create: bool = True
    # A host's engine brings its own connections and its own journal mode.
    lent: Callable[[], sqlite3.Connection] | None = None

    @property
    def shared(self) -> bool:
        """Whether the one connection is the host's too: an engine in memory."""
        return self.lent is not None and self.path is None

    def translate(self, error: BaseException) -> ChatStoreError:
        """Our error for one of the driver's."""
        return faults.from_sqlite(error, self.name, self.path)


class Connector:
    """Opens connections to one place. Remembers what must be said or done only once."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.remote = place.path is not None and is_remote(place.path)
        self._warned = False
        self._identity: tuple[int, int] | None = None
        # What the last writer's connection found.
        self.wal = False
        # In a child that was forked while the database was in use.
        self.lost = False

    def connect(self, role: Role) -> sqlite3.Connection:
        """A new connection, set up for its role. Raises our errors."""
        self.look()
        if self.lost or is_tainted(self.place.path):
            raise faults.forked(self.place.name)
        try:
            conn = self._open()
            try:
                self._settle(conn, role)
            except BaseException:
                conn.close()
                raise
        except sqlite3.Error as error:
            raise self.place.translate(error) from None
        if self._identity is None:
            self._identity = self._identify()
        return conn

    def look(self) -> None:
        """Refuses a file that is not the one that was opened first."""
        if self._identity is not None and self._identity != self._identify():
            raise faults.vanished(self.place.name)

    def _identify(self) -> tuple[int, int] | None:
        path = self.place.path
        if path is None or self.remote:
            return None  # network file systems may number a file anew
        try:
            state = path.stat()
        except OSError:
            return (0, 0)
        return (state.st_dev, state.st_ino)

    def journal_mode(self, conn: sqlite3.Connection) -> str:
        """The journal mode of the file: `wal`, `delete` or another."""
        return str(_pragma(conn, "journal_mode"))

    def _open(self) -> sqlite3.Connection:
        place = self.place
        if place.lent is not None:
            return place.lent()
        if place.path is None:
            return _driver_connect(":memory:")
        if place.read_only:
            return _open_read_only(place.path)
        if place.create:
            try:
                create_private(place.path)
            except OSError as error:
                raise faults.unreachable(place.name, error) from None
        # Never `rwc`: SQLite would create the file again, readable by all, if it vanished.
        return _driver_connect(f"{place.path.as_uri()}?mode=rw")

    def _settle(self, conn: sqlite3.Connection, role: Role) -> None:
        place = self.place
        if place.shared:
            return
        conn.isolation_level = None
        if sys.version_info >= (3, 12):
            conn.autocommit = sqlite3.LEGACY_TRANSACTION_CONTROL
        wal = False
        busy = min(_BUSY_MS, int(place.lock_timeout * 1_000))
        conn.execute(f"PRAGMA busy_timeout={busy}").close()
        if role != "reader" and place.path is not None and not place.read_only:
            wal = self.wal = self._choose_journal(conn, place.path)
        # A rollback journal with NORMAL may be corrupted by a power cut.
        full = place.durability == "full" or not wal
        conn.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}").close()
        conn.execute(f"PRAGMA foreign_keys={'OFF' if role == 'migration' else 'ON'}").close()
        conn.execute("PRAGMA cache_size=-16000").close()
        conn.execute("PRAGMA mmap_size=0").close()
        conn.execute("PRAGMA cell_size_check=ON").close()
        # FAST leaves text in the pages that a deletion frees (133 copies after an erase), for no
        # gain that could be measured.
        conn.execute("PRAGMA secure_delete=ON").close()
        conn.execute(f"PRAGMA journal_size_limit={64 << 20}").close()
        if sys.platform == "darwin":
            # Apple's fsync leaves the data in the drive's cache.
            conn.execute("PRAGMA fullfsync=ON").close()
            conn.execute("PRAGMA checkpoint_fullfsync=ON").close()
        if role == "reader" and place.path is not None:
            conn.execute("PRAGMA query_only=ON").close()
        # Last, since the statements above may have to wait for a process that opens or closes. In
        # WAL mode a writer waits in our own loop only; a rollback journal's COMMIT waits too.
        conn.execute(f"PRAGMA busy_timeout={0 if wal and role == 'writer' else busy}").close()

    def _choose_journal(self, conn: sqlite3.Connection, path: Path) -> bool:
        """Sets WAL, or a rollback journal where WAL cannot work; whether it is WAL."""
        empty = path.stat().st_size == 0
        if self.place.lent is not None and not empty:
            return self.journal_mode(conn) == "wal"
        if empty:
            # Chat rows are long: 8 KiB pages waste 21 % of the payload, 4 KiB pages 28 %.
            conn.execute("PRAGMA page_size=8192").close()
        wanted = "delete" if self.remote else "wal"
        deadline = time.monotonic() + self.place.lock_timeout
        mode = ""
        while not mode:
            try:
                mode = self.journal_mode(conn)
                if mode != wanted:
                    mode = str(_pragma(conn, f"journal_mode={wanted}"))
            except sqlite3.OperationalError as error:
                # The switch ignores the busy timeout (30 of 1 200 concurrent opens failed at once).
                if not faults.is_busy(error) or time.monotonic() >= deadline:
                    raise
                pause()
        if mode != "wal" and not self._warned:
            self._warned = True
            why = "lies on a network file system" if self.remote else f"stays in {mode} mode"
            warnings.warn(
                f"{self.place.name} {why}, so that a rollback journal is used instead of WAL: "
                "correct, but slower, and readers wait for writers. Put the file on a local disk.",
                RuntimeWarning,
                stacklevel=2,
            )
        return mode == "wal"


def pause(waited: float = 0.0) -> None:
    """A short, uneven wait, so that those who poll do not keep step."""
    often = _OFTEN[0] <= waited < _OFTEN[1]
    time.sleep(random.uniform(*(_POLL_OFTEN if often else _POLL)))  # noqa: S311


def _pragma(conn: sqlite3.Connection, pragma: str) -> object:
    # An open cursor would keep a read transaction.
    with contextlib.closing(conn.execute(f"PRAGMA {pragma}")) as cursor:
        row = cursor.fetchone()
    return None if row is None else row[0]


def _driver_connect(database: str) -> sqlite3.Connection:
    options: dict[str, Any] = {}
    if sys.version_info >= (3, 12):
        options["autocommit"] = sqlite3.LEGACY_TRANSACTION_CONTROL
    conn: sqlite3.Connection = sqlite3.connect(
        database,
        timeout=_BUSY_MS / 1_000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        uri=database != ":memory:",
        **options,
    )
    return conn


def _open_read_only(path: Path) -> sqlite3.Connection:
    conn = _driver_connect(f"{path.as_uri()}?mode=ro")
    try:
        _pragma(conn, "schema_version")
    except sqlite3.OperationalError as error:
        conn.close()
        unreadable = faults.sqlite_code(error).startswith(("CANTOPEN", "READONLY"))
        # A WAL database in a folder that we cannot write needs `immutable`, which would not see
        # what stands in the log only.
        if unreadable and path.exists() and not _has_log(path):
            return _driver_connect(f"{path.as_uri()}?mode=ro&immutable=1")
        raise
    except BaseException:
        conn.close()
        raise
    return conn


def _has_log(path: Path) -> bool:
    try:
        return path.with_name(path.name + "-wal").stat().st_size > 0
    except FileNotFoundError:
        return False


def require_file(place: Place) -> None:
    """Refuses what is not there, or empty, where nothing may be created."""
    if place.path is None or (place.create and not place.read_only):
        return
    try:
        empty = place.path.stat().st_size == 0
    except OSError as error:
        raise faults.unreachable(place.name, error) from None
    if empty:
        message = f"{place.name}: the file is empty and holds no store. Check the path."
        raise StoreUnavailableError(message)
