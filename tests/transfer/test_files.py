"""Where files go and come from: names, modes, pipes, full disks, and what a failure leaves."""

import errno
import gzip
import io
import os
import random
import stat
import threading
from collections.abc import Iterator
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest

from chatstore import (
    ChatMessage,
    SimpleChatStore,
    StoreFullError,
    StoreUnavailableError,
    TransferError,
)
from chatstore.transfer import Snapshot
from chatstore.transfer.export import export_json
from tests.processes import processes
from tests.transfer.given import content, everything, exported, given_store

posix = pytest.mark.skipif(os.name != "posix", reason="this is about POSIX")
OLD = b"what was there before"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "chat.jsonl"
    path.write_bytes(OLD)
    return path


def alone(path: Path) -> bool:
    return [item.name for item in path.parent.iterdir()] == [path.name]


# Names


@pytest.mark.parametrize(
    "name", ["chat", "chat.txt", "chat.gz", "chat.json.gz", "json", "x.jsonl~"]
)
def test_a_name_that_says_no_format(name: str, tmp_path: Path) -> None:
    store = given_store()
    for call in (store.export_json, store.import_json):
        with pytest.raises(TransferError, match=r"\.json, \.jsonl or \.jsonl\.gz"):
            call(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("target", [None, 5, True, ["chat.json"]])
def test_what_is_neither_a_path_nor_a_file(target: Any) -> None:
    store = given_store()
    for call in (store.export_json, store.import_json):
        with pytest.raises(TransferError, match=f"or open, and no {type(target).__name__}$"):
            call(target)


@pytest.mark.parametrize("path", [None, 5, "chat\0.json", "x" * 300, "folder", "file/x.json"])
def test_a_store_of_no_file_is_an_error(path: Any, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(OLD)
    with chdir(tmp_path), pytest.raises(TransferError):
        SimpleChatStore.from_persist_path(path)


def test_a_store_of_a_file_by_its_name_in_bytes(tmp_path: Path) -> None:
    path: Any = os.fsencode(tmp_path / "chat.json")
    assert SimpleChatStore.from_persist_path(path).get_keys() == []
    store = given_store()
    store.persist(path)
    assert everything(SimpleChatStore.from_persist_path(path)) == everything(store)


def test_format_says_what_the_name_does_not(tmp_path: Path) -> None:
    store = given_store()
    store.export_json(tmp_path / "backup", format="jsonl")
    assert content((tmp_path / "backup").read_bytes()) == content(exported(store))
    again = SimpleChatStore()
    again.import_json(tmp_path / "backup", format="jsonl")
    assert everything(again) == everything(store)


def test_names_in_capitals(tmp_path: Path) -> None:
    given_store().export_json(tmp_path / "CHAT.JSONL.GZ")
    assert gzip.decompress((tmp_path / "CHAT.JSONL.GZ").read_bytes()).startswith(b'{"format"')


def test_bytes_are_a_path(tmp_path: Path) -> None:
    given_store().export_json(os.fsencode(tmp_path / "chat.jsonl"))  # type: ignore[arg-type]
    assert (tmp_path / "chat.jsonl").exists()


def test_an_open_file_needs_a_format() -> None:
    for call in (given_store().export_json, given_store().import_json):
        with pytest.raises(TransferError, match="format="):
            call(io.BytesIO())


def test_no_such_format() -> None:
    with pytest.raises(TransferError, match="'json' or 'jsonl'"):
        given_store().export_json(io.BytesIO(), format="yaml")  # type: ignore[arg-type]


def test_what_is_no_file() -> None:
    store = given_store()
    with pytest.raises(TransferError, match="open for writing"):
        store.export_json(5, format="json")  # type: ignore[arg-type]
    with pytest.raises(TransferError, match="open for reading"):
        store.import_json(5, format="json")  # type: ignore[arg-type]


# A path is written whole, or not at all


@posix
def test_only_the_owner_can_read_it(path: Path) -> None:
    path.chmod(0o644)
    seen: list[int] = []

    def look(*_: object) -> None:
        seen.extend(stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir() if p != path)

    given_store().export_json(path, progress=look)

    assert set(seen) == {0o600}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix
def test_a_link_stays_a_link(path: Path) -> None:
    link = path.parent / "link.jsonl"
    link.symlink_to(path)
    store = given_store()
    store.export_json(link)
    assert link.is_symlink()
    assert content(path.read_bytes()) == content(exported(store))


def test_it_is_on_the_disk_before_it_takes_its_place(path: Path, monkeypatch: Any) -> None:
    done: list[str] = []
    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noting(done, name))
    given_store().export_json(path)
    assert done == (["fsync", "replace", "fsync"] if os.name == "posix" else ["fsync", "replace"])


@pytest.mark.parametrize("name", ["fsync", "replace"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_failure_at_the_end_leaves_the_old_file(
    name: str, suffix: str, path: Path, monkeypatch: Any
) -> None:
    path = path.rename(str(path) + suffix)
    monkeypatch.setattr(os, name, fails(OSError(errno.EIO, "")))
    with pytest.raises(TransferError, match=r"(?i)input/output error"):
        given_store().export_json(path)
    assert path.read_bytes() == OLD
    assert alone(path)


def noting(done: list[str], name: str) -> Any:
    real = getattr(os, name)

    def call(*arguments: Any) -> Any:
        done.append(name)
        return real(*arguments)

    return call


def fails(error: BaseException) -> Any:
    def call(*_: object, **__: object) -> None:
        raise error

    return call


@pytest.mark.parametrize("name", ["chat.json", "chat.jsonl", "chat.jsonl.gz"])
@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), BrokenPipeError(), StoreUnavailableError("gone"), ValueError("x")],
)
def test_a_failure_of_others_passes_and_leaves_the_old_file(
    name: str, error: BaseException, tmp_path: Path
) -> None:
    """A progress bar, or the store: it is not the file that failed."""
    path = tmp_path / name
    path.write_bytes(OLD)
    with pytest.raises(type(error)) as caught:
        given_store().export_json(path, progress=fails(error))
    assert caught.value is error
    assert path.read_bytes() == OLD
    assert alone(path)


