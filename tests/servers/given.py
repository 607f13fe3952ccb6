"""Servers that somebody else runs, named in the environment: they win over our own.

They may hold data that matter, so that nothing is flushed that was not empty when we came, and
PostgreSQL gives us databases of our own.
"""

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

from tests.servers.process import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection
    from redis import Redis

REDIS_URL = "CHATSTORE_TEST_REDIS_URL"
POSTGRES_URL = "CHATSTORE_TEST_POSTGRES_URL"
CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def redis_client(url: str, **options: Any) -> "Redis":
    """A redis-py client that retries nothing, unless told to. Close it."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client: Redis = Redis.from_url(url, **{"retry": Retry(NoBackoff(), 0), **options})
    return client


def worker() -> int:
    """Which of pytest-xdist's workers this is, from 0."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


class GivenRedis:
    """The Redis server of `CHATSTORE_TEST_REDIS_URL`. Each worker takes an own database."""

    def __init__(self, url: str) -> None:
        path = urlsplit(url).path.strip("/")
        self._url = url
        self.db = int(path or 0) + worker()

    @property
    def url(self) -> str:
        """The URL of this worker's database."""
        return self.url_of(db=self.db)

    def url_of(self, *, db: int = 0) -> str:
        """The URL of a database."""
        return urlsplit(self._url)._replace(path=f"/{db}").geturl()

    def client(self, **options: Any) -> "Redis":
        """A redis-py client that retries nothing. Close it."""
        return redis_client(self.url, **options)

    def claim(self) -> Self:
        """Make sure that flushing harms nobody.

        Raises:
            ServerError: this worker's database is not empty.
        """
        with self.client() as client:
            if client.dbsize():
                raise ServerError(
                    f"database {self.db} of {REDIS_URL} is not empty, and the tests flush it: "
                    "name a database that is, with empty ones behind it for pytest -n"
                )
        return self


class PostgresHost:
    """What is done with a PostgreSQL server, whoever runs it."""

    def url_of(self, database: str) -> str:
        """The URL of a database."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """The URL of a database that is always there."""
        return self.url_of("postgres")

    @contextmanager
    def connect(self, url: str | None = None, **options: Any) -> "Iterator[Connection[Any]]":
        """A psycopg connection in autocommit mode, closed at the end."""
        import psycopg

        with psycopg.connect(url or self.url, autocommit=True, **options) as connection:
            yield connection

    def new_database(self) -> str:
        """Create an empty database; returns its name."""
        name = f"chatstore_test_{uuid4().hex}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return name

    def empty_database(self, name: str) -> None:
        """Cut its connections and drop all that was made in it: 10 ms, where a new one costs 90."""
        with self.connect(self.url_of(name)) as connection:
            connection.execute(CUT)
            schemas = connection.execute(
                "SELECT quote_ident(nspname) FROM pg_namespace "
                "WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
            ).fetchall()
            for (schema,) in schemas:
                connection.execute(f"DROP SCHEMA {schema} CASCADE")
            connection.execute("CREATE SCHEMA public")

    def delete_rows(self, name: str) -> None:
        """Cut its connections and empty our tables: 3 ms, where to make them anew costs 50."""
        with self.connect(self.url_of(name)) as connection:
            connection.execute(CUT)
            # What is cut may be about to commit: the lock waits for it.
            connection.execute(
                "LOCK chatstore_conversation, chatstore_state; "
                "DELETE FROM chatstore_conversation; DELETE FROM chatstore_state"
            )

    def drop_database(self, name: str) -> None:
        """Drop it, whoever is still connected."""
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


class GivenPostgres(PostgresHost):
    """The server of `CHATSTORE_TEST_POSTGRES_URL`, whose user may create databases."""

    def __init__(self, url: str) -> None:
        scheme = urlsplit(url).scheme.partition("+")[0]
        self._url = urlsplit(url)._replace(scheme=scheme)

    @property
    def url(self) -> str:
        """The URL that was given, for psycopg."""
        return self._url.geturl()

    def url_of(self, database: str) -> str:
        """The URL of a database."""
        return self._url._replace(path=f"/{database}").geturl()
