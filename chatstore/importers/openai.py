"""OpenAI's fine-tuning files: a line per conversation, `{"messages": […], "tools": […]}`."""

from typing import Any

from chatstore.formats import openai_chat
from chatstore.importers.source import Source
from chatstore.importers.talks import Talk, Talks
from chatstore.messages import NativeMessage

NAME = "openai"
SUMMARY = "OpenAI fine-tuning JSONL; messages are kept in their own JSON (openai.chat)"


def recognise(first: Any) -> bool:
    """Whether the first row of a file is of this kind."""
    if not isinstance(first, dict) or not isinstance(first.get("messages"), list):
        return False
    return bool(first["messages"]) and all(
        isinstance(message, dict) and isinstance(message.get("role"), str)
        for message in first["messages"]
    )


def read(source: Source, key_prefix: str | None) -> Talks:
    """The conversations, each under its `id`, or else under its place in the file."""
    for place, row in source.rows():
        if not isinstance(row, dict) or not isinstance(row.get("messages"), list):
            source.fail(place, "has no list of messages")
        for message in row["messages"]:
            if not isinstance(message, dict):
                source.fail(place, "holds a message that is no object")
        rest = {name: row[name] for name in row if name not in ("messages", "tools", "id")}
        metadata: dict[str, Any] = {"source": {"format": NAME, "place": place, **rest}}
        if "tools" in row:
            metadata["tools"] = row["tools"]
        messages = [NativeMessage(openai_chat.NAME, message) for message in row["messages"]]
        yield Talk(place, name_of(source, key_prefix, row.get("id"), place), messages, metadata)


def name_of(source: Source, key_prefix: str | None, id: Any, place: str) -> str:
    """The key of a row: its id, or else the file's name with the number of the line or item."""
    if isinstance(id, str | int) and not isinstance(id, bool) and id != "":
        return f"{key_prefix or ''}{id}"
    prefix = f"{source.stem}:" if key_prefix is None else key_prefix
    return f"{prefix}{int(place.rpartition(' ')[2]):06}"
