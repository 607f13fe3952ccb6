"""Fixtures for every test: the real servers of tests/servers/. And a garbage collector at peace."""

import gc
import inspect
from collections.abc import Generator

import pytest

from tests.servers.fixtures import (
    _postgres_scratch,
    _redis62_broom,
    _redis_broom,
    _valkey_broom,
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
    "_redis62_broom",
    "_redis_broom",
    "_valkey_broom",
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

LEFT_OUT = "not torture and not pgbouncer"
"""What `-m` is in pyproject.toml."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep what is imported and collected out of the garbage collector's sight.

    Frameworks and tests are more than a million objects, and stay until the end. Walking over
    them took a seventh of the whole run: half of collecting the tests, and half a second for each
    test that collects garbage. Looking at what is new less often takes a fifteenth less of the
    rest.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(10_000, 10, 10)


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, obj: object
) -> list[pytest.Item] | None:
    """Make no tests of classes that are left out unless asked for; they would be a third of all."""
    if inspect.isclass(obj) and collector.config.option.markexpr == LEFT_OUT:
        of_module = getattr(collector.obj, "pytestmark", None)
        marks = [*getattr(obj, "pytestmark", ()), of_module]
        if any(getattr(mark, "name", None) in {"torture", "pgbouncer"} for mark in marks):
            return []
    return None
