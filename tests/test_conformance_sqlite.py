"""The conformance suite over SQLite, in files and in memory."""

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from chatstore import SQLChatStore
from chatstore.sql.engine.sqlite import connector
from chatstore.testing import AsyncTests, DurableTests, StoreTests
from tests import backends


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with our tables, for copying: to create them takes longer than most tests."""
    path = tmp_path_factory.mktemp("template") / "chat.db"
    SQLChatStore(path).close()
    return path


@pytest.fixture
def filled(template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every database in memory begin as a copy of the template, for the same reason."""
    connect = connector._driver_connect

    def connect_filled(database: str) -> sqlite3.Connection:
        conn = connect(database)
        if database == ":memory:":
            with contextlib.closing(sqlite3.connect(template)) as source:
                source.backup(conn)
        return conn

    monkeypatch.setattr(connector, "_driver_connect", connect_filled)


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(template, tmp_path))


class TestSQLite(StoreTests):
    @pytest.fixture
    def backend(self, path: Path) -> backends.SQLiteBackend:
        return backends.SQLiteBackend(path)


class TestAsyncSQLite(StoreTests, AsyncTests):
    @pytest.fixture
    def backend(self, path: Path) -> backends.AsyncSQLiteBackend:
        return backends.AsyncSQLiteBackend(path)


class TestSQLiteFromNothing(DurableTests):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> backends.SQLiteBackend:
        return backends.SQLiteBackend(tmp_path / "chat.db", "full")


class TestAsyncSQLiteFromNothing(DurableTests):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> backends.AsyncSQLiteBackend:
        return backends.AsyncSQLiteBackend(tmp_path / "chat.db", "full")


@pytest.mark.usefixtures("filled")
class TestSQLiteMemory(StoreTests):
    @pytest.fixture
    def backend(self) -> backends.SQLiteMemoryBackend:
        return backends.SQLiteMemoryBackend()


@pytest.mark.usefixtures("filled")
class TestAsyncSQLiteMemory(StoreTests, AsyncTests):
    @pytest.fixture
    def backend(self) -> backends.AsyncSQLiteMemoryBackend:
        return backends.AsyncSQLiteMemoryBackend()
