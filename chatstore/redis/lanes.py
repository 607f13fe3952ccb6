"""Who writes: what makes a write that Redis hears twice be done once.

redis-py sends a command again when its reply is lost, and cannot know whether the server had
carried it out. So every write says which writer sends it and under which number, and the server
keeps the last number and result of each writer of a conversation. A writer has one write under
way at a time; a store takes as many as it has writes under way. It takes the same ones for the same
conversation where it can: what a writer did last is in the header, as long as no other one writes.
"""

import os
from itertools import count
from secrets import token_urlsafe
from typing import NamedTuple
from weakref import WeakSet

SHELVES = 64
"""Over how many shelves the writers without work are spread, by the keys that they wrote."""


class Turn(NamedTuple):
    """One write: who, and its number. Together they never recur."""

    writer: str
    number: int


class Lanes:
    """The writers of one store; safe for threads."""

    def __init__(self) -> None:
        self.reset()
        _ALL.add(self)

    def reset(self) -> None:
        """Become somebody else: after a fork, two processes would be the same writers."""
        self._name = token_urlsafe(8)
        self._free: list[list[str]] = [[] for _ in range(SHELVES)]
        self._writers = count()
        self._numbers = count(1)

    def take(self, key: str) -> Turn:
        """The turn of a write to a conversation. Give it back afterwards."""
        try:
            writer = self._free[hash(key) % SHELVES].pop()
        except IndexError:
            writer = f"{self._name}.{next(self._writers)}"
        return Turn(writer, next(self._numbers))

    def token(self) -> str:
        """A word that never recurs."""
        return f"{self._name}..{next(self._numbers)}"

    def give_back(self, key: str, turn: Turn) -> None:
        """The write has ended, well or not."""
        if turn.writer.startswith(self._name):
            self._free[hash(key) % SHELVES].append(turn.writer)


_ALL: WeakSet[Lanes] = WeakSet()


def _after_fork() -> None:
    for lanes in _ALL:
        lanes.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
