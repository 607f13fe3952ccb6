"""Other stores' tables in PostgreSQL, written by their own libraries."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from agents.extensions.memory.sqlalchemy_session import SQLAlchemySession
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from llama_index.core.storage.chat_store.sql import SQLAlchemyChatStore
from psycopg import sql
from sqlalchemy import create_engine

from chatstore import ChatStore, StoreUnavailableError, TransferError, open_store
from chatstore.cli import main
from chatstore.importers import import_server
from tests.importers.test_frameworks import (
    CASES,
    TALKS,
    langchain,
    quiet,
    read_langchain,
    read_memory,
)

Write = Callable[[str], None]


def driven(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


def langchain_sql(url: str) -> None:
    from langchain_community.chat_message_histories import SQLChatMessageHistory

    engine = create_engine(driven(url))
    for key in ("b", "a"):
        history = SQLChatMessageHistory(key, connection=engine)
        call: Any = {"name": "f", "args": {"a": 1}, "id": "c1"}
        history.add_messages([HumanMessage(key), AIMessage("", tool_calls=[call], id="x")])
        history.add_messages([ToolMessage("21 C", tool_call_id="c1")])
    engine.dispose()


def memory(url: str) -> None:
    async def write() -> None:
        chats = SQLAlchemyChatStore("llama_index_memory", driven(url))
        for key in ("b", "a"):
            await chats.add_messages(key, TALKS)
            await chats.archive_oldest_messages(key, 1)
        assert chats._async_engine is not None
        await chats._async_engine.dispose()

    asyncio.run(write())


def agents(url: str) -> None:
    async def write() -> None:
        for key in ("b", "a"):
            session = SQLAlchemySession.from_url(key, url=driven(url), create_tables=True)
            await session.add_items([{"role": "user", "content": f"{key}\u2028"}])
            await session.add_items([{"role": "user", "content": str(n)} for n in range(12)])
            await session.engine.dispose()

    asyncio.run(write())


def read_agents(store: ChatStore) -> None:
    records = store.get_records("a")
    assert [record.text for record in records] == ["a\u2028", *map(str, range(12))]
    assert {record.format for record in records} == {"openai.responses"}


THEIRS: dict[str, tuple[Write, Callable[[ChatStore], None]]] = {
    "langchain-sql": (langchain_sql, read_langchain),
    "llama-index-memory": (memory, read_memory),
    "openai-agents-sql": (agents, read_agents),
}


def seen(url: str) -> dict[str, list[Any]]:
    """All rows of all tables, where they lie and who wrote them last, by the back door."""
    with psycopg.connect(url) as conn:
        names = conn.execute("SELECT relname FROM pg_stat_user_tables").fetchall()
        return {
            name: conn.execute(
                sql.SQL("SELECT ctid, xmin, t::text FROM {} t ORDER BY ctid").format(
                    sql.Identifier(name)
                )
            ).fetchall()
            for (name,) in names
        }


@quiet
@pytest.mark.parametrize("target", ["memory", "sqlite", "redis", "postgres"])
@pytest.mark.parametrize("name", THEIRS)
def test_their_database_becomes_conversations(
    name: str, target: str, postgres_url: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    write, read = THEIRS[name]
    write(postgres_url)
    before = seen(postgres_url)
    urls = {"memory": "memory://", "sqlite": str(tmp_path / "chat.db"), "postgres": postgres_url}
    url = urls[target] if target in urls else request.getfixturevalue("redis_url")
    # Into the very database that is read, too: the tables are beside each other.
    with open_store(url, upgrade=True) as store:
        report = import_server(store, postgres_url, name)
        assert (report.importer, report.conversations) == (name, 2)
        assert store.get_keys() == ["a", "b"]
        read(store)
        assert store.check().ok
        with pytest.raises(TransferError, match=r"'[ab]'"):
            import_server(store, postgres_url, name)
    if target != "postgres":
        assert seen(postgres_url) == before


@quiet
def test_from_the_command_line(postgres_url: str, tmp_path: Path) -> None:
    langchain_sql(postgres_url)
    url = str(tmp_path / "chat.db")
    assert main(["import", postgres_url, "--from", "langchain-sql", "--url", url]) == 0
    with open_store(url) as store:
        read_langchain(store)


@quiet
def test_the_url_of_a_file_is_that_file(tmp_path: Path) -> None:
    langchain(tmp_path / "theirs.db")
    url = str(tmp_path / "chat.db")
    source = f"sqlite:///{tmp_path / 'theirs.db'}"
    assert main(["import", source, "--from", "langchain-sql", "--url", url]) == 0
    with open_store(url) as store:
        read_langchain(store)
    assert CASES.keys() > {"langchain-sql"}


def test_rows_come_in_pages(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from chatstore.sql import foreign

    monkeypatch.setattr(foreign, "PAGE", 10)
    with psycopg.connect(postgres_url) as conn:
        conn.execute("CREATE TABLE message_store (id serial, session_id text, message text)")
        said = json.dumps({"type": "human", "data": {"content": "Hello", "type": "human"}})
        conn.execute(
            "INSERT INTO message_store (session_id, message) "
            "SELECT 'k' || n %% 7, %s FROM generate_series(1, 1000) n",
            [said],
        )
    with open_store("memory://") as store:
        assert import_server(store, postgres_url, "langchain-sql").messages == 1000
    with foreign.opened(postgres_url) as tables:
        rows = tables.rows("message_store", ("session_id", "id"), ("id",))
        assert next(iter(rows))[1] == 1
        with psycopg.connect(postgres_url) as conn:
            sent = conn.execute(
                "SELECT query FROM pg_stat_activity WHERE query LIKE '%FETCH%' AND pid <> "
                "pg_backend_pid()"
            ).fetchall()
        assert sent  # a cursor of the server's: no driver holds all rows


@pytest.mark.parametrize("bad", ["{", "[]", '{"type": 5}'])
def test_a_broken_row_is_refused_and_nothing_is_stored(bad: str, postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as conn:
        conn.execute("CREATE TABLE message_store (id int, session_id text, message text)")
        conn.execute("INSERT INTO message_store VALUES (1, 'a', %s)", [bad])
    with open_store("memory://") as store:
        with pytest.raises(TransferError, match=r"key 'a'|a message"):
            import_server(store, postgres_url, "langchain-sql")
        assert store.get_keys() == []


def test_no_database_and_no_table(postgres_url: str) -> None:
    with open_store("memory://") as store:
        with pytest.raises(TransferError, match="no table of openai-agents"):
            import_server(store, postgres_url, "openai-agents-sql")
        with pytest.raises(StoreUnavailableError, match="cannot be reached") as caught:
            import_server(store, "postgresql://ada:secret@127.0.0.1:1/x", "langchain-sql")
        assert "secret" not in str(caught.value)
        with pytest.raises(TransferError, match="install SQLAlchemy's driver"):
            import_server(store, "nosuchdb://localhost/x", "langchain-sql")
        with pytest.raises(ValueError, match="no database URL"):
            import_server(store, "no url", "langchain-sql")
    assert seen(postgres_url) == {}
