"""Which of a few sockets can be read or written.

Python's `selectors` make an object for each socket and each event, which is a tenth of what an
append costs; and epoll is told of each socket by a system call.
"""

import select

READ, WRITE = 1, 2


class _Poll:
    """On what has `poll`: Linux, macOS, the BSDs."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self.unregister = self._poll.unregister

    def register(self, fd: int, events: int) -> None:
        """Waits for `READ`, `WRITE` or both from now on, instead of what it did."""
        wanted = select.POLLIN if events & READ else 0
        self._poll.register(fd, wanted | select.POLLOUT if events & WRITE else wanted)

    def wait(self, seconds: float | None) -> list[tuple[int, int]]:
        """The sockets that are ready, by then, and for what. What is broken is ready to be read."""
        ready = self._poll.poll(None if seconds is None else seconds * 1000)
        return [
            (
                fd,
                (READ if event & ~select.POLLOUT else 0) | (WRITE if event & select.POLLOUT else 0),
            )
            for fd, event in ready
        ]


class _Select:
    """On Windows, whose `select` takes sockets."""

    def __init__(self) -> None:
        self._events: dict[int, int] = {}

    def register(self, fd: int, events: int) -> None:
        """As above."""
        self._events[fd] = events

    def unregister(self, fd: int) -> None:
        """Forgets it."""
        del self._events[fd]

    def wait(self, seconds: float | None) -> list[tuple[int, int]]:
        """As above."""
        reads = [fd for fd, events in self._events.items() if events & READ]
        writes = [fd for fd, events in self._events.items() if events & WRITE]
        readable, writable, broken = select.select(reads, writes, reads, seconds)
        ready = dict.fromkeys([*readable, *broken], READ)
        for fd in writable:
            ready[fd] = ready.get(fd, 0) | WRITE
        return list(ready.items())


Poll = _Poll if hasattr(select, "poll") else _Select
