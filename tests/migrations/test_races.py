"""Many open one file at the same moment: nobody fails, and one upgrades."""

import gc
import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.migrations.support import FIRST, HEAD, contents, load, sound, version
from tests.processes import in_process

CROWD = 8
RAN = threading.local()


@pytest.mark.parametrize("there", ["fresh", "old"])
@pytest.mark.parametrize("crowd", ["processes", "threads"])
def test_a_few_races(tmp_path: Path, crowd: str, there: str) -> None:
    race(tmp_path, crowd, there, 4)


@pytest.mark.torture
@pytest.mark.parametrize("there", ["fresh", "old"])
@pytest.mark.parametrize("crowd", ["processes", "threads"])
def test_many_races(tmp_path: Path, crowd: str, there: str) -> None:
    race(tmp_path, crowd, there, 200)


def test_threads_on_files_of_their_own(tmp_path: Path) -> None:
    """With Alembic's commands, 154 of 160 schemas were wrong."""
    [told] = run("files", [tmp_path / "many"])
    assert told == {"upgraded": CROWD}
    for n in range(CROWD):
        assert version(tmp_path / "many" / f"{n}.db") == HEAD
        assert sound(tmp_path / "many" / f"{n}.db")


def race(folder: Path, crowd: str, there: str, rounds: int) -> None:
    paths = [folder / f"{n}" / "chat.db" for n in range(rounds)]
    for path in paths:
        path.parent.mkdir()
        if there == "old":
            load(FIRST, path)
    before = contents(paths[0]) if there == "old" else {}
    for path, told in zip(paths, run(crowd, paths), strict=True):
        assert told == {"upgraded": 1, "found": CROWD - 1}, path
        assert (version(path), contents(path), sound(path)) == (HEAD, before, True)


def run(crowd: str, paths: list[Path]) -> list[dict[str, int]]:
    """For each path, what its openers say, counted."""
    return in_process(_openers, crowd, paths)


def _openers(crowd: str, paths: list[Path]) -> list[dict[str, int]]:
    from chatstore.sql import schema
    from chatstore.sql.engine import open_database

    # Imported before the start, so that all come at once.
    warm = open_database("sqlite://")
    schema.ensure(warm)
    warm.close()
    gc.freeze()
    run = schema._run

    def counted(*arguments: Any, **options: Any) -> None:
        RAN.here = True
        run(*arguments, **options)

    schema._run = counted
    started = {"processes": _processes, "threads": _threads, "files": _files}[crowd]
    return [Counter(started(path)) for path in paths]


def _open(path: Path) -> str:
    """As a store opens; then, that the schema is used."""
    from chatstore import SQLChatStore

    RAN.here = False
    try:
        with SQLChatStore(path) as store:
            store.get_messages("long", last=1)
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"
    return "upgraded" if RAN.here else "found"


def _processes(path: Path) -> list[str]:
    go, start = os.pipe()
    answers = []
    for _ in range(CROWD):
        answer, tell = os.pipe()
        if os.fork() == 0:
            os.close(start)
            os.read(go, 1)
            os.write(tell, _open(path).encode())
            os._exit(0)
        os.close(tell)
        answers.append(answer)
    os.close(go)
    os.close(start)
    told = [os.read(answer, 1_000).decode() for answer in answers]
    for answer in answers:
        os.close(answer)
        os.wait()
    return told


def _threads(path: Path) -> list[str]:
    return _at_once([path] * CROWD)


def _files(folder: Path) -> list[str]:
    return _at_once([folder / f"{n}.db" for n in range(CROWD)])


def _at_once(paths: list[Path]) -> list[str]:
    together = threading.Barrier(len(paths))
    told = []

    def one(path: Path) -> None:
        together.wait()
        told.append(_open(path))

    threads = [threading.Thread(target=one, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told
