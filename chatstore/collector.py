"""Python's cyclic garbage collector, and when to do without it."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_FROM = 64  # rows; below, pausing the collector costs more than it saves


@contextmanager
def paused(rows: int = _FROM) -> Iterator[None]:
    """Without the cyclic garbage collector, if it is worth it.

    Decoding makes many objects and no cycle; the collector would walk them all again and again
    (70 % of the time of 100 000 messages).
    """
    if rows < _FROM or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
