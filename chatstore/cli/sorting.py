"""All conversations in an order, however many: what does not fit into memory is sorted on disk."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import fields
from typing import Any, Literal

from chatstore import Conversation, clock
from chatstore.cli import exits
from chatstore.cli.terminal import as_json

Sort = Literal["newest", "longest", "key"]

_FIELDS = fields(Conversation)
_ORDERS = {"newest": "written DESC, key DESC", "longest": "count DESC, key"}


def lines(conversations: Iterable[Conversation], sort: Sort) -> Iterator[str]:
    """The conversations, which come by key, as JSON in an order.

    They are read by key and then sorted, for whoever pages through them in the order of their
    last write misses the one that is written meanwhile.
    """
    if sort == "key":
        for conversation in conversations:
            yield as_json(facts(conversation))
        return
    # Without a name it is a file that SQLite makes when it grows, and that goes with it.
    with closing(sqlite3.connect("", isolation_level=None)) as db:
        try:
            _fill(db, conversations)
            for (line,) in db.execute(f"SELECT line FROM told ORDER BY {_ORDERS[sort]}"):  # noqa: S608
                yield line
        except sqlite3.Error as error:
            raise exits.CommandError(
                f"the list cannot be sorted in a temporary file ({error}); make room in the "
                "folder for those (TMPDIR), or use --sort key, which needs none",
                exits.SYSTEM,
            ) from None


def facts(conversation: Conversation) -> dict[str, Any]:
    """What is known of a conversation, by name."""
    # `asdict` copies it all, at four times what making the JSON costs.
    return {field.name: getattr(conversation, field.name) for field in _FIELDS}


def _fill(db: sqlite3.Connection, conversations: Iterable[Conversation]) -> None:
    db.execute("PRAGMA journal_mode=OFF").close()
    db.execute("CREATE TABLE told (written INTEGER, count INTEGER, key TEXT, line TEXT)").close()
    db.execute("BEGIN").close()
    rows = (
        (clock.read(told.updated_at), told.count, told.key, as_json(facts(told)))
        for told in conversations
    )
    db.executemany("INSERT INTO told VALUES (?, ?, ?, ?)", rows).close()
    db.execute("COMMIT").close()
