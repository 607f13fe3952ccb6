"""An import that stops halfway holds no file and no connection, whatever its error keeps alive."""

import gc
import io
import json
import sqlite3
import sys
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatstore import ChatMessage, ChatStore, SimpleChatStore, TransferError, open_store
from chatstore.importers import import_file
from chatstore.importers.between import content_digest, copy_store
from chatstore.importers.source import Source

KEYS = ("a", "b", "c")
ROLES = {"role": "user", "content": "Hello"}


def own(path: Path) -> None:
    with SimpleChatStore() as store:
        for key in KEYS:
            store.add_message(key, ChatMessage("Hello"))
        store.export_json(path)


def in_lines(row: Callable[[str], Any]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text("".join(json.dumps(row(key)) + "\n" for key in KEYS))

    return write


def in_an_array(row: Callable[[str], Any]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        text = json.dumps([row(key) for key in KEYS])
        if path.suffix != ".zip":
            path.write_text(text)
            return
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("conversations.json", text)

    return write


def table(create: str, row: Callable[[str], tuple[Any, ...]]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        conn = sqlite3.connect(path)
        conn.execute(create)
        for key in KEYS:
            values = row(key)
            marks = ", ".join("?" * len(values))
            name = create.split()[2]
            conn.execute(f"INSERT INTO {name} VALUES ({marks})", values)
        conn.commit()
        conn.close()

    return write


def chatgpt(key: str) -> Any:
    content = {"content_type": "text", "parts": ["Hello"]}
    said = {"id": "u", "author": {"role": "user"}, "content": content}
    node: Any = {"id": "u", "parent": None, "children": [], "message": said}
    return {"conversation_id": key, "mapping": {"u": node}, "current_node": "u"}


def claude(key: str) -> Any:
    said = {"uuid": "m", "sender": "human", "text": "Hello"}
    return {"uuid": key, "name": "", "chat_messages": [said]}


def chitchat(path: Path) -> None:
    said = {"text": "Hello", "sender": "x", "timestamp": "2020-01-01T00:00:00"}
    path.write_text(json.dumps({key: {"messages": [[said]]} for key in KEYS}))


MESSAGE = json.dumps({"role": "user", "additional_kwargs": {}, "blocks": []})
SAID = json.dumps({"type": "human", "data": {"content": "Hello", "type": "human"}})
FILES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "chatstore json": ("x.json", own),
    "chatstore jsonl": ("x.jsonl", own),
    "chatstore gz": ("x.jsonl.gz", own),
    "chatgpt": ("x.json", in_an_array(chatgpt)),
    "chatgpt zip": ("x.zip", in_an_array(chatgpt)),
    "chitchat": ("x.json", chitchat),
    "claude": ("x.jsonl", in_lines(claude)),
    "openai": ("x.jsonl", in_lines(lambda key: {"id": key, "messages": [ROLES]})),
    "sharegpt": (
        "x.jsonl",
        in_lines(lambda key: {"id": key, "conversations": [{"from": "human", "value": "Hello"}]}),
    ),
    "langchain-sql": (
        "x.db",
        table("CREATE TABLE t (id, session_id, message)", lambda key: (1, key, SAID)),
    ),
    "llama-index-memory": (
        "x.db",
        table(
            "CREATE TABLE t (id, key, timestamp, role, status, data)",
            lambda key: (1, key, 1, "user", "active", MESSAGE),
        ),
    ),
    "llama-index-sqlite": (
        "x.db",
        table("CREATE TABLE data_t (id, key, value)", lambda key: (1, key, MESSAGE)),
    ),
    "openai-agents-sqlite": (
        "x.db",
        table(
            "CREATE TABLE t (id, session_id, message_data, created_at)",
            lambda key: (1, key, json.dumps(ROLES), "2026-01-01 00:00:00"),
        ),
    ),
}


@pytest.fixture
def quiet() -> Iterator[list[Any]]:
    """What Python would say of things that were left open, from whatever thread frees them."""
    told: list[Any] = []
    hook, sys.unraisablehook = sys.unraisablehook, told.append
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()  # what tests before this one left, which newer Pythons tell of
    told.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield told
        elsewhere = threading.Thread(target=gc.collect)
        elsewhere.start()
        elsewhere.join()
    sys.unraisablehook = hook


def still_open(path: Path) -> list[Any]:
    return [one for one in gc.get_objects() if _is_open(one, str(path))]


def _is_open(one: object, path: str) -> bool:
    if isinstance(one, io.FileIO):
        return not one.closed and one.name == path
    return isinstance(one, sqlite3.Connection) and path in _file_of(one)


def _file_of(conn: sqlite3.Connection) -> str:
    try:
        return str(conn.execute("PRAGMA database_list").fetchone()[2])
    except sqlite3.ProgrammingError:  # it is closed, or of another thread
        return ""


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("name", FILES)
def test_a_refused_import_holds_nothing(
    name: str, kind: str, tmp_path: Path, quiet: list[Any]
) -> None:
    file, write = FILES[name]
    path = tmp_path / file
    write(path)
    url = "memory://" if kind == "memory" else str(tmp_path / "chat.sqlite")
    with open_store(url) as store:
        store.add_message("b", ChatMessage("old"))
        with pytest.raises(TransferError, match="'b'") as caught:
            import_file(store, path, name.partition(" ")[0])
        assert still_open(path) == []
        assert store.get_keys() == ["b"]
        # What keeps the error keeps the frames, and a circle leaves them to the collector.
        caught.value.args = (*caught.value.args, caught)
    del caught
    gc.collect()
    assert quiet == []


@pytest.mark.parametrize("broken", ['{"id": "b"}', "{", '{"id": "b", "messages": [5]}', "\udcff"])
def test_a_broken_row_closes_the_file(broken: str, tmp_path: Path, quiet: list[Any]) -> None:
    path = tmp_path / "x.jsonl"
    rows = json.dumps({"id": "a", "messages": [ROLES]}) + "\n" + broken + "\n"
    path.write_bytes(rows.encode("utf-8", "surrogateescape"))
    with SimpleChatStore() as store, pytest.raises(TransferError) as caught:
        import_file(store, path, "openai")
    assert still_open(path) == []
    assert caught.tb is not None
    assert quiet == []


def test_looking_at_the_first_row_leaves_nothing_open(tmp_path: Path, quiet: list[Any]) -> None:
    path = tmp_path / "x.jsonl"
    in_lines(lambda key: {"id": key})(path)
    source = Source(path)
    assert source.first == {"id": "a"}
    assert still_open(path) == []
    rows = source.rows()
    assert next(rows) == ("line 1", {"id": "a"})
    assert still_open(path) != []  # so that the test is known to see it
    rows.close()
    assert still_open(path) == []


def test_a_database_may_be_closed_by_another_thread(tmp_path: Path, quiet: list[Any]) -> None:
    from chatstore.importers import langchain_sql

    path = tmp_path / "x.db"
    FILES["langchain-sql"][1](path)
    talks = langchain_sql.read(Source(path), None)
    assert next(talks).key == "a"
    assert still_open(path) != []
    failed: list[BaseException] = []

    def close() -> None:
        try:
            talks.close()
        except sqlite3.Error as error:
            failed.append(error)

    elsewhere = threading.Thread(target=close)
    elsewhere.start()
    elsewhere.join()
    assert failed == []
    assert still_open(path) == []


@pytest.mark.parametrize("reading", ["copy", "copy refused", "digest"])
def test_a_copy_that_stops_halfway_lets_go_of_its_snapshot(
    reading: str, tmp_path: Path, quiet: list[Any]
) -> None:
    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "x.db"
    with open_store(path) as source, SimpleChatStore() as target:
        for key in KEYS:
            source.add_messages(key, [ChatMessage(str(n)) for n in range(600)])
        open_before = len(still_open(path))
        if reading == "copy refused":
            target.add_message("b", ChatMessage("old"))
            with pytest.raises(TransferError) as caught:
                copy_store(source, target)
        else:
            with pytest.raises(KeyboardInterrupt) as caught:  # type: ignore[assignment]
                _read(reading, source, target, stop)
        assert caught.tb is not None
        assert len(still_open(path)) <= open_before
        source.erase("c")  # which a snapshot that is still open would keep waiting
        assert source.get_keys() == ["a", "b"]
    assert quiet == []


def _read(reading: str, source: ChatStore, target: ChatStore, progress: Any) -> None:
    if reading == "copy":
        copy_store(source, target, progress=progress)
    else:
        content_digest(source, progress)
