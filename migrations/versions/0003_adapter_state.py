"""What adapters keep beside a conversation, and an index of Pydantic AI's messages by id.

Revision ID: 0003_adapter_state
Revises: 0002_spaced_ordinals
"""

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0003_adapter_state"
down_revision = "0002_spaced_ordinals"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ORDERED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_ENTRIES = "format = 'pydantic_ai' AND id IS NOT NULL"


def upgrade(op: "Operations") -> None:
    op.create_table(
        "chatstore_state",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("namespace", _ORDERED, nullable=False),
        sa.Column("key", _ORDERED, nullable=False),
        sa.Column("conversation_id", _ID, nullable=True),
        sa.Column("seen", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("scope", _ORDERED, nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("parted", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("ttl", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("namespace", "key", name="uq_chatstore_state_key"),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["chatstore_conversation.id"], ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_chatstore_state_updated", "chatstore_state", ["namespace", "updated_at", "key"]
    )
    op.create_index(
        "ix_chatstore_state_scope", "chatstore_state", ["namespace", "scope", "updated_at", "key"]
    )
    for column in ("conversation", "expires"):
        name = {"conversation": "conversation_id", "expires": "expires_at"}[column]
        op.create_index(
            f"ix_chatstore_state_{column}",
            "chatstore_state",
            [name],
            sqlite_where=sa.text(f"{name} IS NOT NULL"),
            postgresql_where=sa.text(f"{name} IS NOT NULL"),
        )
    # It looks at each message once and holds none of the older formats.
    op.create_index(
        "ix_chatstore_message_entry",
        "chatstore_message",
        ["id"],
        sqlite_where=sa.text(_ENTRIES),
        postgresql_where=sa.text(_ENTRIES),
    )


def downgrade(op: "Operations") -> None:
    op.drop_index("ix_chatstore_message_entry", "chatstore_message")
    op.drop_table("chatstore_state")
