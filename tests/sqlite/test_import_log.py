"""After a large import the write-ahead log is empty: the next write does not pay for it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chatstore import ChatMessage, SimpleChatStore, open_store
from tests.sql.ledger import back_door

LENGTH = 4000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with SimpleChatStore() as store:
        store.add_messages("k", [ChatMessage("Hello " * 400)] * LENGTH)
        store.export_json(tmp_path / "some.jsonl")
    return tmp_path / "some.jsonl"


def pages_in_log(path: Path) -> int:
    log = path.with_name(path.name + "-wal")
    with closing(sqlite3.connect(path)) as conn:
        size: int = conn.execute("PRAGMA page_size").fetchone()[0]
    return log.stat().st_size // size if log.exists() else 0


def test_an_import_leaves_no_pages_in_the_log(tmp_path: Path, file: Path) -> None:
    path = tmp_path / "chat.db"
    with open_store(path) as store:
        assert store.import_json(file).messages == LENGTH
        assert pages_in_log(path) == 0
        store.add_message("k", ChatMessage("Hello"))
        # It writes its own pages, and moves none of the import's.
        assert 0 < pages_in_log(path) < 20


def test_a_reader_that_keeps_the_log_in_use_is_not_waited_for(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[None] = []
    monkeypatch.setattr("chatstore.sql.engine.sqlite.database.pause", lambda: waits.append(None))
    path = tmp_path / "chat.db"
    with open_store(path, lock_timeout=1) as store, back_door(path) as reader:
        store.add_message("before", ChatMessage("Hello"))
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM chatstore_message").fetchone()
        assert store.import_json(file).messages == LENGTH
        assert waits == []
        assert pages_in_log(path) > 0
        reader.execute("ROLLBACK")
        assert store.count_messages("k") == LENGTH
