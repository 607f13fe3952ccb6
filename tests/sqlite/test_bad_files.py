"""Files that cannot be used as they are: each has its own error, and none is made worse.

All of it through `open_store`, on both faces, on real files.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from chatstore import errors, open_store
from chatstore.sql.engine.sqlite import connector
from tests.processes import in_process, processes
from tests.sqlite.history import open_raw
from tests.sqlite.refusing import SECRET, Open, digest, hello, make, refused

# Damage


def _text_file(path: Path) -> None:
    path.write_text("Dear diary, this is a text and not a database.\n" * 1_000)


def _short_text_file(path: Path) -> None:
    path.write_text("Dear diary")


def _no_header(path: Path) -> None:
    make(path)
    _overwrite(path, 0, bytes(100))


def _noise(path: Path) -> None:
    path.write_bytes(os.urandom(100_000))


def _overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


@pytest.mark.parametrize("spoil", [_text_file, _short_text_file, _no_header, _noise])
def test_what_is_not_a_database(tmp_path: Path, open_: Open, spoil: Callable[[Path], None]) -> None:
    path = tmp_path / "chat.db"
    spoil(path)
    before = digest(path)
    for _ in range(2):
        with refused(errors.StoreCorruptError, path):
            open_(path)
    with refused(errors.StoreCorruptError, path):
        open_(path, read_only=True)
    assert digest(path) == before


def _pages(path: Path, table: str) -> list[int]:
    """The pages of a table or index, leaves first, counted from 1."""
    with closing(open_raw(path)) as conn:
        root = conn.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,))
        (page,) = root.fetchone()
        (size,) = conn.execute("PRAGMA page_size").fetchone()
    content = path.read_bytes()
    page = int(page)
    first = content[(page - 1) * size]
    assert first == 5, "the table has but one page"
    cells = int.from_bytes(content[(page - 1) * size + 3 :][:2])
    pointers = (page - 1) * size + 12
    children = []
    for cell in range(cells):
        offset = int.from_bytes(content[pointers + 2 * cell :][:2])
        children.append(int.from_bytes(content[(page - 1) * size + offset :][:4]))
    return [*children, page]


def test_a_truncated_file(tmp_path: Path, open_: Open) -> None:
    path = tmp_path / "chat.db"
    make(path)
    os.truncate(path, path.stat().st_size // 2 // 8192 * 8192)
    before = digest(path)
    store = open_(path) if _opens(path) else None
    if store is None:
        with refused(errors.StoreCorruptError, path):
            open_(path)
    else:
        with refused(errors.StoreCorruptError, path):
            store.get_messages("k")
        with refused(errors.StoreCorruptError, path):
            store.add_message("k", hello())
    assert digest(path) == before


def _opens(path: Path) -> bool:
    try:
        open_store(path).close()
    except errors.StoreCorruptError:
        return False
    return True


def test_a_page_of_zeros(tmp_path: Path, open_: Open) -> None:
    path = tmp_path / "chat.db"
    make(path)
    lost = _pages(path, "chatstore_message")[3]
    _overwrite(path, (lost - 1) * 8192, bytes(8192))

    store = open_(path)
    # Elsewhere in the file all is well, and stays readable.
    assert len(store.get_messages("k", last=20)) == 20
    with refused(errors.StoreCorruptError, path):
        store.get_messages("k")
    # From here on, writing could make it worse.
    before = digest_elsewhere(path)
    for _ in range(2):
        with refused(errors.StoreCorruptError, path):
            store.add_message("k", hello())
    assert len(store.get_messages("k", last=20)) == 20
    assert digest_elsewhere(path) == before


def digest_elsewhere(path: Path) -> str:
    """Of a file that this process has open: reading it here would drop SQLite's locks on it."""
    return in_process(digest, path)


def test_check_tells_of_a_page_of_zeros(tmp_path: Path, open_: Open) -> None:
    path = tmp_path / "chat.db"
    make(path)
    lost = _pages(path, "chatstore_message")[3]
    _overwrite(path, (lost - 1) * 8192, bytes(8192))

    report = open_(path).check()
    assert not report.ok
    assert any("database file" in problem for problem in report.problems), report.problems
    assert SECRET not in str(report.problems)


def test_check_tells_of_a_message_that_is_gone(tmp_path: Path, open_: Open) -> None:
    path = tmp_path / "chat.db"
    make(path, 10)
    with closing(open_raw(path)) as conn:
        conn.execute("DELETE FROM chatstore_message WHERE serial = 4")
    report = open_(path).check()
    assert not report.ok
    assert any("9 messages" in problem for problem in report.problems), report.problems


