"""One caller's work on its way through a database, and the road back to a task."""

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from chatstore.errors import ChatStoreError


class Mail(Protocol):
    """Takes results to an event loop."""

    def post(self, ops: "list[Op]") -> None:
        """Delivers them in the loop's own thread, with one wake-up."""

    def call_soon(self, callback: Callable[[], None]) -> None:
        """From the loop's own thread: after this turn of the loop, once."""


class Op:
    """A work and what became of it. `wake` is there if a thread waits, `mail` if a task does."""

    # Defaults on the class: an op is made for every write, and most need none of these.
    value: Any = None
    error: BaseException | None = None
    # In the queue now, or taken from it by a leader.
    queued = False
    # The verdict cannot change any more; then: it was told; then: the event loop knows.
    final = False
    settled = False
    delivered = False
    since: float | None = None
    wake: "threading.Lock | None" = None
    mail: Mail | None = None
    future: Any = None

    def __init__(self, work: Callable[[Any], Any], thread: int = 0) -> None:
        self.work = work
        self.thread = thread  # which calls; 0: a task

    @property
    def sure(self) -> bool:
        """Whether nothing but the database can fail it."""
        return getattr(self.work, "sure", False)

    @property
    def repeatable(self) -> bool:
        """Whether running it again does no harm, even if it has been stored."""
        return getattr(self.work, "repeatable", False)

    def expect_to_wait(self) -> None:
        """Prepares for waiting."""
        if self.wake is None:
            wake = threading.Lock()
            wake.acquire()
            self.since = time.monotonic()
            self.wake = wake

    def rouse(self) -> None:
        """Wakes the waiting thread; once too often does no harm."""
        if self.wake is not None:
            try:  # noqa: SIM105 - `suppress` is three calls, once for each who shares a commit
                self.wake.release()
            except RuntimeError:
                pass


def copy_of(error: BaseException) -> BaseException:
    """One exception raised in many threads would collect all their tracebacks."""
    return type(error)(*error.args) if isinstance(error, ChatStoreError) else error


def surely(step: Callable[[], None]) -> None:
    """Runs a step that may be repeated until nothing has interrupted it."""
    interruption: BaseException | None = None
    # A handler of a signal may raise what it likes; a fault of ours must not go on for ever.
    for _ in range(100):
        try:
            step()
            break
        except BaseException as error:  # noqa: BLE001
            interruption = error
    if interruption is not None:
        raise interruption
