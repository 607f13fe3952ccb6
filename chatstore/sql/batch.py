"""What a leader does in its turn: one transaction for a batch of ops.

Members are kept apart by savepoints: one that fails is rolled back alone. Work may run twice. When
SQLite itself rolled back the whole transaction (disk full, I/O error) or the leader's thread was
interrupted, members who were not at fault are run again.
"""

import sqlite3
from typing import Protocol

from chatstore.errors import ChatStoreError
from chatstore.sql.op import Op, copy_of


class Transactions(Protocol):
    """What a batch needs of a writer."""

    def begin(self, since: float | None) -> sqlite3.Connection:
        """Starts a transaction; `since` is when the caller began to wait, if it did."""

    def commit(self, conn: sqlite3.Connection) -> None:
        """Makes it durable, or raises the driver's error or ours."""

    @property
    def committed(self) -> bool:
        """Whether the transaction is durable, also if an interruption hid the answer."""

    def leave(self) -> None:
        """Ends whatever is left of it. May be called twice."""

    def translate(self, error: BaseException) -> BaseException:
        """Our error for a driver's; any other error as it is."""

    @property
    def patience(self) -> float:
        """The lock timeout in seconds."""


class Batches:
    """Serves batches, one after the other: on return each op has its value or its error."""

    def __init__(self, writer: Transactions) -> None:
        self._writer = writer
        # Whose transaction it is that a COMMIT makes durable.
        self._members: list[Op] = []

    def serve(self, conn: sqlite3.Connection, batch: list[Op], own: Op | None) -> None:
        """Runs and commits. `own` is the op of the thread that leads."""
        if len(batch) == 1:
            self._members = batch
            self._run_one(conn, batch[0], own)
        elif batch:
            self._run_many(conn, batch, own)

    def split(self, batch: list[Op], own: Op | None) -> tuple[list[Op], list[Op]]:
        """After an interruption: who can be told now, and who must be run again."""
        if self._writer.committed:
            for op in self._members:
                op.final = True
        told = [op for op in batch if op.final or op is own]
        again = [op for op in batch if not op.final and op is not own]
        for op in again:
            op.value = op.error = None
        return told, again

    def _run_one(self, conn: sqlite3.Connection, op: Op, own: Op | None) -> None:
        try:
            op.value = op.work(conn)
        except BaseException as error:  # noqa: BLE001
            self._blame(op, own, error)
            return
        try:
            self._writer.commit(conn)
        except (sqlite3.Error, ChatStoreError) as error:
            op.error = self._writer.translate(error)

    def _run_many(self, conn: sqlite3.Connection, batch: list[Op], own: Op | None) -> None:
        execute = conn.execute
        self._members = batch
        for op in batch:
            try:
                execute("SAVEPOINT op")
                op.value = op.work(conn)
                execute("RELEASE op")
            except BaseException as error:  # noqa: BLE001
                self._blame(op, own, error)
                try:
                    execute("ROLLBACK TO op")
                    execute("RELEASE op")
                except sqlite3.Error:
                    # There is no savepoint any more: SQLite rolled back all of it.
                    self._writer.leave()
                    self._run_apart(batch, own)
                    return
        try:
            self._writer.commit(conn)
        except sqlite3.IntegrityError:
            # A deferred constraint: only one by one can it be seen whose.
            self._writer.leave()
            self._run_apart(batch, own)
        except (sqlite3.Error, ChatStoreError) as error:
            for op in batch:
                op.error = op.error or copy_of(self._writer.translate(error))

    def _run_apart(self, batch: list[Op], own: Op | None) -> None:
        """Each that has not failed yet in a transaction of its own."""
        for op in batch:
            if op.error is None:
                self._members = [op]
                try:
                    conn = self._writer.begin(None)
                except Exception as error:  # noqa: BLE001
                    op.error = self._writer.translate(error)
                else:
                    self._run_one(conn, op, own)
            op.final = True
            self._writer.leave()
        self._members = batch

    def _blame(self, op: Op, own: Op | None, error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt) and own is not None:
            # It was meant for the leader's thread, not for the work that happened to run.
            raise error
        op.error = self._writer.translate(error)
