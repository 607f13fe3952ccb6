"""Where `benchmarks.scale` puts its two databases, by URL: not a question itself."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chatstore import SQLChatStore
from chatstore.sql.schema.versions import TABLES

SERVER = {
    "fsync": "on",
    "full_page_writes": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "15min",
}
"""PostgreSQL's settings: its own, but for the two whose defaults are for a small machine."""


@dataclass(frozen=True)
class Schema:
    """A schema of its own on PostgreSQL."""

    url: str
    name: str
    workers = 2

    def create(self) -> None:
        """Make it. Fails if it is there."""
        self._run(f"CREATE SCHEMA {self.name}")
        self.open().close()

    def open(self) -> SQLChatStore:
        return SQLChatStore(self.url, upgrade=True, schema=self.name)

    def tidy(self) -> float:
        """What a server does by itself in the hour after a load; the seconds that it took."""
        start = time.perf_counter()
        self._run(*(f"VACUUM (ANALYZE) {self.name}.{table}" for table in TABLES), "CHECKPOINT")
        return time.perf_counter() - start

    def size(self) -> int:
        """Bytes on disk, indexes included, without the log."""
        tables = (f"pg_total_relation_size('{self.name}.{table}')" for table in TABLES)
        return int(self._run(f"SELECT {' + '.join(tables)}")[0][0])

    def remove(self) -> None:
        self._run(f"DROP SCHEMA {self.name} CASCADE")

    def _run(self, *statements: str) -> list[Any]:
        import psycopg

        rows: list[Any] = []
        with psycopg.connect(self.url, autocommit=True) as conn:
            for statement in statements:
                cursor = conn.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows


@dataclass(frozen=True)
class File:
    """A SQLite file."""

    path: str
    workers = 1

    def create(self) -> None:
        """Make it. Fails if it is there."""
        with open(self.path, "xb"):
            pass
        self.open().close()

    def open(self) -> SQLChatStore:
        return SQLChatStore(f"sqlite:///{self.path}")

    def tidy(self) -> float:
        """Let the planner count, and empty the log; the seconds that it took."""
        start = time.perf_counter()
        with closing(sqlite3.connect(self.path)) as conn:
            conn.execute("ANALYZE")
            conn.commit()
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
        return time.perf_counter() - start

    def size(self) -> int:
        """Bytes on disk."""
        return os.stat(self.path).st_size

    def remove(self) -> None:
        for suffix in ("", "-wal", "-shm", "-lock"):
            if os.path.exists(self.path + suffix):
                os.unlink(self.path + suffix)


Place = Schema | File


@contextmanager
def server() -> Iterator[str]:
    """A PostgreSQL server of our own; its URL."""
    from tests.servers import PostgresServer

    with PostgresServer(**SERVER) as own:
        yield own.url


@contextmanager
def made(url: str, name: str) -> Iterator[Place]:
    """A place on that server, or beside that file, which is removed at the end."""
    parsed = sa.make_url(url)
    place: Place
    if parsed.get_backend_name() == "sqlite":
        place = File(f"{os.path.abspath(parsed.database or 'chat.db')}.{name}")
    else:
        place = Schema(url, f"scale_{name}")
    place.create()
    try:
        yield place
    finally:
        place.remove()
