"""The `SQLiteSession` of the OpenAI Agents SDK."""

from typing import Any

from chatstore.formats import openai_responses
from chatstore.importers import tables
from chatstore.importers.source import Source
from chatstore.importers.talks import Talks, moment
from chatstore.messages import NativeMessage

NAME = "openai-agents-sqlite"
SUMMARY = "the SQLite file of the OpenAI Agents SDK's SQLiteSession"
SHAPE = tables.Shape(("session_id", "id", "message_data", "created_at"), ("id",))


def recognise(first: Any) -> bool:  # noqa: ARG001
    """A file of rows is never of this kind."""
    return False


def read(source: Source, key_prefix: str | None) -> Talks:
    """The conversations, each under its session id; order is that of storing."""

    def make(row: Any) -> tables.Made:
        item = tables.parsed(source, row[2])
        return NativeMessage(openai_responses.NAME, item, created_at=moment(row[3])), False

    return tables.talks(source, key_prefix, NAME, SHAPE, make)
