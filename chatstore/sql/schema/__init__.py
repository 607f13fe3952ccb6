"""How a database comes to have our schema, and how it is compared with what it should be.

Alembic is known only here, and imported only when something must change. Its commands are not used:
their globals break other threads and the host application's own Alembic (8 threads on 8 files: 154
of 160 schemas wrong). The revisions get their operations as an argument instead, and run in one
transaction, which holds the write lock before it reads the version.
"""

import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from chatstore._version import __version__
from chatstore.errors import ChatStoreError, SchemaOutdatedError, StoreReadOnlyError
from chatstore.sql.engine import faults
from chatstore.sql.schema.versions import (
    HEAD,
    REVISIONS,
    TABLES,
    VERSION_TABLE,
    current,
    current_of,
)

if TYPE_CHECKING:
    import sqlalchemy as sa
    from alembic.script import ScriptDirectory

    from chatstore.sql.engine import Database
    from chatstore.sql.engine.postgres.database import PostgresDatabase

__all__ = [
    "HEAD",
    "REVISIONS",
    "TABLES",
    "VERSION_TABLE",
    "Change",
    "Step",
    "changing",
    "check",
    "current",
    "downgrade",
    "ensure",
    "history",
    "migrations",
    "upgrade",
]


class Change(NamedTuple):
    """What an upgrade or a downgrade did. A revision of `None`: no tables of ours."""

    before: str | None
    after: str | None
    backup: Path | None


class Step(NamedTuple):
    """A revision, and what it brings."""

    revision: str
    summary: str


def ensure(
    database: "Database",
    *,
    upgrade: bool | None = None,
    backup: bool = True,
    schema: str | None = None,
) -> None:
    """Sees to it that the database has the schema of this version, for a store that opens.

    Args:
        database: It is only read, until it is known that it must be changed, and may be.
        upgrade: Whether to create or upgrade the tables; `None`: on SQLite yes, elsewhere no.
        backup: Whether a SQLite file with conversations is copied before it is upgraded.
        schema: PostgreSQL's, if not the default one.

    Raises:
        SchemaTooNewError: A newer version of this library wrote the schema.
        SchemaOutdatedError: The schema is older, or there is none, and `upgrade` forbids.
        StoreReadOnlyError: It would have to be changed, and cannot be written.
        StoreCorruptError: There are tables of ours, but not which version they are.
    """
    allowed = database.dialect == "sqlite" if upgrade is None else upgrade
    # To look into a file that is missing would make it.
    found = current(database, schema) if allowed or database.exists else None
    if found == HEAD:
        return
    state = f"its schema is {found!r}" if found else "it has no tables of chatstore yet"
    if not allowed:
        raise SchemaOutdatedError(
            f"{database.name}: {state}, and chatstore {__version__} needs {HEAD!r}. Run "
            f"`chatstore upgrade {shlex.quote(database.name)}`, or open it with upgrade=True"
        )
    try:
        _change(database, HEAD, backup=backup, schema=schema)
    except StoreReadOnlyError as error:
        told = f"{error} To open it takes writing: {state}, and has to be upgraded to {HEAD!r}"
        raise StoreReadOnlyError(told) from None


def upgrade(
    database: "Database",
    revision: str = "head",
    *,
    backup: bool = True,
    schema: str | None = None,
) -> Change:
    """Brings the schema to a revision: `head`, or the beginning of its id. Never back.

    Raises:
        ValueError: There is no such revision, or the database is past it.
        SchemaTooNewError: A newer version of this library wrote the schema.
        StoreCorruptError: There are tables of ours, but not which version they are.
    """
    return _change(database, _resolve(revision), backup=backup, schema=schema)


def downgrade(database: "Database", revision: str, *, schema: str | None = None) -> Change:
    """Takes the schema back to a revision, or to `base`: no tables, and no conversations.

    A SQLite file with conversations is copied first. What the older schema has no place for is
    lost. The library never does this by itself.

    Raises:
        ValueError: There is no such revision, or the database is not past it.
        SchemaTooNewError: A newer version of this library wrote the schema.
        StoreCorruptError: There are tables of ours, but not which version they are.
    """
    return _change(database, _resolve(revision), backup=True, schema=schema, down=True)


def history() -> list[Step]:
    """All revisions, the oldest first."""
    script = _script()
    return [Step(name, script.get_revision(name).doc) for name in REVISIONS]


