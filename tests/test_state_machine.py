"""The state machine over every store."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chatstore.testing import Backend, run_machine
from tests import backends

IN_A_FILE: list[Callable[[Path], Backend]] = [backends.SQLiteBackend, backends.AsyncSQLiteBackend]
IN_MEMORY: list[Callable[[], Backend]] = [
    backends.MemoryBackend,
    backends.AsyncMemoryBackend,
    backends.SQLiteMemoryBackend,
    backends.AsyncSQLiteMemoryBackend,
]
IN_REDIS: list[Callable[[str], Backend]] = [backends.RedisBackend, backends.AsyncRedisBackend]

IN_POSTGRES: list[Callable[[str], Backend]] = [
    backends.PostgresBackend,
    backends.AsyncPostgresBackend,
]

EXTENTS = [
    pytest.param((12, 25), id="short"),
    pytest.param((100, 50), id="long", marks=pytest.mark.torture),
]


@pytest.fixture(params=EXTENTS)
def extent(request: pytest.FixtureRequest) -> dict[str, int]:
    examples, steps = request.param
    return {"examples": examples, "steps": steps}


@pytest.mark.parametrize("backend", IN_MEMORY)
def test_in_memory(backend: Callable[[], Backend], extent: dict[str, int]) -> None:
    run_machine(backend(), **extent)


@pytest.mark.parametrize("backend", IN_A_FILE)
def test_in_a_file(
    backend: Callable[[Path], Backend], extent: dict[str, int], tmp_path: Path
) -> None:
    run_machine(backend(tmp_path / "chat.db"), **extent)


@pytest.mark.parametrize("backend", IN_REDIS)
def test_in_redis(
    backend: Callable[[str], Backend], extent: dict[str, int], redis_url: str
) -> None:
    run_machine(backend(redis_url), **extent)


@pytest.mark.torture
@pytest.mark.parametrize("backend", IN_POSTGRES)
def test_in_postgres(backend: Callable[[str], Backend], postgres_database: str) -> None:
    run_machine(backend(postgres_database), examples=20, steps=40)
