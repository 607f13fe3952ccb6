"""The conformance suite over SQLite, in files and in memory."""

import shutil
from pathlib import Path

import pytest

from chatstore import SQLChatStore
from chatstore.testing import AsyncTests, DurableTests, StoreTests
from tests import backends


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with our tables, for copying: to create them takes longer than most tests."""
    path = tmp_path_factory.mktemp("template") / "chat.db"
    SQLChatStore(path).close()
    return path


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
        return backends.SQLiteBackend(tmp_path / "chat.db")


class TestAsyncSQLiteFromNothing(DurableTests):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> backends.AsyncSQLiteBackend:
        return backends.AsyncSQLiteBackend(tmp_path / "chat.db")


class TestSQLiteMemory(StoreTests):
    @pytest.fixture
    def backend(self) -> backends.SQLiteMemoryBackend:
        return backends.SQLiteMemoryBackend()


class TestAsyncSQLiteMemory(StoreTests, AsyncTests):
    @pytest.fixture
    def backend(self) -> backends.AsyncSQLiteMemoryBackend:
        return backends.AsyncSQLiteMemoryBackend()
