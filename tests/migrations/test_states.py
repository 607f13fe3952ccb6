"""What is found when a database is opened, and what is done about it, and to what."""

import subprocess
import sys
from pathlib import Path

import pytest

from chatstore import (
    ChatMessage,
    SchemaOutdatedError,
    SchemaTooNewError,
    SQLChatStore,
    StoreCorruptError,
    StoreReadOnlyError,
    StoreUnavailableError,
    __version__,
)
from chatstore.sql import schema
from tests.migrations.conftest import Open
from tests.migrations.support import (
    FIRST,
    HEAD,
    contents,
    digest,
    master,
    opened,
    sound,
    version,
)


def test_a_new_file_gets_the_schema_and_no_backup(path: Path) -> None:
    SQLChatStore(path).close()
    assert version(path) == HEAD
    assert backups(path) == []


def test_a_database_in_memory_gets_the_schema() -> None:
    with SQLChatStore("sqlite://") as store:
        store.add_message("k", ChatMessage("x"))
        assert store.count_messages("k") == 1


def test_a_current_file_costs_one_select_and_no_alembic(path: Path) -> None:
    SQLChatStore(path).close()
    program = (
        "import sqlite3, sys\n"
        "from chatstore.sql import schema\n"
        "from chatstore.sql.engine import open_database\n"
        "database = open_database(sys.argv[1])\n"
        "seen = []\n"
        "database.read(lambda conn: conn.set_trace_callback(seen.append))\n"
        "schema.ensure(database)\n"
        "assert seen == ['SELECT version_num FROM chatstore_alembic_version'], seen\n"
        "assert 'alembic' not in sys.modules\n"
        "assert database._writer.conn is None\n"
    )
    run(program, f"sqlite:///{path}")


def test_an_older_file_is_upgraded_and_backed_up(old: Path) -> None:
    before = contents(old)
    SQLChatStore(old).close()
    assert version(old) == HEAD
    [backup] = backups(old)
    assert backup.name == "chat.db.bak-0001_messages"
    assert backup.stat().st_mode & 0o777 == 0o600
    assert (version(backup), contents(backup), sound(backup)) == (FIRST, before, True)
    SQLChatStore(backup, backup=False).close()
    assert contents(backup) == before


def test_the_backup_holds_what_only_the_log_had(old: Path, open_: Open) -> None:
    """A row that no checkpoint has moved into the file yet."""
    with opened(old) as conn:
        conn.execute("PRAGMA wal_autocheckpoint=0")
        conn.execute("UPDATE chatstore_conversation SET metadata = '{\"late\":1}' WHERE id = 1")
        before = contents(old)
        schema.upgrade(open_(old))
    [backup] = backups(old)
    assert contents(backup) == before


def test_no_backup_when_not_wanted_or_of_nothing(old: Path, open_: Open, tmp_path: Path) -> None:
    SQLChatStore(old, backup=False).close()
    assert backups(old) == []
    empty = tmp_path / "empty.db"
    database = open_(empty)
    schema.upgrade(database, FIRST)
    assert schema.upgrade(database) == (FIRST, HEAD, None)
    assert backups(empty) == []


def test_a_second_backup_replaces_the_first_and_clears_up(old: Path, open_: Open) -> None:
    stale = old.with_name(f".{old.name}.bak-{FIRST}.abc.tmp")
    stale.touch()
    database = open_(old)
    schema.upgrade(database)
    schema.downgrade(database, FIRST)
    with opened(old) as conn:
        conn.execute("UPDATE chatstore_conversation SET metadata = '{\"later\":1}' WHERE id = 1")
    schema.upgrade(database)
    names = sorted(backup.name for backup in backups(old))
    assert names == ["chat.db.bak-0001_messages", f"chat.db.bak-{HEAD}"]
    assert contents(old.with_name(names[0]))["", "long"][5] == '{"later":1}'
    assert not stale.exists()
    assert [file for file in old.parent.iterdir() if file.suffix == ".tmp"] == []


