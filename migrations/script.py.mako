"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
"""

from typing import TYPE_CHECKING

import sqlalchemy as sa
${imports if imports else ""}
if TYPE_CHECKING:
    from alembic.operations import Operations

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade(op: "Operations") -> None:
    ${upgrades if upgrades else "pass"}


def downgrade(op: "Operations") -> None:
    ${downgrades if downgrades else "pass"}
