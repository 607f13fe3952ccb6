"""`os.fork` without loss.

A SQLite connection that two processes hold loses acknowledged messages in silence (2 000 of 2 000,
measured), because POSIX locks are not inherited while SQLite's belief in them is. So before a fork
every database stops taking new work, lets end what runs and closes its connections; both processes
then open their own when they need them. Where work does not end in time, or is what forks, the
child's copy is unusable and says so, and its connections are neither used nor closed there.
"""

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import Protocol
from weakref import WeakSet

# How long closing and forking wait for work that runs.
DRAIN_SECONDS = 10.0


class Forkable(Protocol):
    """What a database does around a fork."""

    def freeze(self, deadline: float) -> bool:
        """Stops, drains and closes; whether all is closed."""

    def thaw(self) -> None:
        """Goes on, in the parent."""

    def rebirth(self, *, clean: bool) -> None:
        """Starts anew in the child, where no other thread exists."""


class _Guard:
    def __init__(self) -> None:
        self.reset()
        self.live: WeakSet[Forkable] = WeakSet()
        self.installed = False

    def reset(self) -> None:
        # From before a fork to after it, so that two threads may fork at once.
        self.forking = threading.Lock()
        self.listing = threading.Lock()
        self.frozen: list[tuple[Forkable, bool]] = []

    def before(self) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        self.forking.acquire(timeout=DRAIN_SECONDS)
        with self.listing:
            databases = list(self.live)
        self.frozen = []
        for database in databases:
            clean = False
            with contextlib.suppress(Exception):
                clean = database.freeze(deadline)
            self.frozen.append((database, clean))

    def in_parent(self) -> None:
        frozen, self.frozen = self.frozen, []
        with contextlib.suppress(RuntimeError):
            self.forking.release()
        for database, _ in frozen:
            database.thaw()

    def in_child(self) -> None:
        frozen = self.frozen
        self.reset()
        for database, clean in frozen:
            database.rebirth(clean=clean)


_guard = _Guard()

# Files with a connection that this process inherited and must never touch: SQLite keeps the state
# of its locks by file, so that a new connection would be misled as well.
_tainted: set[Path] = set()


def protect(database: Forkable) -> None:
    """Keeps a database whole over forks, for as long as it lives."""
    with _guard.listing:
        _guard.live.add(database)
        if not _guard.installed and hasattr(os, "register_at_fork"):
            _guard.installed = True
            os.register_at_fork(
                before=_guard.before,
                after_in_parent=_guard.in_parent,
                after_in_child=_guard.in_child,
            )


def taint(path: Path | None, connections: list[object]) -> None:
    """In a child: these connections are never closed here, not even when Python ends."""
    if path is not None:
        _tainted.add(path)
    if connections:
        import ctypes

        for connection in connections:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def is_tainted(path: Path | None) -> bool:
    """Whether the file cannot be used in this process."""
    return path in _tainted
