"""The fixtures, for tests/conftest.py. A server is started when a test first asks for it.

For each worker:

- `redis_server`, `redis62_server`, `valkey_server`: with `url`, `url_of(db=)`, `client()`;
- `postgres_server`: with `url`, `url_of(name)`, `connect(url)`, `new_database()`;
- `postgres_database`: the URL of a database, for tests that take an own namespace each;
- `redis_cluster`, `redis_sentinel`: for tests that break nothing.

For each test:

- `redis_url`, `redis62_url`, `valkey_url`: an empty database, flushed afterwards;
- `postgres_url`: an empty database, emptied again afterwards, open connections cut;
- `running`: `server = running(RedisServer(aof="always"))` starts it, and removes it afterwards.
  A server that a test kills, pauses or configures is made with this.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import cache
from typing import Protocol, TypeVar

import pytest
import redis.utils
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers.cluster import RedisCluster
from tests.servers.given import POSTGRES_URL, REDIS_URL, GivenPostgres, GivenRedis
from tests.servers.postgres import PostgresServer
from tests.servers.redis_server import RedisServer
from tests.servers.sentinel import RedisSentinel

S = TypeVar("S")

# The driver tells each server its version, which it reads from a file each time that it makes a
# connection: a fifth of all that a test of Redis costs.
redis.utils.get_lib_version = cache(redis.utils.get_lib_version)


class Running(Protocol):
    """Starts a server, or enters anything else that ends, and ends it after the test."""

    def __call__(self, server: AbstractContextManager[S]) -> S: ...


@pytest.fixture
def running() -> Iterator[Running]:
    with ExitStack() as stack:

        def enter(server: AbstractContextManager[S]) -> S:
            return stack.enter_context(server)

        yield enter


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer | GivenRedis]:
    if given := os.environ.get(REDIS_URL):
        yield GivenRedis(given).claim()
        return
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis62_server() -> Iterator[RedisServer]:
    with RedisServer("redis62") as server:
        yield server


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[RedisServer]:
    with RedisServer("valkey") as server:
        yield server


@pytest.fixture(scope="session")
def _redis_broom(redis_server: RedisServer | GivenRedis) -> Iterator[Redis]:
    with _broom(redis_server) as broom:
        yield broom


@pytest.fixture(scope="session")
def _redis62_broom(redis62_server: RedisServer) -> Iterator[Redis]:
    with _broom(redis62_server) as broom:
        yield broom


@pytest.fixture(scope="session")
def _valkey_broom(valkey_server: RedisServer) -> Iterator[Redis]:
    with _broom(valkey_server) as broom:
        yield broom


@pytest.fixture
def redis_url(redis_server: RedisServer | GivenRedis, _redis_broom: Redis) -> Iterator[str]:
    yield redis_server.url
    _redis_broom.flushdb()


@pytest.fixture
def redis62_url(redis62_server: RedisServer, _redis62_broom: Redis) -> Iterator[str]:
    yield redis62_server.url
    _redis62_broom.flushdb()


@pytest.fixture
def valkey_url(valkey_server: RedisServer, _valkey_broom: Redis) -> Iterator[str]:
    yield valkey_server.url
    _valkey_broom.flushdb()


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    with RedisCluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def redis_sentinel() -> Iterator[RedisSentinel]:
    with RedisSentinel() as group:
        yield group


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer | GivenPostgres]:
    if given := os.environ.get(POSTGRES_URL):
        yield GivenPostgres(given)
        return
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_database(postgres_server: PostgresServer | GivenPostgres) -> Iterator[str]:
    name = postgres_server.new_database()
    yield postgres_server.url_of(name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def _postgres_scratch(postgres_server: PostgresServer | GivenPostgres) -> Iterator[str]:
    name = postgres_server.new_database()
    yield name
    postgres_server.drop_database(name)


@pytest.fixture
def postgres_url(
    postgres_server: PostgresServer | GivenPostgres, _postgres_scratch: str
) -> Iterator[str]:
    yield postgres_server.url_of(_postgres_scratch)
    postgres_server.empty_database(_postgres_scratch)


def _broom(server: RedisServer | GivenRedis) -> Redis:
    """Empties databases: one for all tests, for to connect takes longer than to flush.

    It connects anew where a test has cut all connections.
    """
    return server.client(retry=Retry(NoBackoff(), 1))
