"""What Claude exports: `conversations.json`, or the zip archive with it."""

from typing import Any

from chatstore.importers.source import Source
from chatstore.importers.talks import Talk, Talks, moment
from chatstore.messages import Block, ChatMessage, text_block

NAME = "claude"
SUMMARY = "Claude's export: conversations.json, or the zip archive"

_ROLES = {"human": "user", "assistant": "assistant"}
_KEPT = ("summary", "model", "project_uuid", "is_starred")
_ATTACHED = ("attachments", "files", "files_v2")


def recognise(first: Any) -> bool:
    """Whether the first row of a file is of this kind."""
    return isinstance(first, dict) and isinstance(first.get("chat_messages"), list)


def read(source: Source, key_prefix: str | None) -> Talks:
    """The conversations, each under its uuid, along the branch that was open last."""
    for place, row in source.rows():
        if not recognise(row):
            source.fail(place, "has no list of chat_messages")
        if not isinstance(row.get("uuid"), str):
            source.fail(place, "has no uuid")
        try:
            messages = [_message(message) for message in _thread(row)]
            began, ended = moment(row.get("created_at")), moment(row.get("updated_at"))
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            source.fail(place, f"is not as Claude writes it ({type(error).__name__})")
        metadata: dict[str, Any] = {
            "source": {"format": NAME, **{name: row[name] for name in _KEPT if row.get(name)}}
        }
        if row.get("name"):
            metadata["title"] = row["name"]
        yield Talk(place, f"{key_prefix or ''}{row['uuid']}", messages, metadata, began, ended)


def _thread(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The branch that ends at the current leaf, if the file tells one; else all, in order."""
    messages: list[dict[str, Any]] = row["chat_messages"]
    by_id = {message["uuid"]: message for message in messages}
    leaf = row.get("current_leaf_message_uuid")
    if leaf not in by_id:
        return messages
    thread: list[dict[str, Any]] = []
    while leaf in by_id:
        message = by_id.pop(leaf)
        thread.append(message)
        leaf = message.get("parent_message_uuid")
    return thread[::-1]


def _message(message: dict[str, Any]) -> ChatMessage:
    blocks = [_block(part) for part in message.get("content") or []]
    if not blocks and message.get("text"):
        blocks = [text_block(message["text"])]
    return ChatMessage(
        role=_ROLES[message["sender"]],
        blocks=blocks,
        additional_kwargs={name: message[name] for name in _ATTACHED if message.get(name)},
        id=message["uuid"],
        created_at=moment(message.get("created_at")),
    )


def _block(part: dict[str, Any]) -> Block:
    kind = part["type"]
    if kind == "text":
        return text_block(part["text"])
    if kind == "thinking":
        return {"block_type": "thinking", "content": part.get("thinking", "")}
    if kind == "tool_use":
        return {
            "block_type": "tool_call",
            "tool_call_id": part.get("id"),
            "tool_name": part.get("name"),
            "tool_kwargs": part.get("input") or {},
        }
    rest = {name: value for name, value in part.items() if name != "type"}
    return {"block_type": kind, **rest}
