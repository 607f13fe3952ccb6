"""One thread in which the single statements of tasks wait for the server, many at a time.

A thread for each costs more than what it waits for: two thirds of an append went into handing the
interpreter from one to the other. Here each statement still has a connection to itself: it is a
transaction by itself, fails alone, and waits for a lock alone. Only the waiting is shared. Whatever
blocks (opening a connection, looking into an error) is passed on to another thread.

All hang on that thread: if it fails, or none can be started, every task is told, and the next op
starts another one.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from chatstore.sql.engine.op import Op
from chatstore.sql.engine.pool import Pool
from chatstore.sql.engine.postgres.flight import Known
from chatstore.sql.engine.postgres.poll import READ
from chatstore.sql.engine.postgres.server import Server
from chatstore.sql.engine.postgres.traffic import Queue, Traffic, failure, post_each

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
        self._pass_on = pass_on
        self._has_help = has_help
        self._queue = Queue(mutex)
        self._known: WeakKeyDictionary[psycopg.Connection[Any], Known] = WeakKeyDictionary()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        # A byte into the second wakes the thread; none is sent while one is on its way.
        self._sockets: tuple[socket.socket, socket.socket] | None = None
        self._roused = False
        self._stopped = False

    def submit(self, op: Op) -> None:
        """From a task: has it carried out as soon as there is a connection for it."""
        self._queue.add(op)
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
            try:
                _, mouth = self._sockets or self._start()
            except Exception as error:  # noqa: BLE001 - the system has no thread or no file to give
                self._give_up(error)
                return
        # Not in the lock: the thread wakes at this, and may ask for the lock. If it has failed
        # meanwhile, it has told all that waited.
        with contextlib.suppress(OSError):
            mouth.send(b"!")

    def _start(self) -> tuple[socket.socket, socket.socket]:
        ear, mouth = socket.socketpair()
        thread = threading.Thread(target=self._run, args=(ear,), name="chatstore", daemon=True)
        try:
            thread.start()
        except BaseException:
            ear.close()
            mouth.close()
            raise
        self._thread, self._sockets = thread, (ear, mouth)
        return self._sockets

    def _run(self, ear: socket.socket) -> None:
        traffic = None
        try:
            traffic = Traffic(
                *(self._pool, self._server, self._queue, self._known),
                *(self._pass_on, self._has_help),
            )
            traffic.poll.register(ear.fileno(), READ)
            self._direct(traffic, ear)
        except BaseException as error:  # noqa: BLE001
            with self._starting:
                self._end_thread()
                self._give_up(error)
            if traffic is not None:
                traffic.break_off(error)

    def _direct(self, traffic: Traffic, ear: socket.socket) -> None:
        idle = False
        while not ((idle or self._stopped) and self._is_over(traffic)):
            wait = None if traffic.flights else _IDLE_SECONDS
            events = traffic.poll.wait(_STARVED_SECONDS if self._queue else wait)
            for fd, event in events:
                flight = traffic.flights.get(fd)
                if flight is not None:
                    traffic.advance(flight, event)
                    continue
                ear.recv(64)
                # First: who submits from here on rouses again.
                self._roused = False
            traffic.fill()
            traffic.deliver()
            idle = not events

    def _is_over(self, traffic: Traffic) -> bool:
        with self._starting:
            if self._queue or traffic.flights or self._roused:
                return False
            self._end_thread()
        return True

    def _end_thread(self) -> None:
        for end in self._sockets or ():
            end.close()
        self._sockets = self._thread = None

    def _give_up(self, error: BaseException) -> None:
        """Tells all that wait in the queue. Called with the lock; who comes later starts anew."""
        # First: who is not told here rouses again.
        self._roused = False
        waiting: list[Op] = []
        while (op := self._queue.next()) is not None:
            op.error = failure(self._server, error, sent=False)
            waiting.append(op)
        post_each(waiting)
