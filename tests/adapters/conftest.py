"""The frameworks of the adapters, and the stores under them.

A framework that is missing is a failure: `pip install -e '.[test]'` brings them all.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chatstore import ChatStore, open_store

TTL = 300


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ChatStore]:
    """Each kind of store, as the seed opens it."""
    url = "memory://" if request.param == "memory" else _url(request, tmp_path)
    with open_store(url, ttl=TTL) as store:
        yield store


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each kind of store that outlives the process."""
    return _url(request, tmp_path)


def _url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'chat.db'}"
    return str(request.getfixturevalue("redis_url"))