def check(database: "Database", *, schema: str | None = None) -> list[str]:
    """How the schema differs from what this version needs, in sentences; `[]`: it does not."""
    found = current(database, schema)
    if found != HEAD:
        return [f"the schema is {found or 'base'}, not {HEAD}"]
    if database.dialect == "sqlite":
        from chatstore.sql.schema.drift import differences

        return database.read(differences)
    return _compare(cast("PostgresDatabase", database), schema)


@contextmanager
def changing(database: "Database", *, schema: str | None = None) -> "Iterator[sa.Connection]":
    """One transaction for changing the schema; no other write runs meanwhile.

    It is rolled back if a row or a reference got lost in it.
    """
    from chatstore.sql.schema import guard

    with database.exclusive() as conn:
        sqlite = database.dialect == "sqlite"
        with guard.sqlite(conn) if sqlite else guard.postgresql(conn, schema):
            yield conn


def migrations() -> Path:
    """The folder of the revisions: inside the installed package, else at the checkout's root."""
    package = Path(__file__).resolve().parents[2]
    # The package first: `site-packages/migrations` may be somebody else's.
    for folder in (package / "migrations", package.parent / "migrations"):
        if (folder / "versions" / f"{HEAD}.py").is_file():
            return folder
    raise ChatStoreError(
        f"the migrations of chatstore {__version__} are not where they should be, in "
        f"{package / 'migrations'}; install chatstore-sql again"
    )


def _change(
    database: "Database",
    target: str | None,
    *,
    backup: bool,
    schema: str | None,
    down: bool = False,
) -> Change:
    # First without the lock: nothing is written to a database that turns out to be too new.
    found = current(database, schema)
    if found == target:
        return Change(found, found, None)
    with changing(database, schema=schema) as conn:
        # Another process may have done it while this one waited for the lock.
        driver: Any = conn.connection.dbapi_connection
        found = current_of(driver, database, schema)
        if found == target:
            return Change(found, found, None)
        if down != (_rank(found) > _rank(target)):
            way = "upgrade" if down else "downgrade"
            raise ValueError(
                f"{database.name} is at {found or 'base'}; `chatstore {way}` leads to {target}"
            )
        copy = _back_up(database, conn, found) if backup and found else None
        _run(conn, target or "base", down=down)
    return Change(found, target, copy)


def _run(conn: "sa.Connection", target: str, *, down: bool) -> None:
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    script = _script()
    steps = script._downgrade_revs if down else script._upgrade_revs
    context = MigrationContext.configure(
        conn,
        opts={
            "fn": lambda heads, _context: steps(target, heads),
            "script": script,
            "transactional_ddl": True,
            "version_table": VERSION_TABLE,
        },
    )
    context.run_migrations(op=Operations(context))


def _compare(database: "PostgresDatabase", schema: str | None) -> list[str]:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from chatstore.sql.models import Base
    from chatstore.sql.schema import guard

    def ours(name: str | None, kind: str, _parents: Any) -> bool:
        return kind != "table" or name in TABLES

    with database.inspecting() as conn:
        if schema is not None:
            guard.enter(conn, schema)
        context = MigrationContext.configure(
            conn,
            opts={
                "compare_server_default": True,
                "include_name": ours,
                "version_table": VERSION_TABLE,
            },
        )
        return [str(difference) for difference in compare_metadata(context, Base.metadata)]


def _script() -> "ScriptDirectory":
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(migrations()))


def _back_up(database: "Database", conn: "sa.Connection", found: str) -> Path | None:
    from chatstore.sql.engine.sqlite.database import SQLiteDatabase
    from chatstore.sql.schema import guard

    path = database.place.path if isinstance(database, SQLiteDatabase) else None
    if path is None or not guard.has_conversations(conn):
        return None
    try:
        # Through another connection: SQLite copies nothing from one that writes.
        return database.read(
            lambda other: guard.back_up(cast(sqlite3.Connection, other), path, found)
        )
    except OSError as error:
        raise faults.unreachable(f"the backup of {database.name}", error) from None


def _rank(revision: str | None) -> int:
    return -1 if revision is None else REVISIONS.index(revision)


def _resolve(revision: str) -> str | None:
    if revision == "head":
        return HEAD
    if revision == "base":
        return None
    matches = [known for known in REVISIONS if known.startswith(revision)]
    if len(matches) != 1 or not revision:
        raise ValueError(f"no revision {revision!r}; there are base, {', '.join(REVISIONS)}, head")
    return matches[0]
