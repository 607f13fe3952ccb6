"""The conformance suite over PostgreSQL."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from chatstore.testing import AsyncTests, DurableTests, StoreTests
from tests import backends


class TestPostgres(StoreTests, DurableTests):
    @pytest.fixture
    def backend(self, postgres_database: str) -> Iterator[backends.PostgresBackend]:
        with closing(backends.PostgresBackend(postgres_database)) as backend:
            yield backend


class TestAsyncPostgres(StoreTests, DurableTests, AsyncTests):
    @pytest.fixture
    def backend(self, postgres_database: str) -> Iterator[backends.AsyncPostgresBackend]:
        with closing(backends.AsyncPostgresBackend(postgres_database)) as backend:
            yield backend
