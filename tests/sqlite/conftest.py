"""What the tests on SQLite files are given."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatstore import ChatStore, open_async_store, open_store
from chatstore.testing.blocking import Blocking, blocking
from tests.sqlite.refusing import Open


@pytest.fixture(params=["blocking", "async"])
def open_(request: pytest.FixtureRequest) -> Iterator[Open]:
    """`open_store` or `open_async_store`, entered."""
    opened: list[ChatStore] = []

    def open_(path: Path, **options: Any) -> ChatStore:
        if request.param == "blocking":
            opened.append(open_store(path, **options))
        else:
            opened.append(blocking(open_async_store(path, **options)))
            opened[-1].__enter__()
        return opened[-1]

    yield open_
    for store in opened:
        store.close()
        if isinstance(store, Blocking):
            store.stop()
