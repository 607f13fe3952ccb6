"""The conformance suite over PostgreSQL."""

import pytest

from chatstore.testing import AsyncTests, DurableTests, StoreTests
from tests import backends

# A database is emptied for each test, which takes a server's time: a minute or more for each face.
pytestmark = pytest.mark.torture


class TestPostgres(StoreTests, DurableTests):
    @pytest.fixture
    def backend(self, postgres_database: str) -> backends.PostgresBackend:
        return backends.PostgresBackend(postgres_database)


class TestAsyncPostgres(StoreTests, DurableTests, AsyncTests):
    @pytest.fixture
    def backend(self, postgres_database: str) -> backends.AsyncPostgresBackend:
        return backends.AsyncPostgresBackend(postgres_database)
