"""What an adapter remembers of what it saw, so as not to look again; a miss does no harm."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

T = TypeVar("T")

REMEMBERED = 10_000
"""How many ids, and how many conversations."""


class Seen(NamedTuple):
    """A conversation: the revision that the framework was shown, the store's, and its head."""

    shown: str
    token: str
    head: str | None


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
