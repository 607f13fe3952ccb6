"""What the thread of a lane has in its hands: which op is how far, and on which connection."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from chatstore.errors import ChatStoreError, StoreUnavailableError
from chatstore.sql.engine.op import Mail, Op
from chatstore.sql.engine.pool import Pool
from chatstore.sql.engine.postgres.flight import Flight, Known
from chatstore.sql.engine.postgres.poll import READ, WRITE, Poll
from chatstore.sql.engine.postgres.server import Server, is_usable

if TYPE_CHECKING:
    import psycopg


class Queue:
    """The ops that wait for a connection; `mutex` is held while it changes whether one does."""

    def __init__(self, mutex: threading.Lock) -> None:
        self._mutex = mutex
        self._ops: deque[Op] = deque()

    def __bool__(self) -> bool:
        return bool(self._ops)

    def add(self, op: Op) -> None:
        """From any thread."""
        op.queued = True
        self._ops.append(op)

    def next(self) -> Op | None:
        """The one that waits longest, and does not wait any more."""
        with self._mutex:
            while self._ops:
                op = self._ops.popleft()
                if op.queued:  # else it was taken back
                    op.queued = False
                    return op
        return None


class Traffic:
    """The ops that were taken from the queue, until their tasks know how they ended.

    Args:
        pool: Where connections come from.
        server: What the pool connects to.
        queue: Where ops come from.
        known: What connections know, which outlives the thread.
        pass_on: As in `Lane`.
        has_help: As in `Lane`.

    Attributes:
        poll: Where the thread waits.
        flights: What is on its way, by the file of its connection.
    """

    def __init__(
        self,
        pool: "Pool[psycopg.Connection[Any]]",
        server: Server,
        queue: Queue,
        known: "WeakKeyDictionary[psycopg.Connection[Any], Known]",
        pass_on: "Callable[[Op, Exception | None, bool], None]",
        has_help: Callable[[], bool],
    ) -> None:
        self._pool = pool
        self._server = server
        self._queue = queue
        self._known = known
        self._pass_on = pass_on
        self._has_help = has_help
        self.poll = Poll()
        self.flights: dict[int, Flight] = {}
        # With the last flight of each, as that tells what is in doubt if the thread fails.
        self._taken: dict[Op, Flight | None] = {}
        self._ended: list[Op] = []

    def fill(self) -> None:
        """Sends what waits, as far as there are connections."""
        while self._queue:
            try:
                conn = self._pool.spare()
            except ChatStoreError as error:
                self._end(self._next(), error)
                continue
            if conn is not None:
                try:
                    flight = self._board(conn)
                except BaseException:
                    self._pool.drop(conn)
                    raise
                if flight is not None:
                    self._take_off(flight)
                continue
            # Help first: who waits there for room must not wait for what is reserved.
            if not self._has_help() or not self._pool.reserve():
                return
            op = self._next()
            if op is None or not self._hand_over(op, None, sent=False):
                self._pool.release()

    def _board(self, conn: "psycopg.Connection[Any]") -> Flight | None:
        """A flight for what waits; `None`: nothing does, or the connection is of no use."""
        if not is_usable(conn):
            self._pool.drop(conn)
        elif (op := self._next()) is None:
            self._pool.give(conn)
        else:
            known = self._known.get(conn)
            if known is None:
                known = self._known[conn] = Known(conn)
            return Flight(conn, known, op)
        return None

    def _next(self) -> Op | None:
        op = self._queue.next()
        if op is not None:
            self._taken[op] = None
        return op

    def _take_off(self, flight: Flight) -> None:
        self.flights[flight.fd] = self._taken[flight.op] = flight
        self.poll.register(flight.fd, READ)
        try:
            flight.send(self._server)
        except Exception as error:  # noqa: BLE001
            self._fail(flight, error)
        else:
            self._watch(flight, False)

    def _watch(self, flight: Flight, before: bool) -> None:
        if flight.writing != before:
            self.poll.register(flight.fd, READ | WRITE if flight.writing else READ)

    def advance(self, flight: Flight, event: int) -> None:
        """Goes on with a flight whose connection is ready."""
        writing = flight.writing
        try:
            done = flight.advance(self._server, readable=bool(event & READ))
        except Exception as error:  # noqa: BLE001
            self._fail(flight, error)
            return
        if not done:
            self._watch(flight, writing)
            return
        # First: the server need not wait until this one is told.
        op = self._next() if flight.is_over and not self._pool.is_wanted() else None
        if op is None:
            self._land(flight)
        else:
            self._take_off(Flight(flight.conn, flight.known, op))
        try:
            flight.op.value = flight.work.result(flight.row())
        except Exception as error:  # noqa: BLE001
            self._end(flight.op, error)
        else:
            self._end(flight.op)

    def _fail(self, flight: Flight, error: Exception) -> None:
        self._land(flight)
        if isinstance(error, self._server.driver.Error):
            told = flight.work.refusal(error)
            if told is error:
                self._hand_over(flight.op, error, sent=flight.sent)
                return
            error = told
        self._end(flight.op, error)

    def _hand_over(self, op: Op, error: Exception | None, *, sent: bool) -> bool:
        """Has another thread go on with an op; whether one does."""
        try:
            self._pass_on(op, error, sent)
        except Exception as fault:  # noqa: BLE001 - the system has no thread to give
            self._end(op, failure(self._server, fault, sent=sent))
            return False
        del self._taken[op]
        return True

    def _land(self, flight: Flight) -> None:
        self.poll.unregister(flight.fd)
        if flight.is_over:
            self._pool.give(flight.conn)
        else:
            self._pool.drop(flight.conn)
        del self.flights[flight.fd]

    def _end(self, op: Op | None, error: Exception | None = None) -> None:
        if op is not None:
            op.error = error
            op.final = True
            self._ended.append(op)

    def deliver(self) -> None:
        """Tells all tasks of a loop with one wake-up."""
        ended, self._ended = self._ended, []
        boxes: dict[Mail, list[Op]] = {}
        for op in ended:
            if op.mail is not None:
                boxes.setdefault(op.mail, []).append(op)
        for mail, ops in boxes.items():
            mail.post(ops)
        for op in ended:
            del self._taken[op]

    def break_off(self, error: BaseException) -> None:
        """Tells all tasks that the thread has failed, and which of them are in doubt.

        What a connection is in the middle of, the server may finish or not: it is closed.
        """
        for flight in self.flights.values():
            self._pool.drop(flight.conn)
        for op, last in self._taken.items():
            if not op.final:
                sent = last is not None and last.sent
                op.error = failure(self._server, error, sent=sent)
        post_each(self._taken)


def post_each(ops: Iterable[Op]) -> None:
    """Tells the tasks of ops, one by one: whatever fails then, fails for one alone."""
    for op in ops:
        if op.mail is not None:
            with suppress(Exception):
                op.mail.post([op])


def failure(server: Server, error: BaseException, *, sent: bool) -> StoreUnavailableError:
    """For an op, if what sends all of them fails."""
    reason = type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        reason += f": {error.strerror}"
    state = (
        "on its way, so that nobody knows whether it was stored. Read the conversation; a message "
        "with an id may be sent again."
        if sent
        else "still to be sent, so that nothing was written. Repeat the call."
    )
    told = StoreUnavailableError(
        f"{server.name}: what sends the appends of tasks has failed ({reason}), this one being "
        + state
    )
    told.__cause__ = server.translate(error)  # as a driver's error may quote a row
    return told
