"""Files that are not to be found, or not to be written: each refusal is an error of its own."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatstore import ChatStore, errors, open_store
from chatstore.sql import schema
from tests.processes import in_process
from tests.sqlite.history import look
from tests.sqlite.refusing import SECRET, Open, digest, hello, make, refused


def test_a_folder_in_the_place_of_the_file(tmp_path: Path, open_: Open) -> None:
    path = tmp_path / "chat.db"
    path.mkdir()
    with refused(errors.StoreUnavailableError, path):
        open_(path)


def test_a_file_in_the_place_of_the_folder(tmp_path: Path, open_: Open) -> None:
    (tmp_path / "file").write_text("")
    with refused(errors.StoreUnavailableError, path := tmp_path / "file" / "chat.db"):
        open_(path)


def test_a_missing_file_that_must_exist(tmp_path: Path, open_: Open) -> None:
    path = tmp_path / "chat.db"
    with refused(errors.StoreUnavailableError, path):
        open_(path, create=False)
    assert not path.exists()


def test_a_store_for_reading_only(tmp_path: Path, open_: Open) -> None:
    path = tmp_path / "chat.db"
    make(path, 10)
    before = digest(path)
    store = open_(path, read_only=True)
    assert store.count_messages("k") == 10
    for call in (
        lambda: store.add_message("k", hello()),
        lambda: store.delete_messages("k"),
        lambda: store.erase("k"),
        store.purge_expired,
        lambda: store.set_metadata("k", {}),
    ):
        with refused(errors.StoreReadOnlyError, path):
            call()
    store.close()
    assert digest(path) == before


def _as_nobody(path: Path) -> dict[str, str]:
    """What becomes of each call for an account that may read and not write."""
    # The checkout, and what is imported late, may be out of that account's reach.
    with open_store("sqlite://") as store:
        store.add_message("k", hello())
        store.check()
    schema.migrations = lambda: path.parents[1] / "migrations"
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    answers = {}
    calls: dict[str, tuple[dict[str, Any], Callable[[ChatStore], object]]] = {
        "read only": ({"read_only": True}, lambda store: store.count_messages("k")),
        "read": ({}, lambda store: store.count_messages("k")),
        "write": ({}, lambda store: store.add_message("k", hello())),
        "delete": ({}, lambda store: store.delete_messages("k")),
    }
    for name, (options, call) in calls.items():
        try:
            with open_store(path, **options) as store:
                answers[name] = repr(call(store))
        except errors.ChatStoreError as error:
            answers[name] = "a leak" if SECRET in str(error) else type(error).__name__
    try:
        open_store(path.with_name("new.db")).close()
        answers["create"] = "done"
    except errors.ChatStoreError as error:
        answers["create"] = type(error).__name__
    return answers


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that any account may enter, as those above it, with the migrations beside it."""
    # Not in pytest's folders, which each run of pytest makes private again when it begins.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(schema.migrations(), folder / "migrations")
        folder.chmod(0o755)
        inside = folder / "inside"
        inside.mkdir()
        yield inside
        inside.chmod(0o700)


@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "expected"),
    [
        (
            0o555,
            0o444,
            {
                "read only": "10",
                "read": "StoreReadOnlyError",
                "write": "StoreReadOnlyError",
                "delete": "StoreReadOnlyError",
                "create": "StoreReadOnlyError",
            },
        ),
        (
            0o555,
            0o666,
            {
                "read only": "10",
                "write": "StoreReadOnlyError",
                "delete": "StoreReadOnlyError",
                "create": "StoreReadOnlyError",
            },
        ),
        (
            0o777,
            0o444,
            {
                "read only": "10",
                "read": "10",
                "write": "StoreReadOnlyError",
                "delete": "StoreReadOnlyError",
                "create": "done",
            },
        ),
        (
            0o777,
            0o000,
            dict.fromkeys(
                ("read only", "read", "write", "delete"),
                "StoreReadOnlyError|StoreUnavailableError",
            ),
        ),
    ],
    ids=["folder and file", "folder", "file", "not even read"],
)
def test_what_may_not_be_written(
    open_to_all: Path, folder_mode: int, file_mode: int, expected: dict[str, str]
) -> None:
    path = open_to_all / "chat.db"
    make(path, 10)
    for leftover in open_to_all.iterdir():
        if leftover != path:
            leftover.unlink()
    path.chmod(file_mode)
    open_to_all.chmod(folder_mode)

    answers = in_process(_as_nobody, path)

    open_to_all.chmod(0o700)
    path.chmod(0o600)
    for name, pattern in expected.items():
        assert re.fullmatch(pattern, answers[name]), answers
    state, wrong = look(path)
    assert len(state["k"]) == 10
    assert not wrong


@pytest.mark.parametrize("leftovers", [["-wal"], ["-wal", "-shm"]], ids=" ".join)
def test_an_empty_log_beside_what_may_not_be_written(
    open_to_all: Path, leftovers: list[str]
) -> None:
    """A process that was killed after it had emptied its log leaves a file of 0 bytes."""
    path = open_to_all / "chat.db"
    make(path, 10)
    for end in leftovers:
        path.with_name(path.name + end).touch(0o444)
    path.chmod(0o444)
    open_to_all.chmod(0o555)
    answers = in_process(_as_nobody, path)
    assert answers["read only"] == "10", answers
    assert answers["write"] == "StoreReadOnlyError", answers


def test_a_missing_file_that_must_not_be_upgraded(tmp_path: Path, open_: Open) -> None:
    path = tmp_path / "folder" / "chat.db"
    with refused(errors.SchemaOutdatedError, path):
        open_(path, upgrade=False)
    assert list(tmp_path.iterdir()) == []
