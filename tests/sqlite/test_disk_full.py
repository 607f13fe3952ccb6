"""R16: a full disk. The call says so, nothing of it is stored, and once there is room it goes on.

On a file system of 3 MB where one may be mounted (root, on Linux), and everywhere in a file that
SQLite is told not to let grow, which is the same error from nearer by.
"""

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from chatstore import ChatMessage, open_async_store, open_store
from chatstore.errors import ChatStoreError, StoreFullError
from chatstore.sql import SQLChatStore
from chatstore.sql.engine.sqlite import connector
from tests.processes import in_process
from tests.sqlite.history import look

SECRET = "what nobody else may read"
SIZE = 3 << 20


class Room(Protocol):
    """Where a store lies, and how much room there is."""

    folder: Path

    def fill(self, store: Any = None, leave: int = 0) -> None:
        """Leaves so many bytes, for a store that is open or is yet to be made."""

    def free(self, store: Any = None) -> None:
        """Gives the room back."""


class SmallDisk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, store: Any = None, leave: int = 0) -> None:
        ballast = self.folder / "ballast"
        with ballast.open("ab") as file, contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), bytes(4096))
        os.truncate(ballast, max(0, ballast.stat().st_size - leave))

    def free(self, store: Any = None) -> None:
        (self.folder / "ballast").unlink()