def test_a_store_that_fails_half_way_leaves_the_old_file(path: Path) -> None:
    @contextmanager
    def snapshot() -> Iterator[Snapshot]:
        with given_store()._snapshot() as whole:

            def half() -> Iterator[Any]:
                yield next(whole.conversations)
                raise StoreUnavailableError("gone")

            yield Snapshot(whole.messages, True, half())

    with pytest.raises(StoreUnavailableError):
        export_json(snapshot, path, source="", format=None, progress=None)
    assert path.read_bytes() == OLD
    assert alone(path)


def test_keys_out_of_order_make_no_file(path: Path) -> None:
    @contextmanager
    def snapshot() -> Iterator[Snapshot]:
        with given_store()._snapshot() as whole:
            turned = list(whole.conversations)[::-1]
            yield Snapshot(whole.messages, True, iter(turned))

    for format in ("json", "jsonl"):
        with pytest.raises(TransferError, match="out of order"):
            export_json(snapshot, path, source="", format=format, progress=None)
    assert path.read_bytes() == OLD
    assert alone(path)


def test_persist_leaves_the_old_file_when_a_message_cannot_be_written(
    tmp_path: Path, monkeypatch: Any
) -> None:
    """LlamaIndex's own truncates it first, and raises then (PEERS L1)."""
    store, path = given_store(), tmp_path / "chat_store.json"
    store.persist(path)
    before = path.read_bytes()
    store.add_message("user1", ChatMessage("new"))

    monkeypatch.setattr("chatstore.transfer.message.head", fails(ValueError("no such luck")))
    with pytest.raises(ValueError, match="no such luck"):
        store.persist(path)
    monkeypatch.undo()
    monkeypatch.setattr(os, "fsync", fails(OSError(errno.ENOSPC, "")))
    with pytest.raises(StoreFullError):
        store.persist(path)

    assert path.read_bytes() == before
    assert alone(path)


# Places that cannot be written


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="create the folder first"):
        given_store().export_json(tmp_path / "nowhere" / "chat.jsonl")


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "chat.jsonl").mkdir()
    with pytest.raises(TransferError, match="name a file"):
        given_store().export_json(tmp_path / "chat.jsonl")
    with pytest.raises(TransferError, match="cannot be read"):
        given_store().import_json(tmp_path / "chat.jsonl")


