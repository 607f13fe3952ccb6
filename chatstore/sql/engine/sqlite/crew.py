"""A thread that leads writers when only tasks wait, whose own thread must not."""

import contextlib
import os
import threading
from collections.abc import Callable

_IDLE_SECONDS = 5.0


class Crew:
    """At most one thread, there when it is needed and gone when it has idled for a while.

    `wanted` says whether it should lead now, `lead` does it.
    """

    def __init__(self, wanted: Callable[[], bool], lead: Callable[[], None]) -> None:
        self._wanted = wanted
        self._lead = lead
        self._mutex = threading.Lock()
        self._wake = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._process = os.getpid()

    def rouse(self) -> None:
        """Lets it look whether it is wanted. Once too often does no harm."""
        # In a forked child Python 3.13 ends the parent's tasks before it runs any hook of ours. A
        # thread that leads for them would take the lock file, and never be able to give it back.
        if os.getpid() != self._process:
            return
        with self._mutex:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="chatstore", daemon=True)
                self._thread.start()
            with contextlib.suppress(RuntimeError):
                self._wake.release()

    def stop(self) -> None:
        """Ends the thread, if there is one, and waits for that."""
        with self._mutex:
            self._stopped = True
            thread = self._thread
            with contextlib.suppress(RuntimeError):
                self._wake.release()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while True:
            roused = self._wake.acquire(timeout=_IDLE_SECONDS)
            if self._wanted():
                self._lead()
                continue
            with self._mutex:
                # Who wants it from here on finds no thread, and starts one.
                if (self._stopped or not roused) and not self._wanted():
                    self._thread = None
                    return
