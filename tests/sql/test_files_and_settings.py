"""The file on disk, and the settings of each connection to it."""

import os
import sqlite3
import stat
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from chatstore.errors import StoreReadOnlyError, StoreUnavailableError
from chatstore.sql.engine import open_database
from chatstore.sql.engine.sqlite import connector as sqlite_room
from chatstore.sql.engine.sqlite.database import SQLiteDatabase
from chatstore.sql.engine.sqlite.files import is_remote
from tests.sql.ledger import append, back_door, count, ledger

Opened = Callable[..., SQLiteDatabase]
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")


def pragma(conn: sqlite3.Connection, name: str) -> object:
    return conn.execute(f"PRAGMA {name}").fetchone()[0]


def settings(conn: sqlite3.Connection) -> dict[str, object]:
    wanted = (
        "journal_mode synchronous foreign_keys busy_timeout cache_size mmap_size cell_size_check "
        "secure_delete journal_size_limit page_size query_only"
    )
    return {name: pragma(conn, name) for name in wanted.split()}


@pytest.mark.parametrize(("durability", "synchronous"), [("full", 2), ("normal", 1)])
def test_each_connection_is_set_up_for_its_role(
    path: Path, opened: Opened, durability: str, synchronous: int
) -> None:
    database = opened(path, durability=durability)
    database.write(append())
    common = {
        "journal_mode": "wal",
        "synchronous": synchronous,
        "cache_size": -16000,
        "mmap_size": 0,
        "cell_size_check": 1,
        "secure_delete": 1,
        "journal_size_limit": 64 << 20,
        "page_size": 8192,
    }
    writer = {"foreign_keys": 1, "busy_timeout": 0, "query_only": 0}
    assert database.write(settings) == common | writer  # type: ignore[arg-type]
    # A reader's connection does not put the file into WAL mode, and so asks for FULL, unused.
    reader = {"foreign_keys": 1, "busy_timeout": 5000, "query_only": 1, "synchronous": 2}
    assert database.read(settings) == common | reader  # type: ignore[arg-type]
    with database._connector.connect("migration") as migration:
        assert pragma(migration, "foreign_keys") == 0
        assert pragma(migration, "busy_timeout") == 5000
    migration.close()


def test_the_driver_begins_nothing_by_itself(database: SQLiteDatabase) -> None:
    conn = database._connector.connect("writer")
    assert conn.isolation_level is None
    if sys.version_info >= (3, 12):
        assert conn.autocommit == sqlite3.LEGACY_TRANSACTION_CONTROL
    conn.close()


@posix_only
def test_files_are_private_and_folders_are_made(tmp_path: Path, opened: Opened) -> None:
    path = tmp_path / "a" / "b" / "chat.db"
    database = opened(path)
    database.write(append())
    database.read(count)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
    assert {"chat.db", "chat.db-wal", "chat.db-shm"} <= set(modes)
    assert set(modes.values()) == {0o600}
    assert {stat.S_IMODE(p.stat().st_mode) for p in (path.parent, path.parent.parent)} == {0o700}


@posix_only
def test_an_existing_file_keeps_its_mode_and_gives_it_to_the_lock(
    path: Path, opened: Opened
) -> None:
    path.touch(0o660)
    path.chmod(0o660)
    opened(path).write(append())
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    lock = path.with_name("chat.db-lock")
    assert not lock.exists() or stat.S_IMODE(lock.stat().st_mode) == 0o660


def test_reading_changes_no_byte_of_a_database_in_another_mode(path: Path) -> None:
    with back_door(path) as conn:
        conn.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    database = open_database(path)
    assert database.read(lambda c: c.execute("SELECT count(*) FROM theirs").fetchone()) == (0,)
    database.close()
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["chat.db"]


def test_closing_leaves_one_file_with_everything_in_it(path: Path, opened: Opened) -> None:
    database = opened(path)
    database.write(append())
    database.close()
    assert {p.name for p in path.parent.iterdir()} <= {"chat.db", "chat.db-lock"}
    with back_door(path) as conn:
        assert conn.execute("SELECT count(*) FROM row").fetchone() == (1,)


def test_the_live_file_is_never_opened_by_us(
    path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Any descriptor of it that is closed takes SQLite's locks away.
    database = opened(path)
    seen: list[object] = []
    real = os.open

    def watched(name: str, flags: int, mode: int = 0o777) -> int:
        seen.append(name)
        return real(name, flags, mode)

    monkeypatch.setattr(os, "open", watched)
    monkeypatch.setattr("builtins.open", lambda p, *a, **k: pytest.fail(f"open({p!r})"))
    database.write(append())
    database.read(count)
    database.checkpoint()
    database.close()
    again = open_database(path)
    assert again.read(count) == 1
    again.write(append())
    again.close()
    # `O_EXCL` on a name that is taken opens nothing.
    assert {Path(str(p)).name for p in seen} <= {"chat.db-lock", "chat.db"}


def test_a_missing_file_is_not_created_where_that_is_forbidden(path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match=r"chat\.db.*Check the path"):
        open_database(path, create=False)
    with pytest.raises(StoreUnavailableError, match=r"chat\.db.*Check the path"):
        open_database(path, read_only=True)
    assert not path.exists()


def test_an_empty_file_is_no_store_where_one_must_exist(path: Path) -> None:
    path.touch()
    with pytest.raises(StoreUnavailableError, match="empty"):
        open_database(path, create=False)


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailableError, match="Check the path"):
        open_database(tmp_path / "file" / "chat.db").read(count)


