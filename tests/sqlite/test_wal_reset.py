"""R22: the corruption that SQLite 3.7.0 to 3.51.2 can do to a log, and our lock against it.

Rare under normal load, so that it is provoked: writers without pause, and checkpoints without end.
"""

import contextlib
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chatstore import ChatMessage, open_store
from chatstore.sql.engine.sqlite.lockfile import Gate, LockFile, OpenGate, has_wal_reset_bug
from tests.processes import in_process, processes
from tests.sqlite.history import look, open_raw

WRITERS, CHECKPOINTERS = 3, 4


@contextlib.contextmanager
def inside(gate: Gate) -> Any:
    while not gate.enter():
        time.sleep(random.uniform(0.0001, 0.0005))
    try:
        yield
    finally:
        gate.leave()


def _take_part(number: int, path: Path, seconds: float, locked: bool, start: Any) -> None:
    gate = LockFile(path, path.name) if locked else OpenGate()
    chance = random.Random(number)
    start.wait(60)
    conn = sqlite3.connect(path, isolation_level=None, timeout=30)
    conn.execute("PRAGMA wal_autocheckpoint=0")
    conn.execute("PRAGMA synchronous=OFF")
    end = time.monotonic() + seconds
    count = 0
    # Damage is judged at the end; here it only ends the part.
    with closing(conn), contextlib.suppress(sqlite3.DatabaseError):
        while time.monotonic() < end:
            with inside(gate):
                if number < WRITERS:
                    conn.execute("BEGIN IMMEDIATE")
                    body = "x" * chance.randrange(10, 3_000)
                    conn.execute("INSERT INTO t VALUES (?, ?, ?)", (number, count, body))
                    conn.execute("COMMIT")
                    count += 1
                else:
                    conn.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    if number < WRITERS:
        path.with_name(f"count{number}").write_text(str(count))


def is_corrupt(folder: Path, seconds: float, *, locked: bool) -> bool:
    """Whether a file is damaged, or misses rows, after so many seconds of it."""
    folder.mkdir()
    path = folder / "t.db"
    with closing(open_raw(path)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("CREATE TABLE t (writer, number, body, PRIMARY KEY (writer, number))")
    crowd = WRITERS + CHECKPOINTERS
    start = processes.Barrier(crowd)
    members = [
        processes.Process(target=_take_part, args=(number, path, seconds, locked, start))
        for number in range(crowd)
    ]
    for member in members:
        member.start()
    for member in members:
        member.join()
        member.close()
    return is_damaged(path, sum(int((folder / f"count{n}").read_text()) for n in range(WRITERS)))


def is_damaged(path: Path, written: int) -> bool:
    """Whether the file is not sound, or holds another number of rows."""
    try:
        with closing(open_raw(path)) as conn:
            sound = conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            (rows,) = conn.execute("SELECT count(*) FROM t").fetchone()
    except sqlite3.DatabaseError:
        return True
    return not sound or rows != written


@pytest.mark.parametrize(
    ("rounds", "seconds"),
    [(1, 0.5), pytest.param(8, 8, marks=pytest.mark.torture)],
    ids=["short", "long"],
)
def test_inside_the_lock_the_log_stays_whole(tmp_path: Path, rounds: int, seconds: float) -> None:
    corrupt = [is_corrupt(tmp_path / f"{n}", seconds, locked=True) for n in range(rounds)]
    assert not any(corrupt)


@pytest.mark.torture
def test_without_the_lock_only_a_repaired_library_keeps_it_whole(tmp_path: Path) -> None:
    """Else the test above would prove nothing: 7 of 96 rounds were corrupt when it was measured."""
    has_bug = has_wal_reset_bug(sqlite3.sqlite_version_info)
    rounds = range(80 if has_bug else 20)
    assert any(is_corrupt(tmp_path / f"{n}", 8, locked=False) for n in rounds) == has_bug


def test_damage_would_be_seen(tmp_path: Path) -> None:
    assert not is_corrupt(tmp_path / "t", 0.2, locked=True)
    path = tmp_path / "t" / "t.db"
    with closing(open_raw(path)) as conn:
        (rows,) = conn.execute("SELECT count(*) FROM t").fetchone()
        assert not is_damaged(path, rows)
        assert is_damaged(path, rows + 1)
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        (page,) = conn.execute("SELECT rootpage FROM sqlite_master WHERE name = 't'").fetchone()
        (size,) = conn.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))
    assert is_damaged(path, rows)


def test_the_store_takes_the_lock_where_the_library_has_the_bug(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    with open_store(path) as store:
        store.add_message("k", ChatMessage("Hello"))
    taken = path.with_name("chat.db-lock").exists()
    assert taken == has_wal_reset_bug(sqlite3.sqlite_version_info)


# The store's own calls make that pattern too: `erase` makes a checkpoint


def _write_or_erase(number: int, path: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    with open_store(path, durability="normal") as store:
        count = 0
        while time.monotonic() < end:
            if number < WRITERS:
                store.add_message(f"k{number}", ChatMessage(content=f"{count}"))
                count += 1
            else:
                store.add_message(f"gone{number}", ChatMessage(content="x" * 2_000))
                store.erase(f"gone{number}")
    path.with_name(f"count{number}").write_text(str(count))


@pytest.mark.parametrize(
    "seconds", [1.5, pytest.param(60, marks=pytest.mark.torture)], ids=["short", "long"]
)
def test_writers_among_those_who_erase_lose_nothing(tmp_path: Path, seconds: float) -> None:
    path = tmp_path / "chat.db"
    open_store(path).close()
    crowd = WRITERS + 2
    members = [
        processes.Process(target=_write_or_erase, args=(number, path, seconds))
        for number in range(crowd)
    ]
    for member in members:
        member.start()
    for member in members:
        member.join()
        assert member.exitcode == 0
        member.close()
    state, wrong = look(path)
    assert not wrong
    for number in range(WRITERS):
        count = int((tmp_path / f"count{number}").read_text())
        assert state[f"k{number}"] == [f"{n}" for n in range(count)]
    assert set(state) == {f"k{number}" for number in range(WRITERS)}
    assert in_process(_is_ok, path)


def _is_ok(path: Path) -> bool:
    with open_store(path) as store:
        return store.check().ok
