"""Fixtures for every test: the real servers of tests/servers/."""

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