def test_a_backup_that_fails_leaves_the_old_schema(old: Path, open_: Open) -> None:
    before = contents(old)
    old.with_name(f"{old.name}.bak-{FIRST}").mkdir()
    with pytest.raises(StoreUnavailableError, match="the backup of"):
        schema.upgrade(open_(old))
    assert (version(old), contents(old)) == (FIRST, before)


def test_an_older_file_is_refused_when_not_to_be_upgraded(old: Path) -> None:
    before = digest(old)
    with pytest.raises(SchemaOutdatedError) as caught:
        SQLChatStore(old, upgrade=False)
    told = str(caught.value)
    assert f"`chatstore upgrade {old}`" in told
    assert (FIRST in told, HEAD in told, "upgrade=True" in told) == (True, True, True)
    assert digest(old) == before
    assert sorted(file.name for file in old.parent.iterdir()) == ["chat.db"]


def test_an_older_file_is_refused_when_it_cannot_be_written(old: Path) -> None:
    before = digest(old)
    with pytest.raises(StoreReadOnlyError, match=r"schema is '0001_messages', and has"):
        SQLChatStore(old, read_only=True)
    assert digest(old) == before


def test_an_empty_file_is_refused_when_not_to_be_upgraded(path: Path) -> None:
    with pytest.raises(SchemaOutdatedError, match="no tables of chatstore yet"):
        SQLChatStore(path, upgrade=False)


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("upgrade", [None, True, False])
def test_a_newer_file_is_refused_unchanged(path: Path, upgrade: bool | None, journal: str) -> None:
    SQLChatStore(path).close()
    with opened(path) as conn:
        conn.execute("UPDATE chatstore_alembic_version SET version_num = '0009_from_afar'")
        conn.execute(f"PRAGMA journal_mode={journal}")
    before = digest(path)
    files = sorted(file.name for file in path.parent.iterdir())
    with pytest.raises(SchemaTooNewError) as caught:
        SQLChatStore(path, upgrade=upgrade)
    told = str(caught.value)
    assert all(part in told for part in ("'0009_from_afar'", HEAD, __version__, "pip install"))
    assert digest(path) == before
    assert sorted(file.name for file in path.parent.iterdir()) == files


def test_no_command_touches_a_newer_file(path: Path, open_: Open) -> None:
    SQLChatStore(path).close()
    with opened(path) as conn:
        conn.execute("UPDATE chatstore_alembic_version SET version_num = '0009_from_afar'")
    before = digest(path)
    for command in (
        schema.current,
        schema.check,
        schema.upgrade,
        lambda database: schema.upgrade(database, FIRST),
        lambda database: schema.downgrade(database, "base"),
    ):
        with pytest.raises(SchemaTooNewError):
            command(open_(path))
    assert digest(path) == before


def test_tables_of_unknown_version_are_refused(old: Path) -> None:
    with opened(old) as conn:
        conn.execute("DROP TABLE chatstore_alembic_version")
    refused(old, "chatstore_conversation, chatstore_message")


def test_an_emptied_version_table_is_refused(old: Path) -> None:
    with opened(old) as conn:
        conn.execute("DELETE FROM chatstore_alembic_version")
    refused(old, "does not say in which version")


def test_two_versions_are_refused(old: Path) -> None:
    with opened(old) as conn:
        conn.execute(f"INSERT INTO chatstore_alembic_version VALUES ('{HEAD}')")
    refused(old, "more than one revision")


def test_a_version_table_of_another_shape_is_refused(path: Path) -> None:
    with opened(path) as conn:
        conn.execute("CREATE TABLE chatstore_alembic_version (whose INTEGER)")
    refused(path, "chatstore_alembic_version")


