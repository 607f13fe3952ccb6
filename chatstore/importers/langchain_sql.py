"""LangChain's `SQLChatMessageHistory`, of which the table is mostly called `message_store`."""

from typing import Any

from chatstore.formats import langchain
from chatstore.importers import tables
from chatstore.importers.source import Source
from chatstore.importers.talks import Talks
from chatstore.messages import NativeMessage

NAME = "langchain-sql"
SUMMARY = "LangChain's SQLChatMessageHistory: a SQLite file, or the URL of a database"
SHAPE = tables.Shape(("session_id", "id", "message"), ("id",))


def recognise(first: Any) -> bool:  # noqa: ARG001
    """A file of rows is never of this kind."""
    return False


def read(source: Source, key_prefix: str | None) -> Talks:
    """The conversations, each under its session id."""

    def make(row: Any) -> tables.Made:
        return NativeMessage(langchain.NAME, tables.parsed(source, row[2])), False

    return tables.talks(source, key_prefix, NAME, SHAPE, make)
