"""The conformance suite through a pooler that has fewer sessions than the suite has threads."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from chatstore import AsyncChatStore, AsyncSQLChatStore, ChatStore, SQLChatStore
from chatstore.testing import AsyncTests, DurableTests, StoreTests
from tests import backends
from tests.pooler.conftest import through
from tests.servers.pgbouncer import PgBouncer

pytestmark = pytest.mark.pgbouncer


class PooledBackend(backends.PostgresBackend):
    """Stores go through the pooler, back doors around it."""

    def __init__(self, url: str, pooled: str) -> None:
        super().__init__(url)
        self.pooled = pooled

    def open(self, **options: Any) -> ChatStore | AsyncChatStore:
        return SQLChatStore(self.pooled, **options)


class AsyncPooledBackend(PooledBackend):
    """`AsyncSQLChatStore` in the same way."""

    def open(self, **options: Any) -> ChatStore | AsyncChatStore:
        return AsyncSQLChatStore(self.pooled, **options)


class TestPooled(StoreTests, DurableTests):
    @pytest.fixture
    def backend(self, postgres_database: str, pooler: PgBouncer) -> Iterator[PooledBackend]:
        pooled = through(pooler, postgres_database)
        with closing(PooledBackend(postgres_database, pooled)) as backend:
            yield backend


class TestAsyncPooled(StoreTests, DurableTests, AsyncTests):
    @pytest.fixture
    def backend(self, postgres_database: str, pooler: PgBouncer) -> Iterator[AsyncPooledBackend]:
        pooled = through(pooler, postgres_database)
        with closing(AsyncPooledBackend(postgres_database, pooled)) as backend:
            yield backend
