"""An SQLAlchemy connection over one of ours, for the schema's room."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import StaticPool

from chatstore.sql.engine.sqlite.writer import Writer

if TYPE_CHECKING:
    import psycopg


@contextlib.contextmanager
def transaction(conn: sqlite3.Connection, writer: Writer) -> Iterator[sa.Connection]:
    """One `BEGIN IMMEDIATE` around the block. SQLite's errors become ours."""
    engine = sa.create_engine(
        "sqlite://", creator=lambda: conn, poolclass=StaticPool, hide_parameters=True
    )

    # SQLAlchemy begins nothing on SQLite; without this, a failed migration would stay half done.
    @event.listens_for(engine, "begin")
    def begin(_connection: sa.Connection) -> None:
        conn.execute("PRAGMA busy_timeout=0").close()
        writer.wait(lambda: conn.execute("BEGIN IMMEDIATE"))
        # With a rollback journal, COMMIT may have to wait for readers.
        conn.execute("PRAGMA busy_timeout=5000").close()

    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    except sa.exc.DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise writer.translate(error.orig) from None
        raise
    except sqlite3.Error as error:
        raise writer.translate(error) from None


@contextlib.contextmanager
def postgres_transaction(
    conn: "psycopg.Connection[Any]", translate: Callable[[BaseException], BaseException]
) -> Iterator[sa.Connection]:
    """One transaction around the block. The driver's errors become ours."""
    engine = sa.create_engine(
        "postgresql+psycopg://", creator=lambda: conn, poolclass=StaticPool, hide_parameters=True
    )
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    except sa.exc.DBAPIError as error:
        if error.orig is not None:
            raise translate(error.orig) from None
        raise
