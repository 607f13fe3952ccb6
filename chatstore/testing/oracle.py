"""What a store should do, said with plain dicts and lists, and with nothing that stores use."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple


class Said(NamedTuple):
    """A message, as far as the oracle cares."""

    text: str
    id: str | None = None
    archived: bool = False


class Duplicate(Exception):  # noqa: N818
    """Two messages under one id."""


@dataclass
class Talk:
    """A conversation."""

    said: list[Said]
    metadata: dict[str, Any] = field(default_factory=dict)
    ttl: float | None = None


class Oracle:
    """Conversations, by key, that each hold something.

    Attributes:
        talks: The conversations.
        writes: How often something was written.
    """

    def __init__(self) -> None:
        self.talks: dict[str, Talk] = {}
        self.writes = 0

    def fork(self) -> "Oracle":
        """The same again, to try something."""
        other = Oracle()
        other.talks = {key: replace(talk, said=talk.said[:]) for key, talk in self.talks.items()}
        other.writes = self.writes
        return other

    def said(self, key: str, archived: bool | None = None) -> list[Said]:
        """The messages under a key, or those of a status, in a new list."""
        said = self.talks[key].said if key in self.talks else []
        return [one for one in said if archived is None or one.archived == archived]

    def add(self, key: str, new: Sequence[Said], idx: int | None = None) -> None:
        """Append, or insert one."""
        said = self.said(key)
        if fresh := _fresh(said, new):
            place = slice(idx, idx) if idx is not None else slice(len(said), None)
            said[place] = fresh
            self._write(key, said)

    def set(self, key: str, new: Sequence[Said], archived: bool | None) -> None:
        """Replace all, or those of a status."""
        stay = [] if archived is None else self.said(key, not archived)
        fresh = _fresh(stay, new)
        if fresh or len(stay) < len(self.said(key)):
            self._write(key, stay + fresh)

    def update(self, key: str, idx: int, new: Said) -> Said | None:
        """Replace one."""
        said = self.said(key)
        if not -len(said) <= idx < len(said):
            return None
        old = said[idx]
        if new.id not in (None, old.id) and any(one.id == new.id for one in said):
            raise Duplicate
        said[idx] = new._replace(archived=old.archived)
        self._write(key, said)
        return old

    def delete(self, key: str, idx: int) -> Said | None:
        """Remove one."""
        said = self.said(key)
        if not -len(said) <= idx < len(said):
            return None
        old = said.pop(idx)
        self._write(key, said)
        return old

    def delete_all(self, key: str, archived: bool | None) -> list[Said] | None:
        """Remove all, or those of a status."""
        if key not in self.talks:
            return None
        gone = self.said(key, archived)
        if gone:
            self._write(key, [] if archived is None else self.said(key, not archived))
        return gone

    def delete_oldest(self, key: str, n: int) -> list[Said]:
        """Remove the oldest active ones."""
        said = self.said(key)
        places = [place for place, one in enumerate(said) if not one.archived][:n]
        if places:
            self._write(key, [one for place, one in enumerate(said) if place not in places])
        return [said[place] for place in places]

    def archive(self, key: str, n: int) -> list[Said]:
        """Archive the oldest active ones."""
        said = self.said(key)
        places = [place for place, one in enumerate(said) if not one.archived][:n]
        for place in places:
            said[place] = said[place]._replace(archived=True)
        if places:
            self._write(key, said)
        return [said[place] for place in places]

    def describe(self, key: str, **changes: Any) -> bool:
        """Set metadata or ttl."""
        if key not in self.talks:
            return False
        self.talks[key] = replace(self.talks[key], **changes)
        self.writes += 1
        return True

    def copy(self, key: str, to_key: str, stop: int | None) -> int:
        """Fork a conversation that exists to a key that does not."""
        self.talks[to_key] = replace(self.talks[key], said=self.said(key)[:stop])
        self.writes += 1
        return len(self.talks[to_key].said)

    def _write(self, key: str, said: list[Said]) -> None:
        self.writes += 1
        if said:
            self.talks.setdefault(key, Talk(said)).said = said
        else:
            self.talks.pop(key, None)


def _fresh(known: Sequence[Said], new: Sequence[Said]) -> list[Said]:
    """Those that are not there yet, by their ids."""
    texts = {one.id: one.text for one in known}
    fresh = []
    for one in new:
        if one.id is None or one.id not in texts:
            fresh.append(one)
            texts[one.id] = one.text
        elif texts[one.id] != one.text:
            raise Duplicate
    return fresh
