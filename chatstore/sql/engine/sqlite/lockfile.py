"""One writer among the processes, for the SQLite libraries that need it.

SQLite 3.7.0 to 3.51.2 can corrupt a WAL database when one connection checkpoints while another
resets the log (sqlite.org/wal.html#walresetbug): 7 of 96 hostile rounds on 3.40.1, 0 of 63 with a
lock around every write transaction and every checkpoint. The lock is `flock` on a file of its own
beside the database: closing that file releases no lock that SQLite holds, as closing the database
file would.
"""

import contextlib
import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from typing_extensions import override

from chatstore.sql.engine import faults


def has_wal_reset_bug(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite has the bug: 3.7.0 to 3.51.2, but for the two repaired branches."""
    repaired_branch = (3, 44, 6) <= version < (3, 45, 0) or (3, 50, 7) <= version < (3, 51, 0)
    return (3, 7, 0) <= version <= (3, 51, 2) and not repaired_branch


class Gate(Protocol):
    """What a write transaction holds beside SQLite's own lock. `leave` may be called twice."""

    def enter(self) -> bool:
        """Takes it if it is free."""

    def leave(self) -> None:
        """Gives it back, if we have it."""

    def close(self) -> None:
        """Frees what it holds of the system. It can be entered again."""

    def forget(self) -> None:
        """In a forked child: what it held is still the parent's, and stays untouched."""


class OpenGate:
    """No gate: the library is sound, or the file is not in WAL mode."""

    def enter(self) -> bool:
        """Always."""
        return True

    def leave(self) -> None:
        """Nothing to give back."""

    def close(self) -> None:
        """Nothing to free."""

    def forget(self) -> None:
        """Nothing to forget."""


class MemoryGate:
    """For a database in memory: its one connection serves readers and writers, one at a time."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._lock = threading.RLock()

    def enter(self) -> bool:
        """Waits for up to the lock timeout. A thread that is inside may enter again."""
        return self._lock.acquire(timeout=self._patience)

    def leave(self) -> None:
        """Steps back once."""
        # No flag of ours, which an interruption could leave wrong.
        if self._lock._is_owned():  # type: ignore[attr-defined]
            self._lock.release()

    def close(self) -> None:
        """Nothing to free."""

    def forget(self) -> None:
        """In a forked child: whoever was inside does not exist here."""
        self._lock = threading.RLock()


class BorrowedGate(MemoryGate):
    """For a host's engine in memory: the connection is made ours on the way in, theirs after."""

    def __init__(self, patience: float, conn: sqlite3.Connection) -> None:
        super().__init__(patience)
        self._conn = conn
        self._depth = 0
        self._theirs: Callable[[], None] | None = None

    @override
    def enter(self) -> bool:
        if not super().enter():
            return False
        conn = self._conn
        if self._depth == 0:
            if conn.in_transaction:
                # The host's own transaction, which is neither ours to join nor to commit.
                super().leave()
                return False
            self._theirs = _keep(conn)
            conn.isolation_level = None
            conn.row_factory, conn.text_factory = None, str
            conn.execute("PRAGMA foreign_keys=ON").close()
        self._depth += 1
        return True

    @override
    def leave(self) -> None:
        if self._depth == 1 and self._theirs is not None:
            self._theirs()
        self._depth = max(0, self._depth - 1)
        super().leave()

    @override
    def forget(self) -> None:
        super().forget()
        self._depth = 0


def _keep(conn: sqlite3.Connection) -> Callable[[], None]:
    level, rows, text = conn.isolation_level, conn.row_factory, conn.text_factory
    keys = conn.execute("PRAGMA foreign_keys").fetchone()[0]

    def restore() -> None:
        conn.execute(f"PRAGMA foreign_keys={keys}").close()
        conn.isolation_level = level
        conn.row_factory, conn.text_factory = rows, text

    return restore


class LockFile:
    """A gate between processes. One thread at a time uses it: the one that leads the writers.

    Args:
        database: The file that it stands beside.
        name: What a user calls that.
    """

    def __init__(self, database: Path, name: str) -> None:
        self._name = name
        self.path = database.with_name(database.name + "-lock")
        self._database = database
        self._fd: int | None = None
        self._lock, self._take, self._give = _primitives()

    def enter(self) -> bool:
        """Takes the lock if nobody has it."""
        try:
            if self._fd is None:
                self._fd = self._open()
            self._lock(self._fd, self._take)
        except (BlockingIOError, PermissionError) as error:
            if self._fd is not None:
                return False
            raise faults.unreachable(self._name, error) from None
        except OSError as error:
            raise faults.unreachable(self._name, error) from None
        return True

    def leave(self) -> None:
        """Gives the lock back. The file stays: removing it would split those who wait."""
        if self._fd is not None:
            self._lock(self._fd, self._give)

    def close(self) -> None:
        """Closes the file, which also gives the lock back."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def __del__(self) -> None:
        # A store that nobody closed: SQLite's connections go with it, and so must this.
        with contextlib.suppress(OSError):
            self.close()

    def _open(self) -> int:
        # Python's descriptors are not inherited by a program that is started meanwhile (PEP 446).
        with contextlib.suppress(FileExistsError):
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            # Who may write the database may lock it, also when it was root who came first;
            # SQLite does the same for its -wal.
            if hasattr(os, "fchown"):
                state = self._database.stat()
                os.fchmod(fd, state.st_mode & 0o666)
                if os.geteuid() == 0:
                    os.fchown(fd, state.st_uid, state.st_gid)
            return fd
        return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)

    def forget(self) -> None:
        """Leaves the descriptor open: it is the parent's lock too."""
        self._fd = None


def _primitives() -> tuple[Callable[[int, int], object], int, int]:
    """The system's call, and how it is told to take and to give back."""
    if sys.platform == "win32":
        import msvcrt

        def locking(fd: int, mode: int) -> None:
            if mode == msvcrt.LK_NBLCK:
                msvcrt.locking(fd, mode, 1)
            else:
                with contextlib.suppress(OSError):  # it was not locked
                    msvcrt.locking(fd, mode, 1)

        return locking, msvcrt.LK_NBLCK, msvcrt.LK_UNLCK

    import fcntl

    return fcntl.flock, fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_UN
