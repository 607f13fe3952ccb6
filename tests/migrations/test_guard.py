"""What a migration could lose, and does not: messages, references, what hosts added."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from chatstore import ChatStoreError, SQLChatStore
from chatstore.sql import schema
from chatstore.sql.engine import Database
from chatstore.sql.schema import guard
from tests.migrations.conftest import Open
from tests.migrations.support import FIRST, HEAD, contents, master, opened, sound, version

Ruin = Callable[[sa.Connection], object]


def rebuild_conversations(conn: sa.Connection) -> None:
    """What batch mode does: a new table, the rows, away with the old one, a new name."""
    op = Operations(MigrationContext.configure(conn))
    with op.batch_alter_table("chatstore_conversation", recreate="always") as batch:
        batch.add_column(sa.Column("added", sa.Text()))


def test_a_rebuilt_table_takes_no_message_along(old: Path, open_: Open) -> None:
    before = contents(old)
    with schema.changing(open_(old)) as conn:
        rebuild_conversations(conn)
    assert contents(old) == before
    assert sound(old)


def test_with_foreign_keys_on_it_would_have(old: Path) -> None:
    """The trap itself: Alembic's batch mode, SQLite's foreign keys, and success reported."""
    with opened(old) as raw:
        raw.execute("PRAGMA foreign_keys=ON")
        engine = sa.create_engine("sqlite://", creator=lambda: raw, poolclass=sa.StaticPool)
        with engine.connect() as conn:
            conn.exec_driver_sql("BEGIN IMMEDIATE")
            rebuild_conversations(conn)
            conn.exec_driver_sql("COMMIT")
        assert raw.execute("SELECT count(*) FROM chatstore_message").fetchone() == (0,)
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []


def test_foreign_keys_that_stay_on_are_noticed(old: Path, open_: Open) -> None:
    """As if the engine room forgot to turn them off."""
    before = contents(old)
    database = open_(old)
    exclusive = database.exclusive
    with opened(old) as raw:
        raw.execute("PRAGMA foreign_keys=ON")
        engine = sa.create_engine("sqlite://", creator=lambda: raw, poolclass=sa.StaticPool)
        database.exclusive = engine.begin  # type: ignore[method-assign]
        with pytest.raises(RuntimeError, match="foreign keys are on"):
            schema.upgrade(database, backup=False)
        database.exclusive = exclusive  # type: ignore[method-assign]
    assert contents(old) == before
    assert version(old) == FIRST


@pytest.mark.parametrize(
    ("ruin", "told"),
    [
        ("DELETE FROM chatstore_message WHERE ordinal = 0", "rows of chatstore_message"),
        ("DELETE FROM chatstore_message", "rows of chatstore_message"),
        ("DELETE FROM chatstore_conversation WHERE id = 2", "rows of chatstore_conversation"),
        (
            "UPDATE chatstore_message SET conversation_id = 99 WHERE payload = ''",
            "conversations of",
        ),
    ],
)
def test_a_migration_that_loses_something_is_rolled_back(
    old: Path, open_: Open, monkeypatch: pytest.MonkeyPatch, ruin: str, told: str
) -> None:
    before, tables = contents(old), master(old)
    run = schema._run

    def ruinous(conn: sa.Connection, *arguments: Any, **options: Any) -> None:
        run(conn, *arguments, **options)
        conn.exec_driver_sql(ruin)

    monkeypatch.setattr(schema, "_run", ruinous)
    with pytest.raises(ChatStoreError, match=told):
        schema.upgrade(open_(old))
    assert (contents(old), master(old), version(old)) == (before, tables, FIRST)


def test_a_migration_that_fails_is_rolled_back(
    old: Path, open_: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, tables = contents(old), master(old)
    run = schema._run

    def failing(conn: sa.Connection, *arguments: Any, **options: Any) -> None:
        run(conn, *arguments, **options)
        raise KeyboardInterrupt

    database = open_(old)
    monkeypatch.setattr(schema, "_run", failing)
    with pytest.raises(KeyboardInterrupt):
        schema.upgrade(database)
    assert (contents(old), master(old), version(old)) == (before, tables, FIRST)
    monkeypatch.undo()
    schema.upgrade(database)
    assert (contents(old), version(old)) == (before, HEAD)


def test_orphans_from_before_do_not_stop_an_upgrade(old: Path) -> None:
    """Who deleted a conversation with another program keeps the rest."""
    with opened(old) as conn:
        conn.execute("DELETE FROM chatstore_conversation WHERE key = 'tools'")
    SQLChatStore(old).close()
    assert version(old) == HEAD


def test_what_a_host_hung_on_our_tables_stays(old: Path, open_: Open) -> None:
    with opened(old) as conn:
        conn.executescript(
            "CREATE TABLE note (about INTEGER REFERENCES chatstore_conversation (id), text TEXT);"
            "INSERT INTO note VALUES (1, 'x');"
            "CREATE TABLE mark (talk INTEGER, place INTEGER,"
            " FOREIGN KEY (talk, place) REFERENCES chatstore_message (conversation_id, ordinal));"
            "CREATE VIEW roles AS SELECT role, count(*) AS n FROM chatstore_message GROUP BY role;"
            "CREATE INDEX host_role ON chatstore_message (role);"
            "CREATE TRIGGER host_watch AFTER INSERT ON chatstore_message"
            " BEGIN INSERT INTO note VALUES (new.conversation_id, new.role); END;"
            "CREATE TRIGGER host_watch2 AFTER DELETE ON chatstore_conversation"
            " BEGIN INSERT INTO note VALUES (NULL, 'gone'); END;"
        )
        hung = named(conn)
    database = open_(old)
    for change in (schema.upgrade, down, schema.upgrade):
        change(database)
        with opened(old) as conn:
            assert named(conn) == hung
            assert conn.execute("SELECT * FROM note").fetchall() == [(1, "x")]
            assert conn.execute("SELECT sum(n) FROM roles").fetchone() == (368,)
    with SQLChatStore(old) as store:
        store.delete_messages("tools")
    with opened(old) as conn:
        assert conn.execute("SELECT * FROM note").fetchall() == [(1, "x"), (None, "gone")]


def test_what_stands_on_a_vanished_column_stops_the_change(old: Path, open_: Open) -> None:
    database = open_(old)
    schema.upgrade(database)
    before = master(old)
    with opened(old) as conn:
        conn.execute("CREATE INDEX host_serial ON chatstore_message (serial)")
    with pytest.raises(ChatStoreError, match="host_serial"):
        schema.downgrade(database, FIRST)
    with opened(old) as conn:
        conn.execute("DROP INDEX host_serial")
    assert (master(old), version(old)) == (before, HEAD)


def test_the_count_is_of_our_tables_only(path: Path) -> None:
    """A host's huge table is not counted, nor checked."""
    with opened(path) as raw:
        raw.execute("CREATE TABLE invoice (id INTEGER)")
        seen: list[str] = []
        engine = sa.create_engine("sqlite://", creator=lambda: raw, poolclass=sa.StaticPool)
        with engine.connect() as conn:
            raw.set_trace_callback(seen.append)
            with guard.sqlite(conn):
                pass
    assert not [sql for sql in seen if "invoice" in sql]


def down(database: Database) -> None:
    schema.downgrade(database, FIRST)


def named(conn: Any) -> dict[str, str]:
    names = "'note', 'mark', 'roles', 'host_role', 'host_watch', 'host_watch2'"
    found = conn.execute(f"SELECT name, sql FROM sqlite_master WHERE name IN ({names})").fetchall()
    assert len(found) == 6
    return dict(found)
