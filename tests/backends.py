"""Our own stores for the suite: where they keep data, and the back doors to it."""

import contextlib
import sqlite3
from abc import abstractmethod
from functools import cache
from math import inf
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import psycopg
import redis

from chatstore import (
    AsyncChatStore,
    AsyncRedisChatStore,
    AsyncSimpleChatStore,
    AsyncSQLChatStore,
    ChatStore,
    RedisChatStore,
    SimpleChatStore,
    SQLChatStore,
)
from chatstore.records import Row
from chatstore.sql.engine.sqlite.connector import Durability
from chatstore.testing import Backend


class MemoryBackend(Backend):
    """`SimpleChatStore`: each store is a place of its own."""

    def __init__(self) -> None:
        self.last = SimpleChatStore()

    def open(self, **options: Any) -> ChatStore | AsyncChatStore:
        self.last = SimpleChatStore(**options)
        return self.last

    def _rows(self, key: str) -> list[Row]:
        held = self.last._shelf.held.get(key)
        return held.rows if held else []

    def raw_payloads(self, key: str, namespace: str = "") -> list[str]:
        return [row.payload for row in self._rows(key)]

    def put_raw(self, key: str, format: str, payload: str) -> None:
        rows = self._rows(key)
        rows[-1] = rows[-1]._replace(format=format, payload=payload)
        self.last._shelf.held[key].known = None

    def faults(self, key: str, namespace: str = "") -> list[str]:
        ordinals = [row.ordinal for row in self._rows(key)]
        return [] if ordinals == sorted(set(ordinals)) else ["ordinals do not rise"]


class AsyncMemoryBackend(MemoryBackend):
    """`AsyncSimpleChatStore`, in the same way."""

    def open(self, **options: Any) -> ChatStore | AsyncChatStore:
        store = AsyncSimpleChatStore(**options)
        self.last = store._store
        return store


class SQLBackend(Backend):
    """Tables, read and written with the raw driver."""

    @abstractmethod
    def query(self, sql: str, *arguments: object) -> list[Any]:
        """The rows that a statement results in."""

    def raw_payloads(self, key: str, namespace: str = "") -> list[str]:
        rows = self.query(
            "SELECT m.payload FROM chatstore_message m "
            "JOIN chatstore_conversation c ON c.id = m.conversation_id "
            "WHERE c.namespace = ? AND c.key = ? ORDER BY m.ordinal",
            namespace,
            key,
        )
        return [payload for (payload,) in rows]

    def put_raw(self, key: str, format: str, payload: str) -> None:
        newest = (
            "SELECT m.conversation_id, max(m.ordinal) FROM chatstore_message m "
            "JOIN chatstore_conversation c ON c.id = m.conversation_id "
            "WHERE c.namespace = '' AND c.key = ? GROUP BY m.conversation_id"
        )
        self.query(
            "UPDATE chatstore_message SET format = ?, payload = ? "
            f"WHERE (conversation_id, ordinal) = ({newest}) RETURNING 1",
            format,
            payload,
            key,
        )

    def faults(self, key: str, namespace: str = "") -> list[str]:
        rows = self.query(
            "SELECT c.count, c.archived, c.next_ordinal, c.active_from, m.ordinal, m.serial, "
            "m.archived FROM chatstore_conversation c LEFT JOIN chatstore_message m "
            "ON c.id = m.conversation_id WHERE c.namespace = ? AND c.key = ?",
            namespace,
            key,
        )
        if not rows:
            return []
        count, archived, following, active_from = rows[0][:4]
        ordinals = [row[4] for row in rows]
        active = [row[4] for row in rows if not row[6]]
        sound = {
            "count": count == len(rows),
            "archived": archived == len(rows) - len(active),
            "next_ordinal": following > max(ordinals),
            "active_from": active_from is None or all(o >= active_from for o in active),
            "ordinal": len(set(ordinals)) == len(rows),
            "serial": len({row[5] for row in rows}) == len(rows),
        }
        return [f"{column} is wrong" for column, right in sound.items() if not right]


class SQLiteBackend(SQLBackend):
    """`SQLChatStore` on a file.

    It does not wait for the disk, unless told to: no power is cut here, and thousands of tests wait
    long.
    """

    durable = shared = True

    def __init__(self, path: Path, durability: Durability = "normal") -> None:
        self.path = path
        self.durability = durability

    def open(self, **options: Any) -> ChatStore | AsyncChatStore:
        return SQLChatStore(self.path, durability=self.durability, **options)

    def query(self, sql: str, *arguments: object) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as conn:
            return conn.execute(sql, arguments).fetchall()


