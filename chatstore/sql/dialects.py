"""Which statements a dialect has: those that all share, and its own."""

from functools import cache

from chatstore.sql.postgres_statements import PostgresStatements
from chatstore.sql.statements import Statements


@cache
def statements(dialect: str, schema: str | None = None) -> Statements:
    """The statements of a dialect: "sqlite" or "postgresql"."""
    kind = PostgresStatements if dialect == "postgresql" else Statements
    return kind(dialect, schema)
