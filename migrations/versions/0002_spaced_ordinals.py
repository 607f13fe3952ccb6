"""Room between messages, their serials, counts of the archived, and the blocks.

Ordinals become multiples of 2**20, so that an insert finds room between two. Messages are numbered
anew from what is there, so that what follows may rely on regular numbering; serials are 1 to n, and
no revision is lower than the serials that came from it.

Revision ID: 0002_spaced_ordinals
Revises: 0001_messages
"""

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0002_spaced_ordinals"
down_revision = "0001_messages"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ORDERED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

_KEPT = "id, format, payload, role, kind, tool_call_ids, archived, created_at"
# The payloads stay out of the window, which would hold a whole conversation otherwise.
_PLACES = """
    SELECT conversation_id, ordinal,
           row_number() OVER (PARTITION BY conversation_id ORDER BY ordinal) - 1 AS place
    FROM chatstore_message
"""


def upgrade(op: "Operations") -> None:
    op.add_column(
        "chatstore_conversation",
        sa.Column("base", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.add_column(
        "chatstore_conversation",
        sa.Column("archived", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.add_column(
        "chatstore_conversation", sa.Column("active_from", sa.BigInteger(), nullable=True)
    )
    if _on_sqlite(op):
        _rebuild(op, sa.Column("serial", sa.BigInteger(), nullable=False))
    else:
        op.add_column("chatstore_message", sa.Column("serial", sa.BigInteger(), nullable=True))
        _renumber(op, "ordinal = p.place * 1048576, serial = p.place + 1")
        op.alter_column("chatstore_message", "serial", nullable=False)
    op.execute(
        """
        UPDATE chatstore_conversation
        SET next_ordinal = m.total * 1048576,
            count = m.total,
            archived = m.archived,
            active_from = CASE WHEN m.archived > 0 THEN m.first_active END,
            revision = CASE WHEN revision < m.total THEN m.total ELSE revision END
        FROM (
            SELECT c.id AS conversation_id,
                   count(r.ordinal) AS total,
                   count(CASE WHEN r.archived THEN 1 END) AS archived,
                   min(CASE WHEN NOT r.archived THEN r.ordinal END) AS first_active
            FROM chatstore_conversation AS c
            LEFT JOIN chatstore_message AS r ON r.conversation_id = c.id
            GROUP BY c.id
        ) AS m
        WHERE m.conversation_id = chatstore_conversation.id
        """
    )
    op.create_index(
        "ix_chatstore_conversation_updated",
        "chatstore_conversation",
        ["namespace", "updated_at", "key"],
    )
    op.create_index(
        "ix_chatstore_conversation_expires",
        "chatstore_conversation",
        ["expires_at"],
        sqlite_where=sa.text("expires_at IS NOT NULL"),
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.create_table(
        "chatstore_block",
        sa.Column("conversation_id", _ID, autoincrement=False, nullable=False),
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("delta", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("conversation_id", "block"),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["chatstore_conversation.id"], ondelete="CASCADE"
        ),
    )


def downgrade(op: "Operations") -> None:
    op.drop_table("chatstore_block")
    op.drop_index("ix_chatstore_conversation_expires", "chatstore_conversation")
    op.drop_index("ix_chatstore_conversation_updated", "chatstore_conversation")
    if _on_sqlite(op):
        _rebuild(op)
    else:
        _renumber(op, "ordinal = p.place")
        op.drop_column("chatstore_message", "serial")
    op.execute("UPDATE chatstore_conversation SET next_ordinal = count")
    for column in ("active_from", "archived", "base"):
        op.drop_column("chatstore_conversation", column)


def _on_sqlite(op: "Operations") -> bool:
    return op.get_context().dialect.name == "sqlite"


def _rebuild(op: "Operations", *serial: "sa.Column[int]") -> None:
    """On SQLite: the messages into a new table, in their order, with or without serials."""
    op.create_table(
        "chatstore_message_new",
        sa.Column("conversation_id", _ID, autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.BigInteger(), autoincrement=False, nullable=False),
        *serial,
        sa.Column("id", _ORDERED, nullable=True),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("tool_call_ids", sa.Text(), nullable=True),
        sa.Column("archived", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("conversation_id", "ordinal"),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["chatstore_conversation.id"], ondelete="CASCADE"
        ),
    )
    into, values = ("ordinal, serial", "place * 1048576, place + 1")
    if not serial:
        into, values = ("ordinal", "place")
    op.execute(
        f"INSERT INTO chatstore_message_new (conversation_id, {into}, {_KEPT}) "  # noqa: S608
        f"SELECT p.conversation_id, {values}, {_KEPT} "
        f"FROM ({_PLACES}) AS p JOIN chatstore_message AS m "
        "ON m.conversation_id = p.conversation_id AND m.ordinal = p.ordinal "
        "ORDER BY p.conversation_id, p.ordinal"
    )
    op.drop_table("chatstore_message")
    # Otherwise RENAME refuses to work when a host's view reads the table that is away just now.
    op.execute("PRAGMA legacy_alter_table=ON")
    op.rename_table("chatstore_message_new", "chatstore_message")
    op.execute("PRAGMA legacy_alter_table=OFF")
    op.create_index(
        "uq_chatstore_message_id",
        "chatstore_message",
        ["conversation_id", "id"],
        unique=True,
        sqlite_where=sa.text("id IS NOT NULL"),
    )


def _renumber(op: "Operations", changes: str) -> None:
    """On PostgreSQL: without the key, which would be violated while the numbers change."""
    op.drop_constraint("chatstore_message_pkey", "chatstore_message", type_="primary")
    op.execute(
        f"UPDATE chatstore_message AS m SET {changes} FROM ({_PLACES}) AS p "  # noqa: S608
        "WHERE m.conversation_id = p.conversation_id AND m.ordinal = p.ordinal"
    )
    op.create_primary_key(
        "chatstore_message_pkey", "chatstore_message", ["conversation_id", "ordinal"]
    )
