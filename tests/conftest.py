"""Fixtures for every test: the real servers of tests/servers/. And a garbage collector at peace."""

import gc
from collections.abc import Generator

import pytest

from tests.servers.fixtures import (
    _postgres_scratch,
    postgres_database,
    postgres_server,
    postgres_url,
    redis62_server,
    redis62_url,
    redis_cluster,
    redis_sentinel,
    redis_server,
    redis_url,
    running,
    valkey_server,
    valkey_url,
)

__all__ = [
    "_postgres_scratch",
    "postgres_database",
    "postgres_server",
    "postgres_url",
    "redis62_server",
    "redis62_url",
    "redis_cluster",
    "redis_sentinel",
    "redis_server",
    "redis_url",
    "running",
    "valkey_server",
    "valkey_url",
]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep what is imported and collected out of the garbage collector's sight.

    Frameworks and tests are more than a million objects, and stay until the end. Walking over
    them took a seventh of the whole run: half of collecting the tests, and half a second for each
    test that collects garbage.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
