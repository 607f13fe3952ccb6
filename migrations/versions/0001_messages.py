"""Conversations, and their messages numbered 0 to n-1.

Revision ID: 0001_messages
Revises:
"""

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0001_messages"
down_revision = None
branch_labels = None
depends_on = None

# SQLite counts up only in an INTEGER key; PostgreSQL orders by code point only when told to.
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ORDERED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade(op: "Operations") -> None:
    op.create_table(
        "chatstore_conversation",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("namespace", _ORDERED, nullable=False),
        sa.Column("key", _ORDERED, nullable=False),
        sa.Column("next_ordinal", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("ttl", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("metadata", sa.Text(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("namespace", "key", name="uq_chatstore_conversation_key"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "chatstore_message",
        sa.Column("conversation_id", _ID, autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.BigInteger(), autoincrement=False, nullable=False),
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
    op.create_index(
        "uq_chatstore_message_id",
        "chatstore_message",
        ["conversation_id", "id"],
        unique=True,
        sqlite_where=sa.text("id IS NOT NULL"),
        postgresql_where=sa.text("id IS NOT NULL"),
    )


def downgrade(op: "Operations") -> None:
    op.drop_table("chatstore_message")
    op.drop_table("chatstore_conversation")
