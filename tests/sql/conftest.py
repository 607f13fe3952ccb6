"""Databases for the tests of this folder, each closed at the end."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatstore.sql.engine.sqlite.database import SQLiteDatabase
from tests.sql.ledger import ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@pytest.fixture
def opened() -> Iterator[Callable[..., SQLiteDatabase]]:
    """Opens databases with the ledger's tables."""
    all_opened: list[SQLiteDatabase] = []

    def open_it(target: Any, **options: Any) -> SQLiteDatabase:
        database = ledger(target, **options)
        all_opened.append(database)
        return database

    yield open_it
    for database in all_opened:
        database.close()


@pytest.fixture
def database(path: Path, opened: Callable[..., SQLiteDatabase]) -> SQLiteDatabase:
    return opened(path)