class FewPages:
    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._pages = 0
        connect = connector._driver_connect

        def connect_limited(database: str) -> sqlite3.Connection:
            conn = connect(database)
            self._limit(conn)
            return conn

        patch.setattr(connector, "_driver_connect", connect_limited)

    def fill(self, store: Any = None, leave: int = 0) -> None:
        held = 0
        if store is not None:
            (held,) = _writer(store).execute("PRAGMA page_count").fetchone()
        self._pages = max(1, held + leave // 8192)
        if store is not None:
            self._limit(_writer(store))

    def free(self, store: Any = None) -> None:
        self._pages = 0
        if store is not None:
            self._limit(_writer(store))

    def _limit(self, conn: sqlite3.Connection) -> None:
        conn.execute(f"PRAGMA max_page_count={self._pages or 1_000_000}").fetchall()


def _writer(store: Any) -> sqlite3.Connection:
    """The connection that writes, of either face."""
    store = store if isinstance(store, SQLChatStore) else store._store
    conn: sqlite3.Connection = store._database._writer.open()
    return conn


def _can_mount() -> bool:
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/tmp"]
    with contextlib.suppress(OSError):
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    return False


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    subprocess.run(command, check=True)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(params=["small disk", "few pages"] if _can_mount() else ["few pages"])
def room(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Room]:
    if request.param == "few pages":
        yield FewPages(tmp_path, monkeypatch)
        return
    with small_disk(tmp_path / "small") as disk:
        yield disk


def turn(number: int, size: int) -> list[ChatMessage]:
    return [ChatMessage(content=f"{number}.{half} {SECRET} {'x' * size}") for half in "ab"]


def numbers(path: Path) -> list[str]:
    """The turns of a file, each of which must be whole; read by the raw driver."""
    state, wrong = look(path)
    assert not wrong
    names = [text.split()[0] for text in state.get("k", [])]
    questions, answers = names[::2], names[1::2]
    assert [n.removesuffix(".a") for n in questions] == [n.removesuffix(".b") for n in answers]
    return [n.removesuffix(".a") for n in questions]


@pytest.mark.parametrize("size", [100, 20_000])
def test_a_full_disk_stores_nothing_of_what_does_not_fit(room: Room, size: int) -> None:
    path = room.folder / "chat.db"
    with open_store(path) as store:
        store.add_messages("k", turn(0, size))
        room.fill(store, leave=200_000)
        stored = ["0"]

        def write() -> None:
            for number in range(1, 100_000):
                store.add_messages("k", turn(number, size))
                stored.append(str(number))

        with pytest.raises(StoreFullError, match="Free some space") as caught:
            write()
        assert SECRET not in str(caught.value)

        # What was there is read, and another call fails in the same way: what it frees, if it frees
        # anything, is too little for what it brings.
        assert len(store.get_messages("k")) == 2 * len(stored)
        assert store.check().ok
        for call in (
            lambda: store.add_messages("k", turn(-1, 1_000_000)),
            lambda: store.set_messages("k", turn(-1, 1_000_000)),
            lambda: store.add_message("other", turn(-1, 1_000_000)[0]),
            lambda: store.update_message("k", 0, turn(-1, 1_000_000)[0]),
        ):
            with pytest.raises(StoreFullError):
                call()
        assert store.get_keys() == ["k"]

        room.free(store)
        store.add_messages("k", turn(7, size))
        assert store.check().ok
        assert len(stored) > 1
    assert numbers(path) == [*stored, "7"]


def test_of_those_who_share_a_commit_each_is_told_the_truth(room: Room) -> None:
    path = room.folder / "chat.db"
    stored: set[str] = set()
    failed: list[BaseException] = []

    def write(first: int) -> None:
        for number in range(first, first + 40):
            try:
                store.add_messages("k", turn(number, 3_000))
            except StoreFullError as error:
                failed.append(error)
            else:
                stored.add(str(number))

    with open_store(path) as store:
        store.add_messages("k", turn(0, 10))
        room.fill(store, leave=400_000)
        threads = [threading.Thread(target=write, args=(100 * n,)) for n in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed
        assert len(failed) + len(stored) == 8 * 40
        # One exception that many threads raise would collect their tracebacks.
        assert len({id(error) for error in failed}) == len(failed)
        room.free(store)
        store.add_messages("k", turn(1, 10))
    assert sorted(numbers(path)) == sorted({"0", "1", *stored})


def test_of_those_who_await_each_is_told_the_truth(room: Room) -> None:
    path = room.folder / "chat.db"

    async def main() -> set[str]:
        async with open_async_store(path) as store:
            await store.add_messages("k", turn(0, 10))
            room.fill(store, leave=400_000)
            told = await asyncio.gather(
                *(store.add_messages("k", turn(n, 6_000)) for n in range(1, 200)),
                return_exceptions=True,
            )
            errors = [answer for answer in told if isinstance(answer, BaseException)]
            assert errors
            assert all(isinstance(error, StoreFullError) for error in errors)
            room.free(store)
            await store.add_messages("k", turn(1_000, 10))
            fine = {str(n) for n, answer in enumerate(told, 1) if isinstance(answer, list)}
            return {"0", "1000", *fine}

    stored = asyncio.run(main())
    assert sorted(numbers(path)) == sorted(stored)


def test_an_import_that_does_not_fit_changes_nothing(room: Room, tmp_path: Path) -> None:
    with open_store("memory://") as source:
        for number in range(100):
            source.add_messages(f"key {number}", turn(number, 5_000))
        source.export_json(tmp_path / "all.jsonl")
    with open_store(room.folder / "chat.db") as store:
        store.add_messages("k", turn(0, 10))
        room.fill(store, leave=400_000)
        with pytest.raises(StoreFullError):
            store.import_json(tmp_path / "all.jsonl")
        assert store.get_keys() == ["k"]
        assert store.check().ok
        room.free(store)
        store.import_json(tmp_path / "all.jsonl")
        assert len(store.get_keys()) == 101
        assert store.check().ok


@pytest.mark.parametrize("leave", [0, 4_096, 20_000, 60_000])
def test_a_new_store_that_does_not_fit(room: Room, leave: int) -> None:
    path = room.folder / "chat.db"
    room.fill(leave=leave)
    with pytest.raises(StoreFullError):
        open_store(path)
    with pytest.raises(StoreFullError):
        open_store(path)
    room.free()
    with open_store(path) as store:
        store.add_messages("k", turn(0, 10))
        assert store.check().ok
    assert numbers(path) == ["0"]


def test_a_full_disk_still_lets_the_store_be_closed_and_read(room: Room) -> None:
    path = room.folder / "chat.db"
    with open_store(path) as store:
        for number in range(40):
            store.add_messages("k", turn(number, 3_000))
        room.fill(store)
    with open_store(path, read_only=True) as store:
        assert store.count_messages("k") == 80
    room.free()
    with open_store(path) as store:
        store.add_messages("k", turn(40, 10))
    assert len(numbers(path)) == 41


def _close_where_no_file_may_grow(path: Path) -> int:
    """What a store says to the limit of its process, when its log no longer fits into its file."""
    import resource  # not on Windows

    with open_store(path) as store:
        for number in range(40):
            store.add_messages("k", turn(number, 3_000))
        size = path.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        with pytest.raises(ChatStoreError) as caught:
            store.add_messages("k", turn(40, 1_000_000))
        assert SECRET not in str(caught.value)
        count = store.count_messages("k")
    assert path.stat().st_size == size
    with open_store(path, read_only=True) as store:
        assert store.count_messages("k") == count
    return count


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits")
def test_a_limit_of_the_process_is_met_like_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    assert in_process(_close_where_no_file_may_grow, path) == 80
    with open_store(path) as store:
        store.add_messages("k", turn(40, 10))
        assert store.check().ok
    assert len(numbers(path)) == 41
