"""What LlamaIndex's `Memory` keeps in SQLite: the table of its `SQLAlchemyChatStore`."""

from typing import Any

from chatstore import clock
from chatstore.formats import chatstore
from chatstore.importers import tables
from chatstore.importers.source import Source
from chatstore.importers.talks import Talks
from chatstore.messages import NativeMessage

NAME = "llama-index-memory"
SUMMARY = "LlamaIndex's Memory (SQLAlchemyChatStore): a SQLite file, or the URL of a database"
SHAPE = tables.Shape(("key", "id", "timestamp", "role", "status", "data"), ("timestamp", "id"))


def recognise(first: Any) -> bool:  # noqa: ARG001
    """A file of rows is never of this kind."""
    return False


def read(source: Source, key_prefix: str | None) -> Talks:
    """The conversations, each under its key, in LlamaIndex's own order; archived ones stay so."""

    def make(row: Any) -> tables.Made:
        _, _, nanoseconds, _, status, data = row
        if status not in ("active", "archived"):
            raise ValueError("no such status")
        created_at = clock.show(nanoseconds // 1000)
        message = NativeMessage(chatstore.NAME, tables.parsed(source, data), created_at=created_at)
        return message, status == "archived"

    return tables.talks(source, key_prefix, NAME, SHAPE, make)
