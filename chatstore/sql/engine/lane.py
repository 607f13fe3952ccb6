"""One thread in which the single statements of tasks wait for the server, many at a time.

A thread for each costs more than what it waits for: two thirds of an append went into handing the
interpreter from one to the other. Here each statement still has a connection to itself: it is a
transaction by itself, fails alone, and waits for a lock alone. Only the waiting is shared. Whatever
blocks (opening a connection, looking into an error) is passed on to another thread.
"""

import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from chatstore.errors import ChatStoreError
from chatstore.sql.engine.flight import Flight, Known
from chatstore.sql.engine.op import Mail, Op
from chatstore.sql.engine.poll import READ, WRITE, Poll
from chatstore.sql.engine.pool import Pool
from chatstore.sql.engine.postgres import Server, is_usable

if TYPE_CHECKING:
    import psycopg

MOST_BYTES = 1 << 16
"""What is heavier goes to a thread: while it is encoded, nobody else's answer would be read."""

_IDLE_SECONDS = 5.0
_STARVED_SECONDS = 0.02  # who gives a connection back does not tell


class Lane:
    """Has the server carry out ops whose work is a `Single`.

    Args:
        pool: Where connections come from.
        server: What the pool connects to.
        mutex: Held while it changes whether an op is queued.
        pass_on: Takes over an op that the lane cannot end. It was not sent, and room for another
            connection was reserved; or it met an error of the driver: that is told, and whether
            the op may have been carried out.
        has_help: Whether a thread would take over an op at once.
    """

    def __init__(
        self,
        pool: "Pool[psycopg.Connection[Any]]",
        server: Server,
        mutex: threading.Lock,
        *,
        pass_on: "Callable[[Op, Exception | None, bool], None]",
        has_help: Callable[[], bool],
    ) -> None:
        self._pool = pool
        self._server = server
        self._mutex = mutex
        self._pass_on = pass_on
        self._has_help = has_help
        self._queue: deque[Op] = deque()
        self._flights: dict[int, Flight] = {}
        self._ended: list[Op] = []
        self._known: WeakKeyDictionary[psycopg.Connection[Any], Known] = WeakKeyDictionary()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        # A byte into the second wakes the thread; none is sent while one is on its way.
        self._sockets: tuple[socket.socket, socket.socket] | None = None
        self._roused = False
        self._stopped = False

    def submit(self, op: Op) -> None:
        """From a task: has it carried out as soon as there is a connection for it."""
        op.queued = True
        self._queue.append(op)
        if not self._roused and op.mail is not None:
            # Not amidst the turn of the loop, for whose interpreter the thread would ask at once.
            op.mail.call_soon(self._rouse)

    def stop(self) -> None:
        """Ends the thread, once all that was submitted has ended."""
        self._stopped = True
        thread = self._thread
        if thread is not None:
            self._rouse()
            thread.join()

    def abandon(self) -> None:
        """In a forked child, where the thread does not exist."""
        for end in self._sockets or ():
            end.close()

    def _rouse(self) -> None:
        with self._starting:
            self._roused = True
            if self._sockets is None:
                self._sockets = socket.socketpair()
                self._thread = threading.Thread(
                    target=self._run, args=(self._sockets[0],), name="chatstore", daemon=True
                )
                self._thread.start()
            mouth = self._sockets[1]
        # Not in the lock: the thread wakes at this, and may ask for the lock.
        mouth.send(b"!")

    def _run(self, ear: socket.socket) -> None:
        self._poll = Poll()
        self._poll.register(ear.fileno(), READ)
        idle = False
        while not ((idle or self._stopped) and self._is_over()):
            wait = None if self._flights else _IDLE_SECONDS
            events = self._poll.wait(_STARVED_SECONDS if self._queue else wait)
            for fd, event in events:
                flight = self._flights.get(fd)
                if flight is not None:
                    self._advance(flight, event)
                    continue
                ear.recv(64)
                # First: who submits from here on rouses again.
                self._roused = False
            self._fill()
            self._deliver()
            idle = not events

    def _is_over(self) -> bool:
        with self._starting:
            if self._queue or self._flights or self._roused:
                return False
            for end in self._sockets or ():
                end.close()
            self._sockets = self._thread = None
        return True

    def _fill(self) -> None:
        """Sends what waits, as far as there are connections."""
        while self._queue:
            try:
                conn = self._pool.spare()
            except ChatStoreError as error:
                self._end(self._next(), error)
                continue
            if conn is None:
                # Help first: who waits there for room must not wait for what is reserved.
                if not self._has_help() or not self._pool.reserve():
                    return
                op = self._next()
                if op is None:
                    self._pool.release()
                else:
                    self._pass_on(op, None, False)
            elif not is_usable(conn):
                self._pool.drop(conn)
            elif (op := self._next()) is None:
                self._pool.give(conn)
            else:
                known = self._known.get(conn)
                if known is None:
                    known = self._known[conn] = Known(conn)
                self._take_off(Flight(conn, known, op))

    def _next(self) -> Op | None:
        with self._mutex:
            while self._queue:
                op = self._queue.popleft()
                if op.queued:  # else it was taken back
                    op.queued = False
                    return op
        return None

    def _take_off(self, flight: Flight) -> None:
        self._flights[flight.fd] = flight
        self._poll.register(flight.fd, READ)
        try:
            flight.send(self._server)
        except Exception as error:  # noqa: BLE001
            self._fail(flight, error)
        else:
            self._watch(flight, False)

    def _watch(self, flight: Flight, before: bool) -> None:
        if flight.writing != before:
            self._poll.register(flight.fd, READ | WRITE if flight.writing else READ)

    def _advance(self, flight: Flight, event: int) -> None:
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
                self._pass_on(flight.op, error, flight.sent)
                return
            error = told
        self._end(flight.op, error)

    def _land(self, flight: Flight) -> None:
        del self._flights[flight.fd]
        self._poll.unregister(flight.fd)
        if flight.is_over:
            self._pool.give(flight.conn)
        else:
            self._pool.drop(flight.conn)

    def _end(self, op: Op | None, error: Exception | None = None) -> None:
        if op is not None:
            op.error = error
            self._ended.append(op)

    def _deliver(self) -> None:
        """Tells all tasks of a loop with one wake-up."""
        ended, self._ended = self._ended, []
        boxes: dict[Mail, list[Op]] = {}
        for op in ended:
            if op.mail is not None:
                boxes.setdefault(op.mail, []).append(op)
        for mail, ops in boxes.items():
            mail.post(ops)
