"""Connections that count: statements, steps of SQLite's machine."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


class Count:
    """What all connections did since `start`, oldest first; settings are left out."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.steps = 0
        self.connections = 0

    def start(self) -> None:
        self.statements.clear()
        self.steps = 0

    @property
    def words(self) -> list[str]:
        """The statements, each by its first word and the table that it is about."""
        return [_words(sql) for sql in self.statements]

    def note(self, sql: str) -> None:
        if not sql.lstrip().startswith("PRAGMA"):
            self.statements.append(sql)

    def step(self) -> None:
        self.steps += 1


def _words(sql: str) -> str:
    flat = " ".join(sql.split())
    table = re.search(r"(?:INTO|FROM|UPDATE) (?:chatstore_)?(\w+)", flat)
    verb = flat.split(" ")[0]
    if verb in {"INSERT", "UPDATE", "DELETE", "SELECT"} and table is not None:
        upsert = verb == "INSERT" and "ON CONFLICT" in flat
        return f"{'UPSERT' if upsert else verb} {table[1]}"
    return flat


@contextmanager
def counting(patch: pytest.MonkeyPatch, *, steps: bool = False) -> Iterator[Count]:
    """Every connection that is opened inside counts; its steps too if asked, which is slow."""
    count = Count()

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, *parameters: Any) -> Any:
            count.note(sql)
            return super().execute(sql, *parameters)

        def executemany(self, sql: str, *parameters: Any) -> Any:
            count.note(sql)
            return super().executemany(sql, *parameters)

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def execute(self, sql: str, *parameters: Any) -> Any:
            return self.cursor().execute(sql, *parameters)

        def executemany(self, sql: str, *parameters: Any) -> Any:
            return self.cursor().executemany(sql, *parameters)

    original = sqlite3.connect

    def connect(*args: Any, **options: Any) -> Any:
        count.connections += 1
        conn = original(*args, **{**options, "factory": Connection})
        if steps:
            conn.set_progress_handler(count.step, 1)
        return conn

    with patch.context() as patched:
        patched.setattr(sqlite3, "connect", connect)
        yield count
