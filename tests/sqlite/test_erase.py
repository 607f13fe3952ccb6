"""R18: after `erase`, no byte of the text is in the files, which another process reads."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from chatstore import ChatMessage, StoreBusyError, open_store
from chatstore import operations as ops
from chatstore.records import Draft, StateDraft
from chatstore.store import ChatStore
from tests.processes import in_process, processes
from tests.sqlite.history import open_raw

MARKER = "Geheimnis-4711"


def _count(folder: Path) -> dict[str, int]:
    found = {file.name: file.read_bytes().count(MARKER.encode()) for file in folder.iterdir()}
    return {name: count for name, count in found.items() if count}


def traces(folder: Path) -> dict[str, int]:
    """How often the marker is in each file, read elsewhere: here it would drop SQLite's locks."""
    return in_process(_count, folder)


def secret(size: int = 300) -> ChatMessage:
    text = f"{MARKER} {'x' * size} {MARKER}"
    return ChatMessage(content=text, id=None, additional_kwargs={"note": MARKER})


def live(store: ChatStore) -> None:
    """A conversation that has seen everything, in the midst of others."""
    for number in range(40):
        store.add_message("other", ChatMessage(content=f"innocent {number} {'y' * 900}"))
        store.add_messages("k", [secret(number * 40), secret(30_000 if number % 9 == 0 else 0)])
    store.add_message("k", ChatMessage(content="with an id", id=f"id-{MARKER}"))
    for number in range(20):
        store.add_message("k", secret(), number)
        store.delete_message("k", number + 1)
        store.update_message("k", -number - 2, secret(2_000))
    store.archive_messages("k", 10)
    store.set_metadata("k", {"title": MARKER})


@pytest.mark.parametrize("durability", ["full", "normal"])
def test_no_byte_is_left(tmp_path: Path, durability: Any) -> None:
    with open_store(tmp_path / "chat.db", durability=durability) as store:
        live(store)
        assert traces(tmp_path)
        assert store.erase("k") is True
        # At once, while the store is open, and others go on.
        assert traces(tmp_path) == {}
        store.add_message("other", ChatMessage(content="on it goes"))
        assert store.erase("k") is False
        assert store.check().ok
        assert store.count_messages("other") == 41
    assert traces(tmp_path) == {}


@pytest.mark.parametrize("messages", [2, 0])
def test_no_byte_of_a_state_is_left(tmp_path: Path, messages: int) -> None:
    """Nor of the branches that a conversation left, once or now."""
    payload = f'{{"role":"user","additional_kwargs":{{}},"blocks":[],"x":"{MARKER}"}}'
    with open_store(tmp_path / "chat.db") as store:
        for number in range(5):
            parted = f'[{{"entry":"{MARKER}","payload":{payload}}}]' if number < 4 else '"shorter"'
            state = StateDraft(f'"{MARKER}{"x" * 9_000}"', parted, MARKER, number)
            drafts = [Draft(None, "chatstore", payload, "user", None, None, False, 1)] * messages
            store._execute(ops.WriteState("k", state, drafts, True, None))
            store.add_message("other", ChatMessage(content="innocent"))
        assert traces(tmp_path)
        assert store.erase("k") is True
        assert traces(tmp_path) == {}


def test_a_key_is_text_too(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    # Closing lets SQLite collect statistics, in some builds with samples of what it saw.
    for number in range(3):
        with open_store(path) as store:
            for other in range(200):
                store.add_message(f"{number}-{other}", ChatMessage(content="y"))
            store.add_message(f"{MARKER}-{number}", secret())
            store.get_keys()
    with open_store(path) as store:
        for number in range(3):
            assert store.erase(f"{MARKER}-{number}")
        assert traces(tmp_path) == {}
    assert traces(tmp_path) == {}


@pytest.mark.parametrize(
    "end",
    [
        lambda store: store.delete_messages("k"),
        lambda store: store.set_messages("k", [ChatMessage(content="innocent")]),
        lambda store: [store.delete_last_message("k") for _ in range(store.count_messages("k"))],
    ],
    ids=["delete", "replace", "one by one"],
)
def test_what_was_deleted_before_is_gone_with_it(tmp_path: Path, end: Any) -> None:
    with open_store(tmp_path / "chat.db") as store:
        live(store)
        store.set_metadata("k", {})
        end(store)
        store.erase("k")
        assert traces(tmp_path) == {}


def test_a_fork_of_a_conversation_is_another_one(tmp_path: Path) -> None:
    with open_store(tmp_path / "chat.db") as store:
        live(store)
        store.copy_conversation("k", "fork")
        store.erase("k")
        assert traces(tmp_path)
        store.erase("fork")
        assert traces(tmp_path) == {}


def _read(path: Path, ready: Any) -> None:
    conn = open_raw(path)
    conn.execute("BEGIN")
    conn.execute("SELECT count(*) FROM chatstore_message").fetchone()
    ready.set()
    time.sleep(60)


@contextmanager
def reader_elsewhere(path: Path) -> Iterator[None]:
    """Another process looks at the state of now, for as long as the block lasts."""
    ready = processes.Event()
    process = processes.Process(target=_read, args=(path, ready))
    process.start()
    assert ready.wait(20)
    try:
        yield
    finally:
        process.kill()
        process.join()
        process.close()


def test_a_reader_in_its_way_is_reported_and_a_second_call_finishes(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    with open_store(path, lock_timeout=0.3) as store:
        live(store)
        with reader_elsewhere(path):
            with pytest.raises(StoreBusyError, match="Call erase again") as caught:
                store.erase("k")
            assert MARKER not in str(caught.value)
            # It is removed for all who come from now on, but the reader still sees it.
            assert store.count_messages("k") == 0
            assert traces(tmp_path)
            # Writers go on.
            store.add_message("other", ChatMessage(content="on it goes"))
        assert store.erase("k") is False
        assert traces(tmp_path) == {}


def test_an_iteration_of_our_own_is_not_in_its_way(tmp_path: Path) -> None:
    with open_store(tmp_path / "chat.db", lock_timeout=1) as store:
        live(store)
        messages = store.iter_messages("other")
        next(messages)
        store.erase("k")
        assert traces(tmp_path) == {}
        assert len(list(messages)) == 39


def test_an_expired_conversation_can_be_erased(tmp_path: Path) -> None:
    with open_store(tmp_path / "chat.db", ttl=0.05) as store:
        store.add_message("k", secret())
        time.sleep(0.1)
        store.erase("k")
        assert traces(tmp_path) == {}


def test_in_a_file_with_a_rollback_journal(tmp_path: Path) -> None:
    """Somebody else's file, in the mode that they chose, reached through their engine."""
    import sqlalchemy as sa

    from chatstore.sql import SQLChatStore

    path = tmp_path / "theirs.db"
    with closing(open_raw(path)) as conn:
        conn.execute("CREATE TABLE theirs (x)")
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})
    with SQLChatStore(engine) as store:
        live(store)
        store.erase("k")
        assert traces(tmp_path) == {}
    engine.dispose()
    assert traces(tmp_path) == {}
