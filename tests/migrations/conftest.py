"""A file of each released schema, and databases over them that are closed in the end."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from chatstore.sql import schema
from chatstore.sql.engine import Database, open_database
from tests.migrations.support import FIRST, load

Open = Callable[..., Database]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a database may be; there is none yet."""
    return tmp_path / "chat.db"


@pytest.fixture
def old(path: Path) -> Path:
    """A file that the first version left."""
    return load(FIRST, path)


@pytest.fixture(params=schema.REVISIONS)
def released(request: pytest.FixtureRequest, path: Path) -> Path:
    """A file of each version."""
    return load(request.param, path)


@pytest.fixture
def open_() -> Iterator[Open]:
    with ExitStack() as stack:

        def enter(path: Path, **options: object) -> Database:
            return stack.enter_context(closing(open_database(path, **options)))  # type: ignore[arg-type]

        yield enter
