"""The one connection that writes, and its transactions.

Only the thread that leads (see `commit.py`) uses it. Waiting is ours, short and uneven, for up to
the lock timeout.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable

from chatstore.errors import ChatStoreError, StoreCorruptError
from chatstore.sql.engine import faults
from chatstore.sql.engine.sqlite.connector import Connector, Place, pause
from chatstore.sql.engine.sqlite.lockfile import (
    BorrowedGate,
    Gate,
    LockFile,
    MemoryGate,
    OpenGate,
    has_wal_reset_bug,
)

# How long a writer may go on in a file that was deleted or replaced under it.
_LOOK_SECONDS = 0.2


class Writer:
    """Opens its connection when first used."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._place = connector.place
        memory = self._place.path is None
        self.gate: Gate = MemoryGate(self._place.lock_timeout) if memory else OpenGate()
        self.conn: sqlite3.Connection | None = None
        self._execute: Callable[[str], object] = _closed
        self._look_again = 0.0
        # Whether anything was committed, so that closing may tidy up.
        self.wrote = False
        self._commit_began = False
        self._commit_failed = False
        # After damage was seen, writing on could make it worse.
        self._damage: str | None = None

    def open(self) -> sqlite3.Connection:
        """The connection, and with it the gate that its journal mode needs."""
        if self.conn is None:
            conn = self._connector.connect("writer")
            path = self._place.path
            if self._place.shared:
                self.gate = BorrowedGate(self._place.lock_timeout, conn)
            elif path is not None:
                wal = self._connector.wal
                bug = has_wal_reset_bug(sqlite3.sqlite_version_info)
                if not (wal and bug):
                    self.gate = OpenGate()
                elif not isinstance(self.gate, LockFile):
                    self.gate = LockFile(path, self._place.name)
            # One cursor for all of BEGIN and COMMIT.
            self._execute = conn.cursor().execute
            self.conn = conn
        return self.conn

    def begin(self, since: float | None) -> sqlite3.Connection:
        """Takes the gate and SQLite's write lock; StoreBusyError after the lock timeout."""
        if self._damage is not None:
            raise StoreCorruptError(self._damage)
        self._commit_began = self._commit_failed = False
        conn = self.conn
        if conn is None:
            conn = self.open()
        if not self.gate.enter():
            self.enter(since)
        if time.monotonic() >= self._look_again:
            # SQLite writes on into a file that was deleted, and every answer would be a lie.
            self._connector.look()
            self._look_again = time.monotonic() + _LOOK_SECONDS
        try:
            self._execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not faults.is_busy(error):
                raise
            self.wait(lambda: self._execute("BEGIN IMMEDIATE"), since)
        return conn

    def enter(self, since: float | None = None) -> None:
        """Takes the gate; StoreBusyError after the lock timeout."""
        patience: _Patience | None = None
        while not self.gate.enter():
            patience = patience or _Patience(self._place, since)
            patience.spend()

    def wait(self, step: Callable[[], object], since: float | None = None) -> None:
        """Repeats a step for as long as others keep the database locked."""
        patience: _Patience | None = None
        while True:
            try:
                step()
            except sqlite3.OperationalError as error:
                if not faults.is_busy(error):
                    raise
                patience = patience or _Patience(self._place, since)
                patience.spend()
            else:
                return

    def commit(self, conn: sqlite3.Connection) -> None:
        """One COMMIT; with a rollback journal it may have to wait for readers."""
        self._commit_began = True
        try:
            self._execute("COMMIT")
        except sqlite3.OperationalError as error:
            # First of all, before a signal can come: `committed` must not take it for a success.
            self._commit_failed = True
            if not faults.is_busy(error) or not conn.in_transaction:
                raise
            self.wait(lambda: conn.execute("COMMIT"))
            self._commit_failed = False
        except BaseException:
            self._commit_failed = conn.in_transaction
            raise
        self.wrote = True

    @property
    def committed(self) -> bool:
        """An interruption may come after SQLite's COMMIT and before Python's next step."""
        conn = self.conn
        done = self._commit_began and not self._commit_failed
        return done and conn is not None and not conn.in_transaction

    @property
    def patience(self) -> float:
        """The lock timeout in seconds."""
        return self._place.lock_timeout

    def leave(self) -> None:
        """Rolls back what was not committed and gives the gate back."""
        conn = self.conn
        if conn is not None and conn.in_transaction:
            self._commit_failed = True
            try:
                conn.execute("ROLLBACK")
            except sqlite3.Error:
                # Closing it rolls back too; the next transaction gets a new one.
                self.close(tidy=False)
                return
        self.gate.leave()

    def translate(self, error: BaseException) -> BaseException:
        """Our error for a driver's. Damage is remembered: nothing is written after it."""
        if not isinstance(error, sqlite3.Error):
            return error
        ours = self._place.translate(error)
        if isinstance(ours, StoreCorruptError):
            self._damage = str(ours)
        return ours

    def close(self, *, tidy: bool) -> None:
        """Closes the connection. The last one to close a WAL database also empties the log."""
        conn, self.conn = self.conn, None
        self._execute = _closed
        if conn is not None and not self._place.shared:
            with contextlib.suppress(sqlite3.Error, ChatStoreError):
                if tidy and self.wrote and self._damage is None and self.gate.enter():
                    conn.execute("PRAGMA analysis_limit=400").close()
                    conn.execute("PRAGMA optimize").close()
            conn.close()
        self.gate.leave()
        self.gate.close()

    def forget(self) -> None:
        """In a forked child: a file's connection is the parent's; one in memory is our copy."""
        if self._place.path is not None:
            self.conn = None
        self.gate.forget()


class _Patience:
    """What a caller may still wait, of the lock timeout that began when it came."""

    def __init__(self, place: Place, since: float | None) -> None:
        self._place = place
        self._begun = time.monotonic()
        self._came = self._begun if since is None else since

    def spend(self) -> None:
        """Waits a little; StoreBusyError when the time is over."""
        now = time.monotonic()
        if now - self._came >= self._place.lock_timeout:
            raise faults.busy(self._place.name, self._place.lock_timeout) from None
        pause(now - self._begun)


def _closed(sql: str) -> object:
    message = f"no connection for {sql}"
    raise AssertionError(message)
