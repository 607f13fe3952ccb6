"""What a leader does in its turn: one transaction for a batch of ops.

Members are kept apart by savepoints: one that fails is rolled back alone. A savepoint costs a third
of an append (m), so that two do without: the first while it is the only one, and those that are
`sure`. Work may run twice. When SQLite itself rolled back the whole transaction (disk full, I/O
error), when one without a savepoint failed after all, or when the leader's thread was interrupted,
members who were not at fault are run again.
"""

import sqlite3
import time
from collections.abc import Callable
from typing import Protocol

from chatstore.errors import ChatStoreError
from chatstore.sql.engine.op import Op, copy_of

LINGER = 0.001
"""Seconds that a leader waits for others at most, however long the last commit took."""


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

    def __init__(
        self, writer: Transactions, queue: list[Op], fill: Callable[[list[Op]], object]
    ) -> None:
        self._writer = writer
        # Who has queued meanwhile, and what adds them to a batch.
        self._queue = queue
        self._fill = fill
        # How many lately shared a commit, and the seconds that one took.
        self._crowd = 1
        self._flush = 0.0
        # Whose transaction it is that a COMMIT makes durable.
        self._members: list[Op] = []

    def serve(self, conn: sqlite3.Connection, batch: list[Op], own: Op | None) -> None:
        """Runs and commits. `own` is the op of the thread that leads; the batch may grow."""
        self._members = batch
        done, until = 0, 0.0
        while done < len(batch):
            op = batch[done]
            alone = len(batch) == 1
            run = self._run if alone or op.sure else self._run_saved
            if not run(conn, op, own):
                if not alone:
                    self._writer.leave()
                    self._run_apart(batch, own)
                return
            done += 1
            if done == len(batch):
                if self._queue:
                    self._fill(batch)
                if len(batch) == done < self._crowd:
                    until = until or time.monotonic() + min(self._flush / 2, LINGER)
                    self._linger(batch, until)
        self._crowd = max(done, self._crowd // 2)
        if done == 1:
            self._commit(conn, batch, own)
        elif done:
            begun = time.monotonic()
            self._commit(conn, batch, own)
            self._flush = time.monotonic() - begun

    def _linger(self, batch: list[Op], until: float) -> None:
        """Lets those come who shared the last commit, for half of what that took at most.

        They were released all at once and come back one by one. A leader who began with the two
        who are there first would flush the disk for these, and then again for all the others.
        """
        there = len(batch)
        while len(batch) == there and time.monotonic() < until:
            time.sleep(0)  # gives the others Python's own lock
            if self._queue:
                self._fill(batch)

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

    def _run(self, conn: sqlite3.Connection, op: Op, own: Op | None) -> bool:
        """Runs one without a savepoint; False if it failed, and the transaction with it."""
        try:
            op.value = op.work(conn)
        except BaseException as error:  # noqa: BLE001
            self._blame(op, own, error)
            return False
        return True

    def _run_saved(self, conn: sqlite3.Connection, op: Op, own: Op | None) -> bool:
        """Runs one in a savepoint; False if it failed, and the transaction with it."""
        execute = conn.execute
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
                return False  # there is no savepoint any more: SQLite rolled back all of it
        return True

    def _commit(self, conn: sqlite3.Connection, batch: list[Op], own: Op | None) -> None:
        try:
            self._writer.commit(conn)
        except (sqlite3.Error, ChatStoreError) as error:
            if len(batch) > 1 and isinstance(error, sqlite3.IntegrityError):
                # A deferred constraint: only one by one can it be seen whose.
                self._writer.leave()
                self._run_apart(batch, own)
                return
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
                    if self._run(conn, op, own):
                        self._commit(conn, self._members, own)
            op.final = True
            self._writer.leave()
        self._members = batch

    def _blame(self, op: Op, own: Op | None, error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt) and own is not None:
            # It was meant for the leader's thread, not for the work that happened to run.
            raise error
        op.error = self._writer.translate(error)
