"""`kill -9` before each statement of an upgrade: the old schema or the new one, never between."""

import gc
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.migrations.support import FIRST, HEAD, ROOT, contents, load, master, sound, version


def test_of_a_new_file(tmp_path: Path) -> None:
    killed = kill_everywhere(tmp_path, None)
    assert killed >= 25


def test_of_a_file_with_data(tmp_path: Path) -> None:
    killed = kill_everywhere(tmp_path, load(FIRST, tmp_path / "old.db"))
    assert killed >= 30


@pytest.mark.torture
@pytest.mark.parametrize("there", ["fresh", "old"])
def test_from_the_first_pragma_on(tmp_path: Path, there: str) -> None:
    """The statements that set up connections, too."""
    old = load(FIRST, tmp_path / "old.db") if there == "old" else None
    killed = kill_everywhere(tmp_path, old, "--from-the-start")
    assert killed >= 60


def test_the_check_notices_what_lies_between(tmp_path: Path) -> None:
    """As SQLAlchemy and Alembic come: no BEGIN before CREATE TABLE, each statement for itself."""
    with pytest.raises(AssertionError):
        kill_everywhere(tmp_path, None, "--as-they-come")


def kill_everywhere(folder: Path, old: Path | None, *options: str) -> int:
    """Kills one upgrade before its first statement, the next before its second, until one ends."""
    before = _state(old) if old else (None, [], {})
    whole = folder / "whole.db"
    with Victim(*options) as victim:
        _place(old, whole)
        assert victim.upgrade(whole, 0) == 0
        after = _state(whole)
        assert after[0] == HEAD
        for statement in range(1, 200):
            path = folder / f"{statement}" / "chat.db"
            path.parent.mkdir()
            _place(old, path)
            ended = victim.upgrade(path, statement)
            found = _state(path) if path.exists() else (None, [], {})
            assert found in (before, after), f"killed before statement {statement}: {found[:2]}"
            if ended == 0:
                assert found == after
                return statement - 1
            assert ended == -signal.SIGKILL
            assert victim.upgrade(path, 0) == 0
            assert _state(path) == after
            assert sound(path)
            left = {file.name for file in path.parent.iterdir()}
            assert left <= {"chat.db", "chat.db-lock", f"chat.db.bak-{FIRST}"}, left
            if old:
                assert contents(path.with_name(f"chat.db.bak-{FIRST}")) == before[2]
            shutil.rmtree(path.parent)
    raise AssertionError("the upgrade never ended")


class Victim:
    """A process that has imported all, and forks one that upgrades and is killed."""

    def __init__(self, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def __enter__(self) -> "Victim":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    def upgrade(self, path: Path, statement: int) -> int:
        """How it ended: 0, or minus the signal."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(path), statement]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _place(old: Path | None, path: Path) -> None:
    if old is not None:
        shutil.copy(old, path)


def _state(path: Path) -> tuple[str | None, list[tuple[Any, ...]], dict[Any, Any]]:
    found = version(path)
    return found, master(path), contents(path) if found else {}


def _serve(options: list[str]) -> None:
    from chatstore.sql import schema
    from chatstore.sql.engine import open_database

    # What is imported and compiled here, the forked ones have.
    warm = open_database("sqlite://")
    schema.ensure(warm)
    warm.close()
    gc.freeze()
    for line in sys.stdin:
        path, statement = json.loads(line)
        child = os.fork()
        if child == 0:
            _die_before(statement, began=bool(options))
            if "--as-they-come" in options:
                _as_they_come(path)
            else:
                # The disk is not cut off, only the process; flushing would take most of the time.
                database = open_database(Path(path), durability="normal")
                schema.ensure(database)
                database.close()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _die_before(statement: int, *, began: bool) -> None:
    """Counts the statements of every connection, from the first BEGIN IMMEDIATE on."""
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect
    seen = 0

    def count(sql: str) -> None:
        nonlocal seen, began
        began = began or sql == "BEGIN IMMEDIATE"
        seen += began
        if 0 < seen == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
        conn = connect(*arguments, **options)
        conn.set_trace_callback(count)
        return conn

    sqlite3.connect = traced  # type: ignore[assignment]


def _as_they_come(path: str) -> None:
    import sqlalchemy as sa

    from chatstore.sql import schema

    engine = sa.create_engine(f"sqlite:///{path}", creator=lambda: sqlite3.connect(path))
    with engine.begin() as conn:
        schema._run(conn, "head", down=False)


if __name__ == "__main__":
    _serve(sys.argv[1:])
