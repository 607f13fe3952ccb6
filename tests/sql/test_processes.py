"""Between processes: the lock around writes, and forks."""

import os
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from chatstore.errors import StoreClosedError, StoreUnavailableError
from chatstore.sql.engine import fork, open_database
from chatstore.sql.engine.sqlite import writer
from chatstore.sql.engine.sqlite.database import SQLiteDatabase
from chatstore.sql.engine.sqlite.lockfile import LockFile, OpenGate, has_wal_reset_bug
from tests.sql.ledger import append, count, ledger, names, traced

Opened = Callable[..., SQLiteDatabase]
can_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
ROOT = Path(__file__).parents[2]


def run(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Another Python that runs a script, from the checkout."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


@pytest.mark.parametrize(
    ("version", "bug"),
    [
        ("3.6.23", False),
        ("3.7.0", True),
        ("3.40.1", True),
        ("3.44.5", True),
        ("3.44.6", False),
        ("3.44.9", False),
        ("3.45.0", True),
        ("3.50.4", True),
        ("3.50.6", True),
        ("3.50.7", False),
        ("3.50.9", False),
        ("3.51.0", True),
        ("3.51.2", True),
        ("3.51.3", False),
        ("3.53.4", False),
        ("4.0.0", False),
    ],
)
def test_which_versions_have_the_bug(version: str, bug: bool) -> None:
    major, minor, patch = map(int, version.split("."))
    assert has_wal_reset_bug((major, minor, patch)) is bug


@pytest.mark.parametrize("bug", [True, False])
def test_the_lock_file_is_there_where_it_is_needed(
    path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch, bug: bool
) -> None:
    monkeypatch.setattr(writer, "has_wal_reset_bug", lambda version: bug)
    database = opened(path)
    database.write(append())
    assert isinstance(database._writer.gate, LockFile if bug else OpenGate)
    assert path.with_name("chat.db-lock").exists() is bug


class Recorder(LockFile):
    """A lock that notes when it is held."""

    held = False

    def enter(self) -> bool:
        self.held = super().enter()
        return self.held

    def leave(self) -> None:
        super().leave()
        self.held = False


def test_every_write_and_checkpoint_is_inside_the_lock(
    path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "has_wal_reset_bug", lambda version: True)
    monkeypatch.setattr(writer, "LockFile", Recorder)
    database = opened(path)
    conn = database._writer.open()
    gate = database._writer.gate
    assert isinstance(gate, Recorder)
    outside: list[str] = []
    seen: list[str] = []

    def trace(sql: str) -> None:
        seen.append(sql)
        if not gate.held:
            outside.append(sql)

    conn.set_trace_callback(trace)
    database.write(append())
    with pytest.raises(ZeroDivisionError):
        database.write(lambda c: 1 // 0)
    assert database.checkpoint()
    with database.exclusive() as connection:
        connection.connection.driver_connection.set_trace_callback(trace)  # type: ignore[union-attr]
        connection.exec_driver_sql("CREATE TABLE more (x)")
    database.close()
    assert outside == []
    words = {" ".join(sql.split()[:2]) for sql in seen}
    assert {"BEGIN IMMEDIATE", "COMMIT", "CREATE TABLE", "PRAGMA optimize"} <= words
    assert "PRAGMA wal_checkpoint(TRUNCATE)" in words


def test_a_lock_that_another_holds_is_waited_for(path: Path, opened: Opened) -> None:
    database = opened(path)
    database.write(append())
    gate = LockFile(path, path.name)
    if not isinstance(database._writer.gate, LockFile):
        database._writer.gate = LockFile(path, path.name)
    assert gate.enter()
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(database.write(append())))
    thread.start()
    time.sleep(0.1)
    assert answers == []
    with traced(database) as statements:
        assert statements == []
    gate.leave()
    gate.leave()
    thread.join(5)
    assert answers == [2]
    gate.close()


@can_fork
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_eight_processes_on_one_key(path: Path, opened: Opened) -> None:
    opened(path).close()
    children = []
    for index in range(8):
        child = os.fork()
        if child == 0:
            os._exit(_write_sixty(path, path.with_name(f"told-{index}")))
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 8
    told: list[int] = []
    for index in range(8):
        numbers = [int(n) for n in path.with_name(f"told-{index}").read_text().split()]
        assert numbers == sorted(numbers)
        told += numbers
    assert sorted(told) == list(range(1, 481))
    assert names(path) == {"a": list(range(1, 481))}


def _write_sixty(path: Path, answers: Path) -> int:
    try:
        database = ledger(path)
        told = [database.write(append()) for _ in range(60)]
        database.close()
        answers.write_text(" ".join(map(str, told)))
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        return 1
    return 0


FORKS = """
    import os, sys, threading, time, warnings
    from pathlib import Path
    from chatstore.sql.engine import fork
    from tests.sql.ledger import append, count, ledger

    warnings.simplefilter("ignore", DeprecationWarning)
    if sys.argv[2] == "unguarded":
        fork.protect = lambda database: None
        import chatstore.sql.engine.sqlite.database as room
        room.protect = fork.protect
    database = ledger(Path(sys.argv[1]))
    stop = threading.Event()
    told = [[] for _ in range(3)]

    def go(index):
        while not stop.is_set():
            told[index].append(database.write(append("parent")))
            database.read(count)

    threads = [threading.Thread(target=go, args=(i,), daemon=True) for i in range(3)]
    for thread in threads:
        thread.start()
    children = []
    for _ in range(60):
        child = os.fork()
        if child == 0:
            try:
                for _ in range(3):
                    database.write(append("child"))
                database.close()
                os._exit(0)
            except BaseException as error:
                print("child:", error, file=sys.stderr, flush=True)
                os._exit(1)
        children.append(child)
        time.sleep(0.005)
    deadline = time.monotonic() + 20
    hung = failed = 0
    for child in children:
        while True:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                failed += status != 0
                break
            if time.monotonic() > deadline:
                os.kill(child, 9)
                os.waitpid(child, 0)
                hung += 1
                break
            time.sleep(0.001)
    stop.set()
    for thread in threads:
        thread.join(20)
    stuck = sum(thread.is_alive() for thread in threads)
    print(hung, failed, stuck, sum(map(len, told)), flush=True)
    os._exit(0)
"""


@can_fork
def test_sixty_forks_among_three_writing_threads(path: Path) -> None:
    process = run(FORKS, path, "guarded")
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    hung, failed, stuck, told = out.split()
    assert (hung, failed, stuck) == ("0", "0", "0"), err
    held = names(path)
    assert held["child"] == list(range(1, 181))
    assert held["parent"] == list(range(1, int(told) + 1))


@can_fork
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("memory", [False, True])
def test_a_quiet_database_works_on_both_sides(path: Path, opened: Opened, memory: bool) -> None:
    database = opened("sqlite://" if memory else path)
    database.write(append())
    database.read(count)
    child = os.fork()
    if child == 0:
        answer = 1
        if database.write(append()) == 2 and database.read(count) == 2:
            database.close()
            answer = 0
        os._exit(answer)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    # In memory each has its own copy.
    assert database.write(append()) == (2 if memory else 3)


@can_fork
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("memory", [False, True])
def test_a_child_forked_inside_a_write_is_refused_and_the_parent_goes_on(
    path: Path, opened: Opened, memory: bool
) -> None:
    database = opened("sqlite://" if memory else path)

    def forks(conn: object) -> int:
        append()(conn)  # type: ignore[arg-type]
        child = os.fork()
        if child == 0:
            answer = 1
            try:
                database.write(append())
            except StoreUnavailableError as error:
                answer = 0 if "forked" in str(error) else 2
            os._exit(answer)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert database.write(forks) == 0
    assert database.write(append()) == 2


@can_fork
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_read_that_does_not_end_bars_the_child_from_the_file(
    path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork, "DRAIN_SECONDS", 0.2)
    database = opened(path)
    reading, go_on = threading.Event(), threading.Event()

    def work(conn: object) -> None:
        reading.set()
        go_on.wait(20)

    thread = threading.Thread(target=database.read, args=(work,))
    thread.start()
    assert reading.wait(5)
    child = os.fork()
    if child == 0:
        refused = 0
        for target in (database, None):
            try:
                (target or open_database(path)).read(count)
            except StoreUnavailableError:
                refused += 1
        os._exit(refused)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    go_on.set()
    thread.join(5)
    assert database.write(append()) == 1


@can_fork
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_closed_database_stays_closed_in_the_child(path: Path, opened: Opened) -> None:
    database = opened(path)
    database.close()
    child = os.fork()
    if child == 0:
        try:
            database.write(append())
        except StoreClosedError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@can_fork
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_what_a_dead_task_asks_for_in_the_child_is_not_done(path: Path, opened: Opened) -> None:
    """Python 3.13 ends the parent's tasks in the child before any hook of a fork has run."""
    crew = opened(path)._commit._crew  # the hook gives the child a new one
    child = os.fork()
    if child == 0:
        crew.rouse()
        os._exit(threading.active_count() - 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="needs /dev/fd")
def test_opening_and_closing_leaks_no_descriptor(path: Path, opened: Opened) -> None:
    opened(path)
    folder = Path("/dev/fd")  # on Linux a link into /proc

    def once() -> None:
        database = open_database(path)
        database.write(append())
        database.read(count)
        database.close()

    once()
    before = len(list(folder.iterdir()))
    for _ in range(50):
        once()
    assert len(list(folder.iterdir())) == before
