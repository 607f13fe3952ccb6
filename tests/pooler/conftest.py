"""Poolers with fewer sessions than they have clients."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.servers.given import GivenPostgres
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import PostgresServer


@pytest.fixture(scope="session")
def pooler(postgres_server: PostgresServer | GivenPostgres) -> Iterator[PgBouncer]:
    with PgBouncer(postgres_server, sessions=3) as pooler:
        yield pooler


def through(pooler: PgBouncer, url: str) -> str:
    """The same database as that URL's, through the pooler."""
    return pooler.url_of(urlsplit(url).path[1:])


@pytest.fixture
def pooled_url(pooler: PgBouncer, postgres_url: str) -> str:
    """An empty database, through three sessions; `postgres_url` is the way around the pooler."""
    return through(pooler, postgres_url)
