"""Group commit: whoever comes while a commit is on its way shares the next one.

A durable commit costs one flush of the disk, whatever it carries. So there is a leader. A caller
who finds none leads: it begins a transaction, runs its own work and that of all who have queued
meanwhile, commits once, hands the lead to one of those who came later, and tells its members. A
caller alone pays nothing for this. Nobody is told "stored" before the commit.

A signal (KeyboardInterrupt) may strike the leader or a waiter between any two calls. Therefore the
steps that decide who leads and who is queued hold no call between reading and writing (CPython
delivers signals after calls and on backward jumps only), and every step that ends a turn may be
repeated: `surely` repeats it and raises the interruption afterwards.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

from chatstore.errors import StoreBusyError, StoreClosedError
from chatstore.sql.engine import faults
from chatstore.sql.engine.op import Mail, Op, copy_of, surely
from chatstore.sql.engine.sqlite.batch import Batches, Transactions
from chatstore.sql.engine.sqlite.crew import Crew

# A batch holds its savepoints' undo pages in memory and its members' time in its hands.
MAX_BATCH = 128


class _Lead(Enum):
    CREW = "the thread that leads when only tasks wait"
    SHUT = "nobody leads any more"


def _nothing(conn: object) -> None:
    """The work of one who only wants to lead."""


class GroupCommit:
    """Runs works in shared transactions, one leader at a time."""

    def __init__(self, writer: Transactions, name: str) -> None:
        self._writer = writer
        self._name = name
        self.reset()

    def reset(self) -> None:
        """A new start: nobody leads, nobody waits. For a new object and for a forked child."""
        self._mutex = threading.Lock()
        self._leader: Op | _Lead | None = None
        self._crew_thread = 0
        self._queue: list[Op] = []  # this very list, for as long as it lives: batches see it too
        self._alone: list[Op] = []
        self._batches = Batches(self._writer, self._queue, self._fill)
        self._closing = False
        self._crew = Crew(lambda: self._leader is _Lead.CREW, lambda: self._lead(_Lead.CREW, None))

    # ------------------------------------------------------------------ callers

    def write(self, work: Callable[[Any], Any]) -> Any:
        """Runs the work in a transaction; returns when it is durable."""
        op = Op(work, threading.get_ident())
        try:
            with self._mutex:
                leads = self._leader is None
                if leads:
                    self._leader = op
            if not leads:
                self._line_up(op, self._queue)
            if not op.settled:
                self._lead(op, op)
        except BaseException:
            surely(lambda: self._withdraw(op))
            raise
        if op.error is not None:
            try:
                raise op.error
            finally:
                # Not a cycle of frame, op and traceback, which would keep the work's data alive.
                del op
        return op.value

    def submit(self, op: Op) -> None:
        """Queues a task's work; its result goes to its mail. In the thread of its event loop."""
        op.since = time.monotonic()
        with self._mutex:
            if self._closing:
                raise faults.closed(self._name)
            op.queued = True
            self._queue += (op,)
            idle = self._leader is None
        if idle and op.mail is not None:
            # At the end of this turn, so that all tasks of the turn share one commit.
            op.mail.call_soon(self._appoint)

    def withdraw(self, op: Op) -> bool:
        """Takes a task's work back, if it has not begun."""
        with self._mutex:
            if op in self._queue:
                self._queue.remove(op)
                return True
        return False

    @contextlib.contextmanager
    def alone(self, timeout: float | None = None) -> Iterator[None]:
        """Leads without a transaction, before all who queue: for migrations, forks, closing."""
        op = Op(_nothing, threading.get_ident())
        try:
            self._line_up(op, self._alone, timeout)
            with self._mutex:
                if op in self._alone:
                    self._alone.remove(op)
            yield
        finally:
            surely(lambda: self._withdraw(op))

    def shut(self) -> None:
        """After those who queue have been served, serves nobody any more."""
        if self.leading_here:
            raise self._nested()
        self._closing = True
        while self._leader is not _Lead.SHUT:
            with contextlib.suppress(StoreClosedError), self.alone(), self._mutex:
                if not self._queue:
                    self._leader = _Lead.SHUT
        for op in self._alone:
            op.rouse()
        self._crew.stop()

    @property
    def leading_here(self) -> bool:
        """Whether this very thread leads or waits, knowing it or not: a signal may have come."""
        me, leader = threading.get_ident(), self._leader
        lead = self._crew_thread if leader is _Lead.CREW else getattr(leader, "thread", None)
        # Copies: others go on changing the lines, and the mutex may be held beneath a signal.
        return lead == me or me in [op.thread for op in [*self._queue, *self._alone]]

    def _nested(self) -> RuntimeError:
        return RuntimeError(f"{self._name}: a call inside a write would wait for itself.")

    # ------------------------------------------------------------------ who leads

    def _line_up(self, op: Op, line: list[Op], timeout: float | None = None) -> None:
        """Returns when the op leads, or is settled."""
        while True:
            if self._leader is not None:
                if self.leading_here:
                    raise self._nested()
                op.expect_to_wait()
            with self._mutex:
                if self._leader is None:
                    self._leader = op
                    return
                refused = self._leader is _Lead.SHUT or (self._closing and line is self._queue)
                if refused:
                    break
                if op.wake is not None:
                    op.queued = line is self._queue
                    line += (op,)
                    break
        if refused or op.wake is None:
            raise faults.closed(self._name)
        deadline = None if timeout is None else time.monotonic() + timeout
        while not op.settled and self._leader is not op:
            if self._leader is _Lead.SHUT:
                raise faults.closed(self._name)
            if deadline is None:
                op.wake.acquire()
            elif not op.wake.acquire(timeout=max(0.0, deadline - time.monotonic())):
                raise StoreBusyError(f"{self._name}: others are still writing. Repeat the call.")

    def _appoint(self) -> None:
        """Names a leader for those who queue, if there is none."""
        with self._mutex:
            if self._leader is None:
                self._name_leader()
        self._rouse_leader()

    def _name_leader(self) -> None:
        # Under the mutex; no calls.
        if self._alone:
            self._leader = self._alone[0]
        elif self._queue:
            self._leader = self._queue[0] if self._queue[0].mail is None else _Lead.CREW
        else:
            self._leader = None

    def _rouse_leader(self) -> None:
        leader = self._leader
        if isinstance(leader, Op):
            leader.rouse()
        elif leader is _Lead.CREW:
            self._crew.rouse()

    def _withdraw(self, op: Op) -> None:
        """Undoes what an op of this thread holds, however it came to leave. May be repeated."""
        waits = False
        with self._mutex:
            for line in (self._queue, self._alone):
                if op in line:
                    op.queued = False
                    line.remove(op)
            if self._leader is op:
                self._name_leader()
            waits = op.queued
        self._rouse_leader()
        while waits and not op.settled and op.wake is not None:
            # Another leads with it: it is stored or it failed, soon.
            op.wake.acquire(timeout=1.0)

    # ------------------------------------------------------------------ leading

    def _lead(self, me: Op | _Lead, own: Op | None) -> None:
        if own is None:
            self._crew_thread = threading.get_ident()
        # Who queued is in the queue, at its head.
        batch: list[Op] = [own] if own is not None and not own.queued else []
        try:
            try:
                conn = self._writer.begin(self._head_since() if own is None else own.since)
            except Exception as error:  # noqa: BLE001
                ours = self._writer.translate(error)
                if own is not None:
                    raise ours from None
                self._refuse(batch, ours)
            else:
                if self._queue:
                    self._fill(batch)
                self._batches.serve(conn, batch, own)
        except BaseException:
            surely(lambda: self._give_back(batch, own))
            raise
        finally:
            try:
                self._end_turn(me, batch)
            except BaseException:
                surely(lambda: self._end_turn(me, batch))
                raise

    def _fill(self, batch: list[Op]) -> None:
        """Takes those who queue into a batch, as far as there is room."""
        with self._mutex:
            room = MAX_BATCH - len(batch)
            batch += self._queue[:room]
            del self._queue[:room]

    def _head_since(self) -> float | None:
        with self._mutex:
            return self._queue[0].since if self._queue else None

    def _refuse(self, batch: list[Op], error: BaseException) -> None:
        """No transaction could begin: tasks are told now, threads find out when they lead."""
        due = time.monotonic() - self._writer.patience
        waits = isinstance(error, StoreBusyError)
        with self._mutex:
            for op in list(self._queue):
                if op.mail is not None and not (waits and op.since is not None and op.since > due):
                    self._queue.remove(op)
                    op.error = copy_of(error)
                    batch.append(op)

    # ------------------------------------------------------------------ ending a turn

    def _give_back(self, batch: list[Op], own: Op | None) -> None:
        """The leader was interrupted: who is not settled queues again. May be repeated."""
        told, again = self._batches.split(batch, own)
        self._writer.leave()
        with self._mutex:
            self._queue[:0] = again
            batch[:] = told

    def _end_turn(self, me: Op | _Lead, batch: list[Op]) -> None:
        """Passes the lead on and tells the members. May be repeated."""
        self._writer.leave()
        with self._mutex:
            if self._leader is me:
                self._crew_thread = 0
                if self._alone or self._queue:
                    self._name_leader()
                else:
                    self._leader = None
        if self._leader is not None:
            self._rouse_leader()
        mails: dict[Mail, list[Op]] | None = None
        for op in batch:
            op.settled = True
            if op.mail is not None:
                mails = {} if mails is None else mails
                mails.setdefault(op.mail, []).append(op)
            elif op.wake is not None:
                op.rouse()
        if mails is not None:
            for mail, ops in mails.items():
                mail.post(ops)
        # Otherwise the last results would be held until the next write.
        del batch[:]