class AsyncSQLiteBackend(SQLiteBackend):
    """`AsyncSQLChatStore` on a file."""

    def open(self, **options: Any) -> ChatStore | AsyncChatStore:
        return AsyncSQLChatStore(self.path, durability=self.durability, **options)


class SQLiteMemoryBackend(SQLBackend):
    """`SQLChatStore` on SQLite in memory: the only connection is the store's."""

    last: SQLChatStore

    def open(self, **options: Any) -> ChatStore | AsyncChatStore:
        self.last = SQLChatStore("sqlite://", **options)
        return self.last

    def query(self, sql: str, *arguments: object) -> list[Any]:
        return self.last._database.write(lambda conn: list(conn.execute(sql, arguments).fetchall()))


class AsyncSQLiteMemoryBackend(SQLiteMemoryBackend):
    """`AsyncSQLChatStore` on SQLite in memory."""

    def open(self, **options: Any) -> ChatStore | AsyncChatStore:
        store = AsyncSQLChatStore("sqlite://", **options)
        self.last = store._store
        return store


@cache
def _door(url: str) -> redis.Redis:
    """A client for all tests: to make one takes longer than what they look at with it."""
    return redis.Redis.from_url(url, decode_responses=True)


class RedisBackend(Backend):
    """`RedisChatStore`: a sorted set for each conversation, messages at positive scores."""

    durable = shared = frees_expired = True

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = _door(url)

    def open(self, **options: Any) -> ChatStore | AsyncChatStore:
        return RedisChatStore(self.url, **options)

    def _members(self, key: str, namespace: str = "") -> tuple[str, list[tuple[str, float]]]:
        for name in self.client.scan_iter(_type="zset"):
            prefix, _, tag = name.partition("{")
            if (prefix, unquote(tag[:-1])) == (f"chatstore:{quote(namespace, safe='~')}:", key):
                members: Any = self.client.zrange(name, 0, -1, withscores=True)
                return name, members
        return "", []

    def raw_payloads(self, key: str, namespace: str = "") -> list[str]:
        members = self._members(key, namespace)[1]
        return [member.split("|", 7)[7] for member, score in members if 0 < score < inf]

    def put_raw(self, key: str, format: str, payload: str) -> None:
        name, members = self._members(key)
        newest, score = [pair for pair in members if pair[1] < inf][-1]
        head, id, _, *rest = newest.split("|", 7)
        self.client.zrem(name, newest)
        self.client.zadd(name, {"|".join([head, id, format, *rest[:-1], payload]): score})

    def faults(self, key: str, namespace: str = "") -> list[str]:
        members = self._members(key, namespace)[1]
        if not members:
            return []
        header = members[-1][0].split("|")
        held = [(member, score) for member, score in members if 0 < score < inf]
        archived = [member for member, _ in held if member.startswith("-")]
        ids = {member[1:]: -score for member, score in members if member.startswith("@")}
        sound = {
            "held": int(header[10]) == len(held),
            "archived": int(header[4]) == len(archived),
            "top": int(header[7]) + int(header[9]) * 2**20 >= max(score for _, score in held),
            "ordinals": len({score for _, score in held}) == len(held),
            "serials": len({member.split("|")[0][1:] for member, _ in held}) == len(held),
            "ids": ids == {m.split("|")[1]: score for m, score in held if m.split("|")[1]},
        }
        return [f"{column} is wrong" for column, right in sound.items() if not right]


class AsyncRedisBackend(RedisBackend):
    """`AsyncRedisChatStore`, in the same way."""

    def open(self, **options: Any) -> ChatStore | AsyncChatStore:
        return AsyncRedisChatStore(self.url, **options)


_upgraded: set[str] = set()
"""The PostgreSQL databases that have our tables: asking each time would cost a connection."""


class PostgresBackend(SQLBackend):
    """`SQLChatStore` on PostgreSQL."""

    durable = shared = True

    def __init__(self, url: str) -> None:
        self.url = url
        if url not in _upgraded:
            SQLChatStore(url, upgrade=True).close()
            _upgraded.add(url)
        self._door = psycopg.connect(url, autocommit=True)
        # Faster than TRUNCATE, which gives tables and indexes new files.
        for table in ("chatstore_conversation", "chatstore_state"):
            self.query(f"DELETE FROM {table}")

    def open(self, **options: Any) -> ChatStore | AsyncChatStore:
        return SQLChatStore(self.url, **options)

    def query(self, sql: str, *arguments: object) -> list[Any]:
        cursor = self._door.execute(sql.replace("?", "%s").encode(), arguments)
        return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        self._door.close()


class AsyncPostgresBackend(PostgresBackend):
    """`AsyncSQLChatStore` on PostgreSQL."""

    def open(self, **options: Any) -> ChatStore | AsyncChatStore:
        return AsyncSQLChatStore(self.url, **options)
