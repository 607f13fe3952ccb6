"""What a change of the schema must not lose: rows, references, what a host hung on our tables."""

import glob
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text
from sqlalchemy.exc import DatabaseError

from chatstore.errors import ChatStoreError
from chatstore.sql.engine.sqlite.files import replaced_file
from chatstore.sql.schema.versions import TABLES, checked

if TYPE_CHECKING:
    import sqlalchemy as sa

# While a change waits for its locks, all who come after it wait for the change.
_PATIENCE = "SET LOCAL lock_timeout = '30s'"
# One lock for each schema, so that upgrades of two do not wait for each other.
_ADVISORY = (
    "SELECT pg_advisory_xact_lock(hashtextextended("
    "'chatstore:' || coalesce(cast(:schema AS text), current_schema()), 0))"
)


@contextmanager
def sqlite(conn: "sa.Connection") -> Iterator[None]:
    """Around a change on SQLite; raises, so that it is rolled back, if something is lost by it."""
    # With them on, dropping a table deletes the rows of the tables that refer to it, and inside a
    # transaction they cannot be turned off (1 000 of 1 000 messages gone, success reported).
    if conn.scalar(text("PRAGMA foreign_keys")):
        raise RuntimeError("foreign keys are on: a rebuilt table would take its messages along")
    rows, orphans, hung = _count(conn), _orphans(conn), _hung(conn)
    yield
    _compare(rows, _count(conn))
    if _orphans(conn) > orphans:
        raise ChatStoreError(_lost("the conversations of some messages"))
    # A rebuilt table comes without the triggers and indexes that a host had put on it.
    for name in sorted(hung.keys() - _hung(conn).keys()):
        try:
            conn.exec_driver_sql(hung[name])
        except DatabaseError:
            raise ChatStoreError(
                f"{name}, which is not chatstore's own, does not fit its new tables: nothing was "
                f"changed. Drop {name}, and create one that fits afterwards"
            ) from None


@contextmanager
def postgresql(conn: "sa.Connection", schema: str | None) -> Iterator[None]:
    """Around a change on PostgreSQL: one at a time in a schema, and all rows still there."""
    conn.execute(text(_PATIENCE))
    conn.execute(text(_ADVISORY), {"schema": schema})
    if schema is not None:
        known = text("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = :name")
        if conn.scalar(known, {"name": checked(schema)}) is None:
            conn.execute(text(f'CREATE SCHEMA "{schema}"'))
        enter(conn, schema)
    rows = _count(conn)
    yield
    _compare(rows, _count(conn))


def enter(conn: "sa.Connection", schema: str) -> None:
    """Until the end of the transaction, names without a schema are those of this one."""
    conn.execute(text(f'SET LOCAL search_path TO "{checked(schema)}"'))


def has_conversations(conn: "sa.Connection") -> bool:
    """Whether there is something that a backup would keep."""
    return bool(conn.scalar(text(f"SELECT EXISTS (SELECT 1 FROM {TABLES[0]})")))  # noqa: S608


def back_up(conn: sqlite3.Connection, path: Path, revision: str) -> Path:
    """Copies a database to a private file beside it, and returns that. An older one is replaced.

    Page by page, not by VACUUM: a host's tables may depend on rowids that VACUUM changes.
    """
    target = path.with_name(f"{path.name}.bak-{revision}")
    # Those of attempts that were killed; the write lock keeps others from making one now.
    for stale in path.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        stale.unlink(missing_ok=True)
    with replaced_file(target) as draft, closing(sqlite3.connect(draft)) as copy:
        copy.execute("PRAGMA synchronous=OFF")
        # In one step: taken in several, it starts again whenever another process commits.
        conn.backup(copy, pages=-1)
    return target


def _count(conn: "sa.Connection") -> dict[str, int]:
    there = [table for table in TABLES[:2] if inspect(conn).has_table(table)]
    return {t: conn.scalar(text(f"SELECT count(*) FROM {t}")) or 0 for t in there}  # noqa: S608


def _compare(before: dict[str, int], after: dict[str, int]) -> None:
    for table in before.keys() & after.keys():
        if before[table] != after[table]:
            raise ChatStoreError(_lost(f"{before[table] - after[table]} rows of {table}"))


def _orphans(conn: "sa.Connection") -> int:
    """How many rows of ours refer to none. A host's own tables are the host's affair."""
    there = conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars()
    ours = set(TABLES).intersection(there)
    return sum(len(conn.exec_driver_sql(f"PRAGMA foreign_key_check({t})").all()) for t in ours)


def _hung(conn: "sa.Connection") -> dict[str, str]:
    """The triggers and indexes on our tables that are not ours, with their SQL."""
    rows = conn.exec_driver_sql(
        "SELECT lower(tbl_name), name, sql FROM sqlite_master "
        "WHERE type IN ('trigger', 'index') AND sql IS NOT NULL"
    )
    return {name: sql for on, name, sql in rows if on in TABLES and not _ours(name)}


def _ours(name: str) -> bool:
    return name.startswith(("ix_chatstore_", "uq_chatstore_", "chatstore_"))


def _lost(what: str) -> str:
    return (
        f"changing the schema would have lost {what}: nothing was changed. Please report this "
        "as a bug, and keep using the version of chatstore that wrote the database"
    )