def test_a_file_for_a_folder(path: Path) -> None:
    with pytest.raises(TransferError, match="create the folder first"):
        given_store().export_json(path / "chat.jsonl")


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="shorter name"):
        given_store().export_json(tmp_path / ("x" * 300 + ".jsonl"))
    assert not list(tmp_path.iterdir())


@posix
def test_a_folder_without_permission(tmp_path: Path, monkeypatch: Any) -> None:
    if os.geteuid() == 0:  # root may write anywhere
        monkeypatch.setattr("tempfile.mkstemp", fails(PermissionError(errno.EACCES, "")))
    else:
        tmp_path.chmod(0o500)
    with pytest.raises(TransferError, match="may write"):
        given_store().export_json(tmp_path / "chat.jsonl")


@posix
@pytest.mark.parametrize("name", ["chat.json", "chat.jsonl", "chat.jsonl.gz"])
def test_a_full_disk(name: str, tmp_path: Path) -> None:
    import resource

    path = tmp_path / name
    path.write_bytes(OLD)
    store = SimpleChatStore()
    store.add_messages("user1", [ChatMessage(os.urandom(900).hex()) for _ in range(2000)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))  # Python ignores SIGXFSZ
    try:
        with pytest.raises(StoreFullError, match="no room left"):
            store.export_json(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == OLD
    assert alone(path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")
@pytest.mark.parametrize("buffering", [0, 1 << 16])
def test_a_full_device(buffering: int) -> None:
    # Never by its path: code that is wrong would replace the machine's own device.
    file = open("/dev/full", "wb", buffering)  # noqa: SIM115 - closing it fails as well
    try:
        with pytest.raises(StoreFullError, match="no room left"):
            given_store().export_json(file, format="jsonl")
    finally:
        with suppress(OSError):
            file.close()


# Open files


def test_text_files(tmp_path: Path) -> None:
    store = given_store()
    for format in ("json", "jsonl"):
        with open(tmp_path / "chat", "w+", encoding="utf-8", newline="\n") as file:
            store.export_json(file, format=format)
            file.seek(0)
            again = SimpleChatStore()
            again.import_json(file, format=format)
        assert everything(again) == everything(store)


def test_a_file_is_read_from_where_it_stands_and_stays_open() -> None:
    store = given_store()
    file = io.BytesIO(b"before" + exported(store))
    file.seek(6)
    again = SimpleChatStore()
    again.import_json(file, format="jsonl")
    assert everything(again) == everything(store)
    assert not file.closed


class OneWay(io.RawIOBase):
    """A pipe that takes and gives little at a time, and cannot go back."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data
        self.taken = b""

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part, self.data = self.data[:1000], self.data[1000:]
        buffer[: len(part)] = part
        return len(part)

    def write(self, data: Any) -> int:
        self.taken += bytes(data[:1000])
        return min(len(data), 1000)


@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_a_pipe(format: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("chatstore.transfer.origin._IN_MEMORY", 500)  # else nothing reaches a disk
    store = given_store()
    pipe: Any = OneWay()
    store.export_json(pipe, format=format)
    assert content(pipe.taken) == content(exported(store, format))
    again = SimpleChatStore()
    again.import_json(cast(Any, OneWay(pipe.taken)), format=format)
    assert everything(again) == everything(store)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "pipe.jsonl"
    os.mkfifo(path)
    return path


@posix
def test_a_named_pipe_is_written_to_and_stays_one(fifo: Path) -> None:
    store = given_store()
    handle = os.open(fifo, os.O_RDWR)  # both ends, so that nobody waits for the other
    try:
        store.export_json(fifo)
        assert stat.S_ISFIFO(fifo.stat().st_mode)
        assert content(os.read(handle, 1 << 16)) == content(exported(store))
    finally:
        os.close(handle)
    assert alone(fifo)


@posix
def test_a_named_pipe_is_read_once(fifo: Path) -> None:
    store, again = given_store(), SimpleChatStore()
    writer = threading.Thread(target=fifo.write_bytes, args=(exported(store),))
    writer.start()
    again.import_json(fifo)
    writer.join()
    assert everything(again) == everything(store)


def test_a_closed_file() -> None:
    file = io.BytesIO()
    file.close()
    for call in (given_store().export_json, given_store().import_json):
        with pytest.raises(TransferError, match="closed"):
            call(file, format="jsonl")


def test_a_file_that_is_open_for_the_other_thing(path: Path) -> None:
    with open(path, "rb") as file, pytest.raises(TransferError):
        given_store().export_json(file, format="jsonl")
    with open(path, "wb") as file, pytest.raises(TransferError):
        given_store().import_json(file, format="jsonl")


def test_no_room_for_the_copy_of_a_pipe(monkeypatch: Any) -> None:
    class Full(io.BytesIO):
        write = fails(OSError(errno.ENOSPC, "No space left"))

    given_store().export_json(io.BytesIO(), format="json")  # imports what is imported late
    monkeypatch.setattr("tempfile.SpooledTemporaryFile", lambda *_: Full())
    with pytest.raises(TransferError, match="no room for a copy"):
        SimpleChatStore().import_json(cast(Any, OneWay(b"x")), format="jsonl")
    with pytest.raises(TransferError, match="no room in"):
        given_store().export_json(io.BytesIO(), format="json")


def test_gzip_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    packed = gzip.compress(exported(given_store()))
    (tmp_path / "misnamed.jsonl").write_bytes(packed)
    for source, format in ((tmp_path / "misnamed.jsonl", None), (io.BytesIO(packed), "jsonl")):
        again = SimpleChatStore()
        again.import_json(source, format=format)  # type: ignore[arg-type]
        assert again.count_messages("user1") == 7


# Progress


@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_progress_is_told_now_and_then_and_at_the_end(format: Any) -> None:
    store, file, told = SimpleChatStore(), io.BytesIO(), list[tuple[int, int | None]]()
    store.add_messages("user1", [ChatMessage("x")] * 2500)
    store.export_json(file, format=format, progress=lambda *at: told.append(at))
    assert told == [(1000, 2500), (2000, 2500), (2500, 2500)]
    told.clear()
    file.seek(0)
    SimpleChatStore().import_json(file, format=format, progress=lambda *at: told.append(at))
    assert told == [(1000, 2500), (2000, 2500), (2500, 2500)]


# Death


def test_killed_at_any_moment_it_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    kill_exporters(tmp_path, rounds=12, seed=0)


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(1, 21))
def test_killed_a_thousand_times(seed: int, tmp_path: Path) -> None:
    kill_exporters(tmp_path, rounds=50, seed=seed)


def _export_without_end(paths: list[Path], done: Any) -> None:
    store = SimpleChatStore()
    store.add_messages("user1", [ChatMessage(f"{i} " * 50) for i in range(1_000)])
    while True:
        store.add_message("user1", ChatMessage("one more"))
        for path in paths:
            store.export_json(path)
            done.value += 1


def kill_exporters(folder: Path, rounds: int, seed: int) -> None:
    paths = [folder / "chat.json", folder / "chat.jsonl", folder / "chat.jsonl.gz"]
    store = SimpleChatStore()
    store.add_messages("user1", [ChatMessage("old")] * 10)
    for path in paths:
        store.export_json(path)
    chance = random.Random(seed)
    renewed = 0
    for _ in range(rounds):
        # Counted, not timed: on a busy machine a moment may come before the first export.
        done, enough = processes.RawValue("i", 0), chance.randrange(5)
        exporter = processes.Process(target=_export_without_end, args=(paths, done))
        exporter.start()
        while done.value < enough and exporter.is_alive():
            exporter.join(0.001)
        exporter.join(chance.uniform(0, 0.03))
        assert exporter.is_alive()
        exporter.kill()
        exporter.join()
        exporter.close()
        for path in paths:
            report = SimpleChatStore().import_json(path)
            assert report.messages in {10} | set(range(1_001, 2_000))
            renewed += report.messages > 10
    assert renewed
    for leftover in folder.glob(".chatstore-*"):
        assert stat.S_IMODE(leftover.stat().st_mode) == 0o600
