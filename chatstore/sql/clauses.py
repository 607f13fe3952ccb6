"""The clauses that statements share."""

from typing import Any

from sqlalchemy import Select, and_, bindparam, literal_column, or_
from sqlalchemy.sql import ColumnElement

from chatstore.records import Row
from chatstore.sql.models import Block, Conversation, Message

C, M, B = Conversation, Message, Block

CONTENT = [getattr(M, name) for name in Row._fields[3:]]
"""The columns of a message that it brings along."""

ROW = [M.conversation_id, M.ordinal, M.serial, *CONTENT]
"""All its columns, in the order of `chatstore.records.Row`."""

EVERYTHING = 1 << 62
"""A limit that limits nothing, in both dialects; also above every ordinal and every time."""

PAGE_BYTES = 4 << 20
"""A page ends with the message that makes its payloads more than this, be it as short as it may."""

ZERO: ColumnElement[Any] = literal_column("0")
ONE: ColumnElement[Any] = literal_column("1")
NOTHING: ColumnElement[Any] = literal_column("''")

FIRST: dict[str, Any] = {
    **{name: bindparam(name) for name in ("namespace", "key", "ttl", "expires_at")},
    **dict.fromkeys(("count", "revision"), bindparam("n")),
    **dict.fromkeys(("created_at", "updated_at"), bindparam("now")),
    "next_ordinal": bindparam("span"),
}
"""The row of a conversation, at its first append."""


def named() -> ColumnElement[bool]:
    """The conversation `key` of the store's namespace."""
    return and_(C.namespace == bindparam("namespace"), C.key == bindparam("key"))


def live() -> ColumnElement[bool]:
    """Not expired at `now`."""
    return or_(C.expires_at.is_(None), C.expires_at > bindparam("now"))


def mine() -> ColumnElement[bool]:
    """Of the store's namespace."""
    return C.namespace == bindparam("namespace")


def between() -> ColumnElement[bool]:
    """Of the keys from `low` up to before `high`."""
    return and_(C.key >= bindparam("low"), C.key < bindparam("high"))


def here() -> ColumnElement[bool]:
    """The messages of a conversation."""
    return M.conversation_id == bindparam("conversation_id")


def up(rows: Select[Any], limit: Any = None, skip: Any = ZERO) -> Select[Any]:
    """The first `n` messages of some."""
    return rows.order_by(M.ordinal).limit(bindparam("n") if limit is None else limit).offset(skip)


def down(rows: Select[Any], limit: Any = None, skip: Any = ZERO) -> Select[Any]:
    """The last `n`, from the last on."""
    return (
        rows.order_by(M.ordinal.desc())
        .limit(bindparam("n") if limit is None else limit)
        .offset(skip)
    )
