"""A turn at the database: a connection in a transaction, and what every operation needs of it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from chatstore import clock, errors
from chatstore.arguments import ABSENT, Expected
from chatstore.records import Conversation, Row
from chatstore.sql.clauses import EVERYTHING, PAGE_BYTES
from chatstore.sql.engine.conn import Conn, lenient
from chatstore.sql.engine.faults import is_bad_text
from chatstore.sql.models import GAP
from chatstore.sql.statements import Statements

T = TypeVar("T")

_MOST_INTEGER = (1 << 63) - 1
_LONGEST_TOKEN = 40
_PAYLOAD = Row._fields.index("payload")


class Raced(Exception):  # noqa: N818
    """Another transaction came between two statements of this one, which must be run again."""


@dataclass(slots=True)
class Held:
    """The row of a conversation, held by this transaction. See `models.Conversation`."""

    conversation_id: int
    next_ordinal: int
    base: int
    count: int
    archived: int
    active_from: int | None
    revision: int
    ttl: int | None
    expires_at: int | None

    @property
    def token(self) -> str:
        """The revision as callers see it."""
        return token(self.conversation_id, self.revision)


def token(conversation_id: int, revision: int) -> str:
    """A revision, which never recurs: ids are never given out twice, and revisions only rise."""
    return f"{conversation_id}-{revision}"


def numbers(revision: str) -> tuple[int, int]:
    """What a revision is made of; see `token`.

    Raises:
        Raced: It is none of a conversation.
    """
    here, _, number = revision.partition("-")
    if here.isdecimal() and number.isdecimal() and len(revision) < _LONGEST_TOKEN:
        found = int(here), int(number)
        if max(found) <= _MOST_INTEGER and token(*found) == revision:
            return found
    raise Raced


class Turn:
    """Runs statements for one operation of one store.

    `ttl` is the store's own, in microseconds.
    """

    __slots__ = ("conn", "namespace", "now", "sql", "ttl")

    def __init__(self, conn: Conn, sql: Statements, namespace: str, ttl: int | None) -> None:
        self.conn = conn
        self.sql = sql
        self.namespace = namespace
        self.ttl = ttl
        self.now = clock.now()

    @property
    def dialect(self) -> str:
        """The dialect of the statements: "sqlite" or "postgresql"."""
        return self.sql.dialect

    def rows(self, statement: str, **parameters: Any) -> list[Any]:
        """All rows of a statement that selects."""
        return self._as_is(lambda: self.conn.execute(statement, parameters).fetchall())

    def row(self, statement: str, **parameters: Any) -> Any:
        """The first row of a statement, or `None`."""
        return self._as_is(lambda: self.conn.execute(statement, parameters).fetchone())

    def page(self, statement: str, n: int, **parameters: Any) -> tuple[list[Any], bool]:
        """The first of at most `n` messages, and whether there may be more.

        They are fewer if they are long, so that a page takes about as much memory as any other.
        """
        return self._as_is(lambda: self._page(statement, {"n": n, **parameters}))

    def _page(self, statement: str, parameters: dict[str, Any]) -> tuple[list[Any], bool]:
        rows, size = [], 0
        cursor = self.conn.execute(statement, parameters)
        for row in cursor:
            rows.append(row)
            size += len(str(row[_PAYLOAD]))
            if size > PAGE_BYTES:
                break
        cursor.close()
        return rows, len(rows) == parameters["n"] or size > PAGE_BYTES

    def _as_is(self, ask: Callable[[], T]) -> T:
        """What it asks for; text that is none, being damaged, as bytes."""
        try:
            return ask()
        except Exception as error:
            if not is_bad_text(error):
                raise
            with lenient(self.conn):
                return ask()

    def run(self, statement: str, **parameters: Any) -> None:
        """Run a statement that results in nothing."""
        self.conn.execute(statement, parameters).close()

    def many(self, statement: str, parameters: Sequence[Any]) -> None:
        """Run a statement for each set of parameters."""
        if len(parameters) == 1:
            self.conn.execute(statement, parameters[0]).close()
        elif parameters:
            cursor = self.conn.cursor()
            cursor.executemany(statement, parameters)
            cursor.close()

    def named(self, key: str) -> dict[str, Any]:
        """The parameters that find a live conversation by its key."""
        return {"namespace": self.namespace, "key": key, "now": self.now}

    def find(self, key: str) -> Held | None:
        """The conversation, to be read."""
        row = self.row(self.sql.find, **self.named(key))
        return None if row is None else Held(*row)

    def lock(self, key: str, expected: Expected = None) -> Held | None:
        """The conversation, to be changed; an expired one is removed.

        Raises:
            ConflictError: It is not at the expected revision.
        """
        row = self.row(self.sql.lock, namespace=self.namespace, key=key)
        held = None if row is None else Held(*row)
        if held is not None and held.expires_at is not None and held.expires_at <= self.now:
            self.remove(held.conversation_id)
            held = None
        if expected is not None and (held.token if held else ABSENT) != expected:
            raise errors.conflict(key)
        return held

    def save(self, held: Held) -> None:
        """Write the row of a changed conversation; without messages it is removed."""
        if held.count == 0:
            self.remove(held.conversation_id)
            return
        held.revision += 1
        held.expires_at = None if held.ttl is None else self.now + held.ttl
        self.run(self.sql.save, **asdict(held), updated_at=self.now)

    def create(self, key: str, count: int, **columns: Any) -> int:
        """Store the row of a conversation whose messages will be regular; its id.

        Raises:
            Raced: It is there, though it was not when this transaction looked.
        """
        here = self.create_missing(key, count, **columns)
        if here is None:
            raise Raced
        return here

    def create_missing(self, key: str, count: int, **columns: Any) -> int | None:
        """The same, but `None` if the conversation is there, be it expired."""
        row = {
            "namespace": self.namespace,
            "key": key,
            "next_ordinal": count * GAP,
            "base": 0,
            "count": count,
            "archived": 0,
            "active_from": None,
            "revision": count,
            "created_at": self.now,
            "updated_at": self.now,
            "ttl": None,
            "expires_at": None,
            "metadata": "{}",
        }
        found = self.row(self.sql.add_conversation, **(row | columns))
        return None if found is None else int(found[0])

    def remove(self, *conversation_ids: int) -> None:
        """Remove conversations with all that belongs to them."""
        rows = [
            {"conversation_id": here, "ordinal": EVERYTHING, "base": EVERYTHING}
            for here in conversation_ids
        ]
        # A state by its key: messages may have come to one that had none.
        statements = ("delete_before", "delete_blocks", "delete_state_of", "delete_conversation")
        for statement in statements:
            self.many(getattr(self.sql, statement), rows)


def conversation(row: Any) -> Conversation:
    """A row of `statements.describe` as callers see it."""
    key, count, created_at, updated_at, expires_at, ttl, metadata, conversation_id, revision = row
    created = clock.show(created_at)
    return Conversation(
        key=key,
        count=count,
        created_at=created,
        updated_at=created if updated_at == created_at else clock.show(updated_at),
        expires_at=None if expires_at is None else clock.show(expires_at),
        ttl=None if ttl is None else ttl / 1_000_000,
        metadata=json.loads(metadata) if metadata != "{}" else {},
        revision=token(conversation_id, revision),
    )
