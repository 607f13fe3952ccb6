"""A database with a conversation, one who holds it, and a store whose tasks append."""

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from chatstore import AsyncSQLChatStore, ChatMessage, SQLChatStore
from tests.servers import PostgresServer
from tests.servers.given import GivenPostgres


@pytest.fixture(scope="session")
def _tables(postgres_server: PostgresServer | GivenPostgres) -> Iterator[str]:
    name = postgres_server.new_database()
    SQLChatStore(postgres_server.url_of(name), upgrade=True).close()
    yield name
    postgres_server.drop_database(name)


@pytest.fixture
def tables_url(postgres_server: PostgresServer | GivenPostgres, _tables: str) -> Iterator[str]:
    """A database with our tables and without a row, for tests that leave the schema as it is."""
    yield postgres_server.url_of(_tables)
    postgres_server.delete_rows(_tables)


@pytest.fixture
def url(tables_url: str) -> str:
    """A database with one message in the conversation "held"."""
    with SQLChatStore(tables_url) as store:
        store.add_message("held", ChatMessage("0"))
    return tables_url


@pytest.fixture
def holder(url: str) -> Iterator[psycopg.Connection[Any]]:
    """Holds the row of the conversation "held"."""
    with psycopg.connect(url) as conn:
        conn.execute("UPDATE chatstore_conversation SET count = count WHERE key = 'held'")
        yield conn


@pytest.fixture
def store(url: str) -> Iterator[AsyncSQLChatStore]:
    """For tasks, of whatever loop."""
    store = AsyncSQLChatStore(url)
    yield store
    asyncio.run(store.close())
