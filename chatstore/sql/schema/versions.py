"""Which schema a database has, in plain SQL: to open a current one costs a SELECT."""

import re
from typing import TYPE_CHECKING

from chatstore._version import __version__
from chatstore.errors import SchemaTooNewError, StoreCorruptError

if TYPE_CHECKING:
    from chatstore.sql.engine import Database
    from chatstore.sql.engine.conn import Conn

REVISIONS = ("0001_messages", "0002_spaced_ordinals", "0003_adapter_state")
"""All of them in their order, so that they are known without Alembic. A test compares."""

HEAD = REVISIONS[-1]
VERSION_TABLE = "chatstore_alembic_version"
TABLES = (
    *("chatstore_conversation", "chatstore_message", "chatstore_block"),
    "chatstore_state",
)

# It stands in statements, where no parameter can.
_SCHEMA = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_NAMES = {
    "sqlite": "SELECT lower(name) FROM sqlite_master WHERE type IN ('table', 'view')",
    "postgresql": (
        "SELECT c.relname FROM pg_catalog.pg_class AS c "
        "JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {where}"
    ),
}


class _NoVersionError(Exception):
    """There is no version table, or it is not one of ours."""


def current(database: "Database", schema: str | None = None) -> str | None:
    """The revision of a database; `None`: it has no tables of ours. Changes nothing.

    Raises:
        SchemaTooNewError: The revision is not one of ours.
        StoreCorruptError: There are tables of ours, but not which version they are.
    """
    try:
        if found := database.read(lambda conn: _versions(conn, schema)):
            return _judge(found, database.name)
    except _NoVersionError:
        # Asking what there is instead takes a new transaction, on PostgreSQL.
        pass
    return database.read(lambda conn: current_of(conn, database, schema))


def current_of(conn: "Conn", database: "Database", schema: str | None = None) -> str | None:
    """The same on a connection whose transaction goes on: no statement fails but for damage."""
    where = "pg_catalog.pg_table_is_visible(c.oid)"
    if schema:
        where = f"n.nspname = '{checked(schema)}'"
    sql = _NAMES[database.dialect].format(where=where)
    names = {name for (name,) in conn.execute(sql).fetchall()}
    ours = sorted(names.intersection(TABLES))
    unread = ours
    if VERSION_TABLE in names:
        try:
            if found := _versions(conn, schema):
                return _judge(found, database.name)
        except _NoVersionError:
            unread = [*ours, VERSION_TABLE]
    if unread:
        raise StoreCorruptError(
            f"{database.name}: it has {', '.join(unread)}, but {VERSION_TABLE} does not say in "
            "which version, so that nothing was touched. If another program made them, use "
            "another database; if chatstore did, restore a backup"
        )
    return None


def _versions(conn: "Conn", schema: str | None) -> list[str]:
    table = f'"{checked(schema)}".{VERSION_TABLE}' if schema else VERSION_TABLE
    try:
        return [row[0] for row in conn.execute(f"SELECT version_num FROM {table}").fetchall()]  # noqa: S608
    except Exception as error:
        if _is_absence(error):
            raise _NoVersionError from None
        raise


def checked(schema: str) -> str:
    """The name of a schema, as statements may hold it.

    Raises:
        ValueError: It is not made of letters, digits and `_`.
    """
    if not _SCHEMA.fullmatch(schema):
        raise ValueError("a schema's name is 1 to 63 letters, digits and _, a digit not the first")
    return schema


def _judge(found: list[str], name: str) -> str:
    unknown = [revision for revision in found if revision not in REVISIONS]
    if unknown:
        raise SchemaTooNewError(
            f"{name}: its schema is {unknown[0]!r}, which chatstore {__version__} does not know: "
            f"it knows {HEAD!r} and older. A newer version wrote it; nothing was touched. "
            "Run `pip install --upgrade chatstore-sql`"
        )
    if len(found) > 1:
        raise StoreCorruptError(
            f"{name}: {VERSION_TABLE} names more than one revision: {', '.join(sorted(found))}. "
            "Restore it from a backup"
        )
    return found[0]


def _is_absence(error: Exception) -> bool:
    """Whether the statement failed because of what it names: no such table, or column."""
    if getattr(error, "sqlstate", None) in {"42P01", "42703", "3F000"}:
        return True
    return getattr(error, "sqlite_errorname", None) == "SQLITE_ERROR"
