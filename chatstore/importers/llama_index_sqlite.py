"""LlamaIndex's `SQLiteChatStore`, of which the tables are called `data_…`."""

from typing import Any

from chatstore.formats import chatstore
from chatstore.importers import tables
from chatstore.importers.source import Source
from chatstore.importers.talks import Talks
from chatstore.messages import NativeMessage

NAME = "llama-index-sqlite"
SUMMARY = "the SQLite file of LlamaIndex's SQLiteChatStore"
SHAPE = tables.Shape(("key", "id", "value"), ("id",), "data_")


def recognise(first: Any) -> bool:  # noqa: ARG001
    """A file of rows is never of this kind."""
    return False


def read(source: Source, key_prefix: str | None) -> Talks:
    """The conversations, each under its key."""

    def make(row: Any) -> tables.Made:
        return NativeMessage(chatstore.NAME, tables.parsed(source, row[2])), False

    return tables.talks(source, key_prefix, NAME, SHAPE, make)
