"""The tables, declared once, for Alembic, for readers, and for the statements.

Times are microseconds since 1970 UTC. Order within a conversation is that of `ordinal` alone.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

GAP = 1 << 20
"""Between the ordinals of messages that are appended, so that an insert finds room between two."""

BLOCK_ROWS = 1024
"""Few, and a lookup adds up many edited blocks; many, and it steps far inside one. At 100 000
messages, all blocks edited (m): 256 rows 0.20 ms, 1 024 rows 0.07 ms."""

BLOCK = BLOCK_ROWS * GAP
"""The ordinals of a block: those of so many appended messages. See `chatstore.sql.places`."""

_Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only in an INTEGER key
_Ordered = Text().with_variant(Text(collation="C"), "postgresql")  # by code point, as on SQLite


class Base(DeclarativeBase):
    """The declarative base of the store's own tables, apart from the host application's."""


class Conversation(Base):
    """A conversation: the lock that its writers take, and the allocator of its ordinals."""

    __tablename__ = "chatstore_conversation"
    __table_args__ = (
        UniqueConstraint("namespace", "key", name="uq_chatstore_conversation_key"),
        Index("ix_chatstore_conversation_updated", "namespace", "updated_at", "key"),
        # Ids are never given out twice, so that no revision recurs.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    namespace: Mapped[str] = mapped_column(_Ordered)
    key: Mapped[str] = mapped_column(_Ordered)
    next_ordinal: Mapped[int] = mapped_column(BigInteger)
    base: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """The first block that regular messages can be in; the ones before it were removed."""
    count: Mapped[int] = mapped_column(BigInteger)
    archived: Mapped[int] = mapped_column(BigInteger, server_default="0")
    active_from: Mapped[int | None] = mapped_column(BigInteger)
    """No active message has a lower ordinal; `None`: nothing is known."""
    revision: Mapped[int] = mapped_column(BigInteger)
    """Rises with every write, by one for each message that it stores: the serials come from it."""
    created_at: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[int] = mapped_column(BigInteger)
    ttl: Mapped[int | None] = mapped_column(BigInteger)
    expires_at: Mapped[int | None] = mapped_column(BigInteger)
    metadata_: Mapped[str] = mapped_column("metadata", Text, server_default="{}")


Index(
    "ix_chatstore_conversation_expires",
    Conversation.expires_at,
    sqlite_where=Conversation.expires_at.is_not(None),
    postgresql_where=Conversation.expires_at.is_not(None),
)


class Message(Base):
    """A message. Its payload is the JSON of its format; the columns beside it are derived."""

    __tablename__ = "chatstore_message"

    conversation_id: Mapped[int] = mapped_column(
        _Id, ForeignKey(Conversation.id, ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    ordinal: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    serial: Mapped[int] = mapped_column(BigInteger)
    id: Mapped[str | None] = mapped_column(_Ordered)
    """The caller's; a message without one is known by its serial."""
    format: Mapped[str] = mapped_column(Text)
    payload: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    kind: Mapped[str | None] = mapped_column(Text)
    tool_call_ids: Mapped[str | None] = mapped_column(Text)
    archived: Mapped[bool] = mapped_column(Boolean, server_default=false())
    created_at: Mapped[int] = mapped_column(BigInteger)


Index(
    "uq_chatstore_message_id",
    Message.conversation_id,
    Message.id,
    unique=True,
    sqlite_where=Message.id.is_not(None),
    postgresql_where=Message.id.is_not(None),
)


Index(
    "ix_chatstore_message_entry",
    Message.id,
    sqlite_where=text("format = 'pydantic_ai' AND id IS NOT NULL"),
    postgresql_where=text("format = 'pydantic_ai' AND id IS NOT NULL"),
)


class Block(Base):
    """A block of ordinals that holds other messages than appending alone would have put there.

    `delta`: by how many it holds more. See `chatstore.sql.places`.
    """

    __tablename__ = "chatstore_block"

    conversation_id: Mapped[int] = mapped_column(
        _Id, ForeignKey(Conversation.id, ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    block: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    delta: Mapped[int] = mapped_column(BigInteger)


class State(Base):
    """What an adapter keeps beside a conversation, or where there are no messages.

    It is found by its key. Written beside a conversation, it also goes with that one's row; else
    by its own ttl. A conversation that others began since adopts it, unless it had expired then.
    """

    __tablename__ = "chatstore_state"
    __table_args__ = (
        UniqueConstraint("namespace", "key", name="uq_chatstore_state_key"),
        Index("ix_chatstore_state_updated", "namespace", "updated_at", "key"),
        Index("ix_chatstore_state_scope", "namespace", "scope", "updated_at", "key"),
        # Ids are never given out twice, so that no revision recurs.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    namespace: Mapped[str] = mapped_column(_Ordered)
    key: Mapped[str] = mapped_column(_Ordered)
    conversation_id: Mapped[int | None] = mapped_column(
        _Id, ForeignKey(Conversation.id, ondelete="CASCADE")
    )
    """The conversation that it was written beside; `None`: there was none."""
    seen: Mapped[int | None] = mapped_column(BigInteger)
    """The revision of that conversation then."""
    revision: Mapped[int] = mapped_column(BigInteger)
    scope: Mapped[str | None] = mapped_column(_Ordered)
    body: Mapped[str] = mapped_column(Text)
    parted: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[int] = mapped_column(BigInteger)
    ttl: Mapped[int | None] = mapped_column(BigInteger)
    expires_at: Mapped[int | None] = mapped_column(BigInteger)


Index(
    "ix_chatstore_state_conversation",
    State.conversation_id,
    sqlite_where=State.conversation_id.is_not(None),
    postgresql_where=State.conversation_id.is_not(None),
)
Index(
    "ix_chatstore_state_expires",
    State.expires_at,
    sqlite_where=State.expires_at.is_not(None),
    postgresql_where=State.expires_at.is_not(None),
)
