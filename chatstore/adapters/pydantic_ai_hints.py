"""What an adapter remembers of what it saw, so as not to look again; a miss does no harm."""

from collections import OrderedDict
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

REMEMBERED = 10_000
"""How many ids, and how many conversations."""

LONGEST = 4096
"""Characters of the JSON text of a record that is remembered; a longer one is read again."""


class Seen(NamedTuple):
    """A conversation.

    Attributes:
        shown: The revision that the framework was shown.
        token: The store's.
        head: The entry that it ends with.
        record: The record as it was stored, or its JSON text; `None` if it must be read again.
    """

    shown: str
    token: str
    head: str | None
    record: Any


class Saving:
    """A save by the framework that is on its way.

    Attributes:
        guessed: Whether all that it was told of the store is what was seen before. A conflict is
            then one with that, and whether there is one with the store has to be looked up. Once
            it goes on, to the store, a conflict is a conflict.
    """

    def __init__(self, of: object) -> None:
        self.guessed = False
        self._of = of
        self._begun = False

    def steps(self, of: object) -> bool:
        """Note that it asks one for something; whether that is the first time."""
        if of is not self._of:
            return False
        first, self._begun = not self._begun, True
        self.guessed = False
        return first


SAVING: ContextVar[Saving | None] = ContextVar("SAVING", default=None)
"""The save of this task, if there is one."""


class Hints:
    """The keys that entries were seen under, and the conversations as they were seen last."""

    def __init__(self) -> None:
        self._keys: OrderedDict[str, str] = OrderedDict()
        self._seen: OrderedDict[str, Seen] = OrderedDict()

    def key_of(self, id: str) -> str | None:
        """The key of a conversation that had an entry."""
        return self._keys.get(id)

    def seen(self, key: str) -> Seen | None:
        """A conversation as it was seen last."""
        return self._seen.get(key)

    def entries(self, key: str, ids: Sequence[str | None]) -> None:
        """Remember entries."""
        for id in ids[-REMEMBERED:]:
            if id is not None:
                _put(self._keys, id, key)

    def note(self, key: str, seen: Seen) -> None:
        """Remember a conversation."""
        _put(self._seen, key, seen)

    def forget(self, key: str) -> None:
        """Forget a conversation."""
        self._seen.pop(key, None)


def _put(hints: OrderedDict[str, T], name: str, value: T) -> None:
    hints[name] = value
    hints.move_to_end(name)
    if len(hints) > REMEMBERED:
        hints.popitem(last=False)
