"""Held connections: the one given back last is taken next, its cache being warm.

Taking and giving back hold no call between reading and writing the list, so that no signal can
come in between and lose a connection. Where the pool is shut or frozen, the list is one that is
always empty and closes what it is given: the usual case pays for neither.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from chatstore.errors import ChatStoreError, StoreBusyError


class Closable(Protocol):
    """A connection, as far as a pool cares."""

    def close(self) -> None:
        """Closes it."""


C = TypeVar("C", bound=Closable)


class _Drain(list[C]):
    """Stands in for the free connections: what comes back is closed."""

    def __init__(self, close: Callable[[C], None]) -> None:
        super().__init__()
        self._close = close

    def append(self, item: C, /) -> None:
        self._close(item)


class Pool(Generic[C]):
    """At most `limit` connections, opened when needed; beyond that, callers wait."""

    def __init__(self, connect: Callable[[], C], limit: int, patience: float, name: str) -> None:
        self._connect = connect
        self.limit = limit
        self._patience = patience
        self._name = name
        self.reset()

    def reset(self) -> None:
        """A new start, without touching what was open: for a forked child."""
        self.mutex = threading.Lock()
        self._returned = threading.Condition(self.mutex)
        self.free: list[C] = []
        self._open: dict[int, C] = {}
        self._opening = 0
        self._waiting = 0
        self._refusal: Callable[[], ChatStoreError] | None = None
        self._frozen = False

    def spare(self) -> C | None:
        """A free connection, unless somebody waits for it."""
        with self.mutex:
            if self._refusal is not None:
                raise self._refusal()
            if not self.free or self._waiting:
                return None
            conn = self.free[-1]
            del self.free[-1]
            return conn

    def is_wanted(self) -> bool:
        """Whether what is free is wanted by somebody, or to be closed."""
        return self._waiting > 0 or self._frozen or self._refusal is not None

    def reserve(self) -> bool:
        """Whether one more may be opened; if so, `open` it or `release` it."""
        with self.mutex:
            return self._reserve()

    def release(self) -> None:
        """Opens nothing for what was reserved."""
        with self.mutex:
            self._opening -= 1

    def _reserve(self) -> bool:
        if self._frozen or len(self._open) + self._opening >= self.limit:
            return False
        self._opening += 1
        return True

    def take(self) -> C:
        """The connection that came back last; if there is none, opens one, or waits for one."""
        deadline = time.monotonic() + self._patience
        with self._returned:
            while True:
                if self._refusal is not None:
                    raise self._refusal()
                if self.free:
                    conn = self.free[-1]
                    del self.free[-1]
                    return conn
                if self._reserve():
                    break
                if time.monotonic() >= deadline:
                    message = (
                        f"{self._name}: all {self.limit} connections were busy for "
                        f"{self._patience:g} seconds. Repeat the call, or hold them shorter."
                    )
                    raise StoreBusyError(message)
                self._waiting += 1
                try:
                    # Not for ever: `give` looks at the count of those who wait without the lock.
                    self._returned.wait(0.02)
                finally:
                    self._waiting -= 1
        return self.open()

    def open(self) -> C:
        """The connection that was reserved."""
        try:
            conn = self._connect()
            with self.mutex:
                self._open[id(conn)] = conn
        finally:
            with self.mutex:
                self._opening -= 1
        return conn

    def give(self, conn: C) -> None:
        """Takes a connection back."""
        self.free.append(conn)
        if self._waiting:
            with self._returned:
                self._returned.notify()

    def drop(self, conn: C) -> None:
        """Closes a connection that is of no use any more."""
        with contextlib.suppress(Exception):
            conn.close()
        # After that: a fork must not come while SQLite holds a lock of its own, which the child
        # would find taken for ever.
        with self.mutex:
            self._open.pop(id(conn), None)

    def freeze(self, deadline: float) -> bool:
        """Closes all, waiting for those in use; False if some are in use still."""
        with self.mutex:
            self._frozen = True
            old = self.free
            self.free = _Drain(self.drop)
        while True:
            # Here too: a thread may have been about to give back into the old list.
            while old:
                self.drop(old.pop())
            if not self._open and not self._opening:
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.0005)

    def thaw(self) -> None:
        """Opens connections again when they are needed."""
        with self._returned:
            self._frozen = False
            if isinstance(self.free, _Drain) and self._refusal is None:
                self.free = []
            self._returned.notify_all()

    def inherited(self) -> list[object]:
        """All that are open."""
        return list(self._open.values())

    def shut(self, refusal: Callable[[], ChatStoreError], deadline: float) -> None:
        """Closes all for good. What is in use beyond the deadline is closed when it comes back."""
        with self._returned:
            self._refusal = refusal
            self._returned.notify_all()
        self.freeze(deadline)
