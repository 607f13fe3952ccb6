"""Signals that end a process: what is on its way is taken back, as after Ctrl-C."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

_NAMES = ("SIGTERM", "SIGHUP")  # of a service that is stopped, of a terminal that is closed


class Ended(KeyboardInterrupt):
    """A signal asks the process to end.

    Args:
        number: Which.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.name = signal.Signals(number).name
        self.code = 128 + number  # what a shell makes of it


@contextmanager
def in_order() -> Iterator[None]:
    """Let signals that would kill raise `Ended` instead, so that files are cleaned up.

    One that is ignored, by `nohup`, or that a host handles, stays as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    taken = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, _: object) -> NoReturn:
    raise Ended(number)