@pytest.mark.parametrize("name", ["chatstore_message", "Chatstore_Conversation"])
@pytest.mark.parametrize("kind", ["TABLE {} (x)", "VIEW {} AS SELECT 1"])
def test_a_stranger_under_our_name_is_refused(path: Path, name: str, kind: str) -> None:
    with opened(path) as conn:
        conn.execute(f"CREATE {kind.format(name)}")
    refused(path, name.lower())


def test_an_empty_version_table_is_as_good_as_none(old: Path, open_: Open) -> None:
    schema.downgrade(open_(old), "base")
    with SQLChatStore(old) as store:
        assert store.get_keys() == []
    assert version(old) == HEAD


def test_a_host_and_its_alembic_are_undisturbed(path: Path, open_: Open) -> None:
    with opened(path) as conn:
        conn.executescript(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);"
            "INSERT INTO alembic_version VALUES ('ae1027a6acf');"
            "CREATE TABLE invoice (id INTEGER PRIMARY KEY, total TEXT);"
            "INSERT INTO invoice VALUES (1, '10 €');"
            "CREATE TABLE line (invoice_id INTEGER REFERENCES invoice (id));"
            "INSERT INTO line VALUES (99);"  # an orphan is the host's affair
            "CREATE INDEX ix_invoice ON invoice (total);"
            "CREATE VIEW totals AS SELECT total FROM invoice;"
            "CREATE TRIGGER grow AFTER INSERT ON invoice BEGIN UPDATE invoice SET total = 0; END;"
        )
        theirs = conn.execute("SELECT * FROM sqlite_master ORDER BY name").fetchall()
        dump = list(conn.iterdump())
    with SQLChatStore(path) as store:
        store.add_message("k", ChatMessage("x"))
    schema.downgrade(open_(path), FIRST)
    schema.upgrade(open_(path))
    schema.downgrade(open_(path), "base")
    with opened(path) as conn:
        conn.execute("DROP TABLE chatstore_alembic_version")
        kept = conn.execute(
            "SELECT * FROM sqlite_master WHERE name NOT LIKE 'sqlite_s%' ORDER BY name"
        ).fetchall()
        assert [row[:3] + row[4:] for row in kept] == [row[:3] + row[4:] for row in theirs]
        after = [line for line in conn.iterdump() if "sqlite_" not in line]
    assert [line for line in dump if "sqlite_" not in line] == after


def test_a_host_in_wal_or_not_finds_its_journal_mode_when_refused(path: Path) -> None:
    with opened(path) as conn:
        conn.execute("CREATE TABLE invoice (id INTEGER PRIMARY KEY)")
    before = digest(path)
    with pytest.raises(SchemaOutdatedError):
        SQLChatStore(path, upgrade=False)
    assert digest(path) == before


def test_revisions_by_part_of_their_name(path: Path, open_: Open) -> None:
    database = open_(path)
    assert schema.current(database) is None
    assert schema.upgrade(database, "0001") == (None, FIRST, None)
    assert schema.upgrade(database, FIRST) == (FIRST, FIRST, None)
    assert schema.upgrade(database) == (FIRST, HEAD, None)
    assert schema.downgrade(database, "0001") == (HEAD, FIRST, None)
    for name in ("", "0", "0099", "tail"):
        with pytest.raises(ValueError, match="no revision"):
            schema.upgrade(database, name)
    with pytest.raises(ValueError, match="chatstore downgrade"):
        schema.upgrade(database, "base")
    with pytest.raises(ValueError, match="chatstore upgrade"):
        schema.downgrade(database, "head")


def test_what_is_not_a_database(path: Path) -> None:
    path.write_text("not a database, but a letter of 4096 bytes" + "." * 4096)
    before = digest(path)
    with pytest.raises(StoreCorruptError):
        SQLChatStore(path)
    assert digest(path) == before


def refused(path: Path, told: str) -> None:
    before, tables = digest(path), master(path)
    with pytest.raises(StoreCorruptError, match=told):
        SQLChatStore(path)
    assert (digest(path), master(path)) == (before, tables)


def backups(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.bak-*"))


def run(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
