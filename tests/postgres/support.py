"""What the tests of the store on PostgreSQL share: a back door, and a network in between."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tests.servers.proxy import FlakyProxy


def query(url: str, sql: str, *arguments: object) -> list[Any]:
    """The rows of a statement, through the raw driver."""
    with psycopg.connect(url, autocommit=True) as conn:
        cursor = conn.execute(sql.encode(), arguments)
        return cursor.fetchall() if cursor.description else []


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
