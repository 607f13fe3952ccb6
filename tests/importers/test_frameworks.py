"""Other stores' own files, written by their own libraries."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from agents import SQLiteSession
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage, TextBlock, ToolCallBlock
from llama_index.core.storage.chat_store.sql import SQLAlchemyChatStore
from llama_index.storage.chat_store.sqlite import SQLiteChatStore  # type: ignore[import-untyped]
from sqlalchemy import create_engine

from chatstore import ChatStore, TransferError, open_store
from chatstore.adapters.langchain import ChatStoreMessageHistory
from chatstore.adapters.llama_index import LlamaIndexChatStore
from chatstore.adapters.openai_agents import ChatStoreSession
from chatstore.cli import main
from chatstore.importers import import_file

TALKS = [
    ChatMessage("Hello \u2028 😀"),
    ChatMessage(
        role="assistant",
        blocks=[
            TextBlock(text="I look."),
            ToolCallBlock(tool_call_id="c1", tool_name="f", tool_kwargs={"a": 1}),
        ],
    ),
    ChatMessage("21 C", role="tool", additional_kwargs={"tool_call_id": "c1"}),
]


def langchain(path: Path) -> None:
    from langchain_community.chat_message_histories import (  # warns that it has no future
        SQLChatMessageHistory,
    )

    engine = create_engine(f"sqlite:///{path}")
    for key in ("b", "a"):
        history = SQLChatMessageHistory(key, connection=engine)
        call: Any = {"name": "f", "args": {"a": 1}, "id": "c1"}
        history.add_messages([HumanMessage(key), AIMessage("", tool_calls=[call], id="x")])
        history.add_messages([ToolMessage("21 C", tool_call_id="c1")])
    engine.dispose()


def agents(path: Path) -> None:
    async def write() -> None:
        for key in ("b", "a"):
            session = SQLiteSession(key, path)
            await session.add_items([{"role": "user", "content": f"{key}\0\ud800"}])
            await session.add_items([{"role": "user", "content": str(n)} for n in range(12)])
            session.close()

    asyncio.run(write())


def llama_index(path: Path) -> None:
    chats = SQLiteChatStore.from_uri(f"sqlite:///{path}")
    for message in TALKS:
        for key in ("b", "a"):
            chats.add_message(key, message)
    chats._session().bind.dispose()


def memory(path: Path) -> None:
    async def write() -> None:
        chats = SQLAlchemyChatStore("llama_index_memory", f"sqlite+aiosqlite:///{path}")
        for key in ("b", "a"):
            await chats.add_messages(key, TALKS)
            await chats.archive_oldest_messages(key, 1)
        assert chats._async_engine is not None
        await chats._async_engine.dispose()

    asyncio.run(write())


def read_langchain(store: ChatStore) -> None:
    found = ChatStoreMessageHistory("a", store).messages
    assert [type(message) for message in found] == [HumanMessage, AIMessage, ToolMessage]
    assert found[1].tool_calls[0]["args"] == {"a": 1}  # type: ignore[attr-defined]
    assert found[1].id == "x"


def read_agents(store: ChatStore) -> None:
    items: list[Any] = list(asyncio.run(ChatStoreSession("a", store).get_items()))
    assert [item["content"] for item in items] == ["a\0\ud800", *map(str, range(12))]
    [first, *_] = store.get_records("a")
    assert first.created_at.microsecond == 0  # theirs, whole seconds


def read_llama_index(store: ChatStore) -> None:
    assert LlamaIndexChatStore(store).get_messages("a") == TALKS


def read_memory(store: ChatStore) -> None:
    read_llama_index(store)
    statuses = [record.status for record in store.get_records("a")]
    assert statuses == ["archived", "active", "active"]


CASES: dict[str, tuple[Any, Any]] = {
    "langchain-sql": (langchain, read_langchain),
    "openai-agents-sqlite": (agents, read_agents),
    "llama-index-sqlite": (llama_index, read_llama_index),
    "llama-index-memory": (memory, read_memory),
}
quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@quiet
@pytest.mark.parametrize("name", CASES)
def test_their_file_becomes_conversations(name: str, tmp_path: Path) -> None:
    write, read = CASES[name]
    file = tmp_path / "theirs.db"
    write(file)
    before = file.read_bytes()
    with open_store(tmp_path / "chat.db") as store:
        report = import_file(store, file)
        assert (report.importer, report.conversations) == (name, 2)
        assert store.get_keys() == ["a", "b"]
        read(store)
        assert store.check().ok
        with pytest.raises(TransferError, match="'a'"):
            import_file(store, file, name)
        import_file(store, file, name, key_prefix="old:")
        assert store.get_keys(prefix="old:") == ["old:a", "old:b"]
    assert file.read_bytes() == before


@quiet
@pytest.mark.parametrize("given", [[], ["--from", "langchain-sql"]])
def test_from_the_command_line(given: list[str], tmp_path: Path) -> None:
    langchain(tmp_path / "theirs.db")
    url = str(tmp_path / "chat.db")
    assert main(["import", str(tmp_path / "theirs.db"), *given, "--url", url]) == 0
    with open_store(url) as store:
        read_langchain(store)


@quiet
@pytest.mark.parametrize("bad", ["{", "[]", '{"type": 5}', None, 5, '{"type": "ai", "data": NaN}'])
def test_a_broken_row_is_refused_and_nothing_is_stored(bad: Any, tmp_path: Path) -> None:
    langchain(tmp_path / "theirs.db")
    conn = sqlite3.connect(tmp_path / "theirs.db")
    conn.execute("UPDATE message_store SET message = ? WHERE id = 6", (bad,))
    conn.commit()
    conn.close()
    with open_store("memory://") as store:
        with pytest.raises(TransferError, match=r"key 'a'|a message"):
            import_file(store, tmp_path / "theirs.db", "langchain-sql")
        assert store.get_keys() == []


def test_no_file_and_no_database(tmp_path: Path) -> None:
    with open_store("memory://") as store:
        for path in (tmp_path / "none.db", tmp_path / "text.db"):
            with pytest.raises(TransferError, match="cannot be read"):
                import_file(store, path, "langchain-sql")
            (tmp_path / "text.db").write_text("Hello, this is no database at all. " * 9)
        assert not (tmp_path / "none.db").exists()
        sqlite3.connect(tmp_path / "empty.db").close()
        with pytest.raises(TransferError, match="no table of langchain-sql"):
            import_file(store, tmp_path / "empty.db", "langchain-sql")
