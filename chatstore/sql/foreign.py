"""Tables that another program keeps in a database: read in one snapshot, and nothing is made."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from chatstore.errors import StoreUnavailableError, TransferError
from chatstore.sql.engine.target import is_postgres, url_of

PAGE = 1000
"""Rows that are in memory at a time."""


def shown(url: str) -> str:
    """The URL without its password, for errors.

    Example:
        >>> shown("postgresql://ada:secret@localhost/chats")
        'postgresql://ada:***@localhost/chats'
    """
    return url_of(url).render_as_string(hide_password=True)


class Tables:
    """The tables of a database, as they are at one moment."""

    def __init__(self, conn: sa.Connection) -> None:
        self._conn = conn
        self._inspector = sa.inspect(conn)

    def having(self, columns: Sequence[str], prefix: str) -> list[str]:
        """The names of the tables with exactly these columns."""
        found = sorted(self._inspector.get_table_names())
        return [
            table
            for table in found
            if table.startswith(prefix) and set(self._types(table)) == set(columns)
        ]

    def rows(
        self, table: str, columns: Sequence[str], order: Sequence[str]
    ) -> Iterator[Sequence[Any]]:
        """The rows of a table in an order, read in pages; JSON as the text that it is."""
        types = self._types(table)
        wanted = [
            # A driver would make values of it, and change what Python's numbers cannot hold.
            sa.cast(sa.column(name), sa.Text) if _is_json(types[name]) else sa.column(name)
            for name in columns
        ]
        chosen = sa.select(*wanted).select_from(sa.table(table))
        chosen = chosen.order_by(*map(sa.column, order))
        with self._conn.execution_options(yield_per=PAGE).execute(chosen) as result:
            yield from result

    def _types(self, table: str) -> dict[str, Any]:
        return {column["name"]: column["type"] for column in self._inspector.get_columns(table)}


def _is_json(type_: Any) -> bool:
    return isinstance(type_, sa.JSON)


@contextmanager
def opened(url: str) -> Iterator[Tables]:
    """The tables behind a URL of SQLAlchemy's, whatever its driver; PostgreSQL is read by psycopg.

    Raises:
        ValueError: It is no URL.
        StoreUnavailableError: The database cannot be reached.
        TransferError: There is no driver for it, or it cannot be read.
    """
    name, target = shown(url), url_of(url)
    remedy = f"install SQLAlchemy's driver for {target.get_backend_name()} with pip"
    if is_postgres(target):
        target = target.set(drivername="postgresql+psycopg")
        remedy = "pip install 'chatstore-sql[postgres]'"
    try:
        engine = sa.create_engine(target, poolclass=NullPool)
    except (sa.exc.NoSuchModuleError, ImportError):
        raise TransferError(f"{name}: the driver of this URL is not installed; {remedy}") from None
    if engine.dialect.is_async:
        raise TransferError(f"{name}: give the URL without its async driver")
    try:
        with engine.connect() as conn:
            if engine.dialect.name == "postgresql":
                conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield Tables(conn)
    except sa.exc.OperationalError:
        # Its text may hold more than the name of the server.
        raise StoreUnavailableError(
            f"{name}: the database cannot be reached, or refused the login; check the URL; "
            "nothing was imported"
        ) from None
    except sa.exc.SQLAlchemyError as error:
        kind = type(getattr(error, "orig", None) or error).__name__
        raise TransferError(f"{name}: it cannot be read ({kind}); nothing was imported") from None
    finally:
        engine.dispose()
