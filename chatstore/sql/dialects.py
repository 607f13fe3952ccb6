"""Which statements a dialect has: those that all share, and its own."""

from functools import cache

from chatstore.sql.statements import Statements


@cache
def statements(dialect: str, schema: str | None = None) -> Statements:
    """The statements of a dialect: "sqlite" or "postgresql"."""
    if dialect == "postgresql":
        # Late: most programs open a SQLite file.
        from chatstore.sql.postgres_statements import PostgresStatements

        return PostgresStatements(dialect, schema)
    return Statements(dialect, schema)
