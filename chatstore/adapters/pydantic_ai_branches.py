"""A conversation as a tree: the messages that it holds, and those that it has left."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, NamedTuple

from chatstore.formats.pydantic_ai import NAME
from chatstore.json_text import encode
from chatstore.records import MADE, Draft, Row, State

_FOREIGN = "chatstore:"


def entry_id(key: str, row: Row) -> str:
    """The id of a message as an entry: its own, or for another framework's one made of it.

    Entries are looked for by their ids alone, so that an id that is only unique in its
    conversation would lead into somebody else's.
    """
    if row.id is not None and (row.format == NAME or row.id.startswith(_FOREIGN)):
        return row.id
    return _foreign_id(key, row.record_id)


def at_head(record: Any, state: State) -> Any:
    """A record, with the id that the newest message has here.

    Elsewhere it had another one, if it is another framework's and its record's id was made by the
    store that a file came from.
    """
    if state.changed or state.head is None or not state.head.startswith(MADE):
        return record
    return replace(record, head_id=_foreign_id(state.key, state.head))


def _foreign_id(key: str, record: str) -> str:
    return _FOREIGN + sha256(f"{key}\0{record}".encode()).hexdigest()[:32]


class Node(NamedTuple):
    """An entry, the one before it, and the message."""

    id: str
    parent: str | None
    draft: Draft

    @property
    def row(self) -> Row:
        """The message under the id of its entry, to be decoded."""
        return Row(0, 0, 0, *self.named.draft)

    @property
    def named(self) -> "Node":
        """The same, with the id of the entry as that of the message."""
        return self._replace(draft=self.draft._replace(id=self.id))


def chain(key: str, rows: Sequence[Row]) -> list[Node]:
    """The entries of messages of a conversation: each follows the one before."""
    ids = [entry_id(key, row) for row in rows]
    return [Node(id, before, row.draft) for before, id, row in zip([None, *ids], ids, rows)]


class Tree:
    """The entries of a conversation, by their ids."""

    def __init__(self, held: Iterable[Node], left: Iterable[Node]) -> None:
        self._nodes = {node.id: node for node in left} | {node.id: node for node in held}

    def add(self, nodes: Iterable[Node]) -> None:
        """Note entries."""
        self._nodes |= {node.id: node for node in nodes}

    def path(self, head: str | None) -> tuple[list[Node], str | None]:
        """The entries up to one, in order, and the first id on the way back that is not here."""
        found: dict[str, Node] = {}
        while head is not None and head not in found and head in self._nodes:
            found[head] = self._nodes[head]
            head = found[head].parent
        return list(found.values())[::-1], head

    def without(self, path: Sequence[Node]) -> str:
        """The entries that are not on a path, as a state keeps them."""
        ids = {node.id for node in path}
        rest = [_told(node) for node in self._nodes.values() if node.id not in ids]
        return encode(rest) if rest else ""


def left(state: State | None) -> list[Node]:
    """The entries that a conversation has left."""
    if state is None or not state.parted:
        return []
    return [
        Node(told.pop("entry"), told.pop("parent"), Draft(**told))
        for told in json.loads(state.parted)
    ]


def _told(node: Node) -> dict[str, Any]:
    # The payload as text: it is given back byte for byte, whatever it holds.
    return {"entry": node.id, "parent": node.parent, **node.draft._asdict()}
