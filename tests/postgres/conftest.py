"""A database with a conversation, one who holds it, and a store whose tasks append."""

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from chatstore import AsyncSQLChatStore, ChatMessage, SQLChatStore


@pytest.fixture
def url(postgres_url: str) -> str:
    """A database with one message in the conversation "held"."""
    with SQLChatStore(postgres_url, upgrade=True) as store:
        store.add_message("held", ChatMessage("0"))
    return postgres_url


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
