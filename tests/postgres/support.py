"""What the tests of the store on PostgreSQL share: a back door, tasks, a network in between."""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg

from chatstore import AsyncSQLChatStore, ChatMessage
from chatstore.sql.engine.postgres.database import PostgresDatabase
from chatstore.sql.engine.postgres.server import CONNECTIONS
from tests.servers.proxy import FlakyProxy
from tests.sql.ledger import wait_for

BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


def query(url: str, sql: str, *arguments: object) -> list[Any]:
    """The rows of a statement, through the raw driver."""
    with psycopg.connect(url, autocommit=True) as conn:
        cursor = conn.execute(sql.encode(), arguments)
        return cursor.fetchall() if cursor.description else []


def limited(url: str, limit: object) -> str:
    """The URL for a store of so many connections."""
    return f"{url}?max_connections={limit}"


@contextmanager
def through(url: str) -> Iterator[tuple[FlakyProxy, str]]:
    """A proxy before the server, and the URL that leads through it."""
    parts = urlsplit(url)
    with FlakyProxy(parts.port or 5432, host=parts.hostname or "127.0.0.1") as proxy:
        login = parts.netloc.rpartition("@")[0]
        yield proxy, parts._replace(netloc=f"{login}@127.0.0.1:{proxy.port}").geturl()


def stored(url: str) -> dict[str, list[str]]:
    """The texts of every conversation, in the order of their ordinals."""
    found: dict[str, list[str]] = {}
    rows = query(
        url,
        "SELECT c.key, m.payload::json -> 'blocks' -> 0 ->> 'text' FROM chatstore_conversation c "
        "JOIN chatstore_message m ON m.conversation_id = c.id ORDER BY c.key, m.ordinal",
    )
    for key, text in rows:
        found.setdefault(key, []).append(text)
    return found


def contradictions(url: str) -> list[Any]:
    """The conversations whose row and messages do not fit together."""
    return query(
        url,
        "SELECT c.key, c.count, c.next_ordinal, c.revision, count(m.ordinal), max(m.ordinal) "
        "FROM chatstore_conversation c LEFT JOIN chatstore_message m ON m.conversation_id = c.id "
        "GROUP BY c.id HAVING c.count <> count(m.ordinal) "
        "OR coalesce(c.next_ordinal <= max(m.ordinal), true) "
        "OR c.revision < max(m.serial) OR count(DISTINCT m.serial) <> count(m.ordinal)",
    )


def awaited(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The test, run on a loop of its own, and not for ever."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 60))

    return run


def engine(store: AsyncSQLChatStore) -> PostgresDatabase:
    """The database of a store."""
    database = store._store._database
    assert isinstance(database, PostgresDatabase)
    return database


async def blocked(url: str, n: int) -> None:
    """Until so many wait for a lock."""
    await asyncio.to_thread(wait_for, lambda: query(url, BLOCKED) == [(n,)])


async def waiting(url: str, store: AsyncSQLChatStore, n: int) -> "list[asyncio.Task[str]]":
    """So many tasks that append to the conversation that is held, and wait in the server."""
    tasks = [asyncio.create_task(store.add_message("held", ChatMessage(f"w{i}"))) for i in range(n)]
    await blocked(url, min(n, CONNECTIONS))
    return tasks
