"""Between event loops and threads: one hop there, one wake-up back.

`asyncio.to_thread` copies a context, wraps a `concurrent.futures.Future` in another one, and wakes
the loop once for each call. Here a thread is given a function, and results for the same loop share
a wake-up.
"""

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import Callable
from weakref import WeakKeyDictionary

from chatstore.sql.engine.op import Op

_IDLE_SECONDS = 5.0


class Mailbox:
    """Delivers results in the thread of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # Weak: a database outlives the loops that use it.
        self.loop = weakref.ref(loop)
        self._box: deque[Op] = deque()
        self._posted = False
        self._called = False

    def post(self, ops: list[Op]) -> None:
        """From any thread."""
        self._box.extend(ops)
        if not self._posted:
            self._posted = True
            loop = self.loop()
            try:
                if loop is not None:
                    loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                # The loop was closed and its tasks with it: nobody is left to be told.
                self._box.clear()

    def call_soon(self, callback: Callable[[], None]) -> None:
        """From the loop's own thread: once, after the tasks that are ready now."""
        loop = self.loop()
        if not self._called and loop is not None:
            self._called = True
            loop.call_soon(self._call, callback)

    def _call(self, callback: Callable[[], None]) -> None:
        self._called = False
        callback()

    def _deliver(self) -> None:
        # First: who posts from here on wakes the loop again.
        self._posted = False
        while self._box:
            op = self._box.popleft()
            op.delivered = True
            future = op.future
            if not future.done():
                if op.error is not None:
                    future.set_exception(op.error)
                else:
                    future.set_result(op.value)


class Mailboxes:
    """One for each event loop that uses a database."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._boxes: WeakKeyDictionary[asyncio.AbstractEventLoop, Mailbox] = WeakKeyDictionary()
        self._last: Mailbox | None = None

    def of(self, loop: asyncio.AbstractEventLoop) -> Mailbox:
        """The loop's own."""
        last = self._last
        if last is not None and last.loop() is loop:
            return last
        with self._mutex:
            box = self._boxes.get(loop)
            if box is None:
                box = self._boxes[loop] = Mailbox(loop)
        self._last = box
        return box


async def settle(op: Op, withdraw: Callable[[Op], bool]) -> object:
    """Awaits an op's end. A cancellation waits until the op is taken back, or has ended."""
    try:
        return await op.future
    except asyncio.CancelledError:
        if not withdraw(op):
            while not op.delivered:
                op.future = op.future.get_loop().create_future()
                try:
                    await op.future
                except asyncio.CancelledError:
                    continue  # a second one waits as the first does
                except Exception:  # noqa: BLE001, S110
                    pass  # who was cancelled is told that, not how the work failed
        raise


class _Seat:
    __slots__ = ("job", "wake")

    def __init__(self, job: Callable[[], None]) -> None:
        self.job: Callable[[], None] | None = job
        self.wake = threading.Lock()
        self.wake.acquire()


class Workers:
    """A few threads that run functions; the one that idled last works first. All go when idle."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.reset()

    def reset(self) -> None:
        """A new start, for a forked child in which the threads do not exist."""
        self.mutex = threading.Lock()
        self._idle: list[_Seat] = []
        self._jobs: deque[Callable[[], None]] = deque()
        self._threads: set[threading.Thread] = set()
        self._stopping = False

    def busy(self) -> int:
        """How many jobs have not ended."""
        with self.mutex:
            return len(self._threads) - len(self._idle) + len(self._jobs)

    def submit(self, job: Callable[[], None]) -> None:
        """Has it run as soon as a thread is free. The job must not raise."""
        with self.mutex:
            if self._idle:
                seat = self._idle.pop()
                seat.job = job
                seat.wake.release()
            elif len(self._threads) < self._limit:
                seat = _Seat(job)
                thread = threading.Thread(
                    target=self._work, args=(seat,), name="chatstore", daemon=True
                )
                thread.start()
                # It cannot have ended yet: for that it needs the mutex.
                self._threads.add(thread)
            else:
                self._jobs.append(job)

    def stop(self) -> None:
        """Lets all threads end, after what they do now."""
        with self.mutex:
            self._stopping = True
            threads = list(self._threads)
            for seat in self._idle:
                seat.wake.release()
            self._idle.clear()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()

    def _work(self, seat: _Seat) -> None:
        while seat.job is not None:
            job, seat.job = seat.job, None
            job()
            del job
            with self.mutex:
                if self._jobs:
                    seat.job = self._jobs.popleft()
                    continue
                if self._stopping:
                    break
                self._idle.append(seat)
            if not seat.wake.acquire(timeout=_IDLE_SECONDS):
                with self.mutex:
                    if seat in self._idle:
                        self._idle.remove(seat)
                        break
                # A job came at the very last moment.
                seat.wake.acquire()
        with self.mutex:
            self._threads.discard(threading.current_thread())