def test_a_database_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="it is a folder"):
        open_database(tmp_path).read(count)


@pytest.mark.parametrize("how", ["deleted", "replaced"])
@posix_only
def test_a_file_that_goes_away_under_a_writer(path: Path, opened: Opened, how: str) -> None:
    database = opened(path)
    database.write(append())
    if how == "replaced":
        database.backup(path.with_name("other.db"))
        path.with_name("other.db").replace(path)
    else:
        path.unlink()
    database._writer._look_again = 0.0
    with pytest.raises(StoreUnavailableError, match="deleted or replaced"):
        database.write(append())
    # Nor is a new, empty one made in its place.
    with pytest.raises(StoreUnavailableError, match="deleted or replaced"):
        database.write(append())
    assert path.exists() == (how == "replaced")


def test_read_only_reads_and_refuses_to_write(path: Path, opened: Opened) -> None:
    opened(path).write(append())
    reader = open_database(path, read_only=True)
    assert reader.read(count) == 1
    with pytest.raises(StoreReadOnlyError, match="reading only"):
        reader.write(append())
    with pytest.raises(StoreReadOnlyError, match="reading only"), reader.exclusive():
        pass
    reader.close()


def test_readers_cannot_write(database: SQLiteDatabase) -> None:
    with pytest.raises(StoreReadOnlyError):
        database.read(append())
    assert database.read(count) == 0


def test_a_file_system_without_wal_gets_a_rollback_journal_and_a_warning(
    path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_room, "is_remote", lambda path: True)
    with pytest.warns(RuntimeWarning, match="network file system"):
        database = opened(path)
    database.write(append())
    assert database.write(settings)["journal_mode"] == "delete"  # type: ignore[arg-type]
    assert database.write(settings)["synchronous"] == 2  # type: ignore[arg-type]
    assert database.read(count) == 1
    assert not path.with_name("chat.db-lock").exists()


def test_a_commit_waits_for_readers_of_a_rollback_journal(
    path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_room, "is_remote", lambda path: True)
    with pytest.warns(RuntimeWarning):
        database = opened(path)
    database.write(append())
    with back_door(path) as conn:
        conn.execute("BEGIN")
        conn.execute("SELECT count(*) FROM row").fetchone()
        timer = threading.Timer(0.2, database.write, [append("b")])
        timer.start()
        timer.join(0.4)
        conn.execute("COMMIT")
        timer.join()
    assert database.read(count) == 2


@pytest.mark.parametrize(
    ("mounts", "remote"),
    [
        ("/dev/a / ext4 rw 0 0\nhost:/x /data nfs4 rw 0 0\n", True),
        ("/dev/a / ext4 rw 0 0\nhost:/x /dat nfs4 rw 0 0\n", False),
        ("host:/x / nfs rw 0 0\n/dev/a /data ext4 rw 0 0\n", False),
        ("/dev/a / ext4 rw 0 0\nx /data fuse.sshfs rw 0 0\n", True),
        ("/dev/a / ext4 rw 0 0\nx /data fuse.fuse-overlayfs rw 0 0\n", False),
        ("/dev/a /data ext4 rw 0 0\nhost:/x /data 9p rw 0 0\n", True),
        ("host:/x /data/with\\040space cifs rw 0 0\n/dev/a / ext4 rw 0 0\n", True),
        ("broken\n", False),
    ],
)
@posix_only
def test_network_file_systems_are_recognised(tmp_path: Path, mounts: str, remote: bool) -> None:
    table = tmp_path / "mounts"
    table.write_text(mounts)
    assert is_remote(Path("/data/with space/chat.db"), table) is remote
    assert is_remote(Path("/data"), tmp_path / "none") is False


@posix_only
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs another account")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("log", [False, True])
def test_a_folder_that_may_not_be_written(log: bool) -> None:
    # As another account, since root may write anywhere. Not in pytest's folders: other runs of
    # pytest make these private again.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "chat.db"
        # With a log, there is something that its writer did not live to move into the file.
        child = os.fork()
        if child == 0:
            database = ledger(path)
            database.write(append())
            if not log:
                database.close()
            os._exit(0)
        os.waitpid(child, 0)
        assert path.with_name("chat.db-wal").exists() == log
        folder.chmod(0o755)
        for file in folder.iterdir():
            file.chmod(0o644)
        read, write = _as_nobody(path)
        assert read == "1"
        assert write.startswith("StoreReadOnlyError")


def _as_nobody(path: Path) -> list[str]:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        answers = []
        calls: list[Callable[[], int]] = [
            lambda: open_database(path, read_only=True).read(count),
            lambda: open_database(path).write(append()),
        ]
        for call in calls:
            try:
                answers.append(str(call()))
            except BaseException as error:  # noqa: BLE001
                answers.append(f"{type(error).__name__}: {error}")
        os.write(write_end, "\n".join(answers).encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        told = pipe.read().splitlines()
    os.waitpid(child, 0)
    return told
