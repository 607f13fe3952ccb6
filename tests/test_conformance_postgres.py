"""The conformance suite over PostgreSQL."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from chatstore.testing import AsyncTests, DurableTests, StoreTests
from tests import backends
from tests.kept import Keeper


@pytest.fixture(scope="module")
def keeper(postgres_database: str) -> Iterator[Keeper]:
    with closing(Keeper()) as keeper:
        yield keeper


@pytest.fixture
def url(postgres_database: str, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database to which connections are kept: to make one takes longer than most tests."""
    monkeypatch.setattr(psycopg, "connect", keeper.connect)
    return postgres_database


class TestPostgres(StoreTests, DurableTests):
    @pytest.fixture
    def backend(self, url: str) -> Iterator[backends.PostgresBackend]:
        with closing(backends.PostgresBackend(url)) as backend:
            yield backend


class TestAsyncPostgres(StoreTests, DurableTests, AsyncTests):
    @pytest.fixture
    def backend(self, url: str) -> Iterator[backends.AsyncPostgresBackend]:
        with closing(backends.AsyncPostgresBackend(url)) as backend:
            yield backend