# Locked by others


def _hold(path: Path, sql: str, seconds: float, ready: Any) -> None:
    conn = sqlite3.connect(path, isolation_level=None)
    for statement in sql.split(";"):
        conn.execute(statement).fetchall()
    ready.set()
    time.sleep(seconds)
    conn.close()


@contextmanager
def held(path: Path, sql: str, seconds: float = 60.0) -> Iterator[None]:
    """Another process holds the file in this way."""
    ready = processes.Event()
    process = processes.Process(target=_hold, args=(path, sql, seconds, ready))
    process.start()
    assert ready.wait(20)
    try:
        yield
    finally:
        process.kill()
        process.join()
        process.close()


def test_a_writer_that_does_not_end(tmp_path: Path, open_: Open) -> None:
    path = tmp_path / "chat.db"
    make(path, 10)
    with held(path, "BEGIN EXCLUSIVE"):
        store = open_(path, lock_timeout=0.2)
        began = time.monotonic()
        with refused(errors.StoreBusyError, path) as caught:
            store.add_message("k", hello(10))
        assert time.monotonic() - began > 0.15
        # It is our wait that ended, not SQLite's own of five seconds.
        assert "after 0.2 seconds" in str(caught.value)
        # Readers are not kept waiting.
        assert store.count_messages("k") == 10
    store.add_message("k", hello(10))
    assert store.count_messages("k") == 11


def test_a_writer_that_ends_in_time(tmp_path: Path, open_: Open) -> None:
    path = tmp_path / "chat.db"
    make(path, 10)
    with held(path, "BEGIN EXCLUSIVE", seconds=0.3):
        store = open_(path, lock_timeout=20)
        store.add_message("k", hello(10))
    assert store.count_messages("k") == 11


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_new_store_in_a_file_that_is_locked(
    tmp_path: Path, open_: Open, journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "theirs.db"
    sql = f"PRAGMA journal_mode={journal};CREATE TABLE theirs (x)"
    with closing(open_raw(path)) as conn:
        for statement in sql.split(";"):
            conn.execute(statement).fetchall()
    with held(path, "BEGIN EXCLUSIVE"):
        pauses: list[float] = []
        pause = connector.pause

        def counted(waited: float = 0.0) -> None:
            pauses.append(waited)
            pause(waited)

        monkeypatch.setattr(connector, "pause", counted)
        with refused(errors.StoreBusyError, path):
            open_(path, lock_timeout=0.2)
        # Each takes 0.05 ms at least, and all of them together no more than 0.2 s.
        assert len(pauses) <= 4000
        assert all(waited < 0.2 for waited in pauses)
    open_(path).add_message("k", hello())


# Schemas of others


def test_a_newer_schema(tmp_path: Path, open_: Open) -> None:
    path = tmp_path / "chat.db"
    make(path, 10)
    with closing(open_raw(path)) as conn:
        conn.execute("UPDATE chatstore_alembic_version SET version_num = '9999_later'")
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    before = digest(path)
    for _ in range(2):
        with refused(errors.SchemaTooNewError, path):
            open_(path)
    assert digest(path) == before
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".bak")] == []


def test_a_database_of_others(tmp_path: Path, open_: Open) -> None:
    path = tmp_path / "theirs.db"
    with closing(open_raw(path)) as conn:
        conn.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, content TEXT UNIQUE)")
        conn.execute("CREATE TABLE alembic_version (version_num TEXT)")
        conn.execute("CREATE VIEW newest AS SELECT * FROM message ORDER BY id DESC")
        conn.execute("CREATE TRIGGER t AFTER INSERT ON message BEGIN SELECT 1; END")
        conn.execute("INSERT INTO alembic_version VALUES ('abc')")
        conn.executemany("INSERT INTO message VALUES (?, ?)", [(n, f"{n}") for n in range(500)])
    before = _theirs(path)

    store = open_(path)
    store.add_message("k", hello())
    store.erase("k")
    store.add_message("k", hello())
    store.close()

    assert _theirs(path) == before
    with open_store(path) as again:
        assert again.check().ok
        assert again.count_messages("k") == 1


def _theirs(path: Path) -> list[Any]:
    with closing(open_raw(path)) as conn:
        schema = conn.execute(
            "SELECT type, name, sql FROM sqlite_master "
            "WHERE name NOT LIKE '%chatstore%' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        ).fetchall()
        rows = conn.execute("SELECT * FROM message ORDER BY id").fetchall()
        return [schema, rows, conn.execute("SELECT * FROM alembic_version").fetchall()]
