"""What ChatGPT exports: `conversations.json`, or the zip archive with it."""

from typing import Any

from chatstore.importers.source import Source
from chatstore.importers.talks import Talk, Talks, moment
from chatstore.messages import Block, ChatMessage, text_block

NAME = "chatgpt"
SUMMARY = "ChatGPT's export: conversations.json, or the zip archive"

_KEPT = ("create_time", "update_time", "default_model_slug", "gizmo_id", "is_archived")


def recognise(first: Any) -> bool:
    """Whether the first row of a file is of this kind."""
    return isinstance(first, dict) and isinstance(first.get("mapping"), dict)


def read(source: Source, key_prefix: str | None) -> Talks:
    """The conversations, each under its id, along the branch that was open last."""
    for place, row in source.rows():
        if not recognise(row):
            source.fail(place, "has no mapping of messages")
        id = row.get("conversation_id") or row.get("id")
        if not isinstance(id, str):
            source.fail(place, "has no conversation_id")
        try:
            shown = [node["message"] for node in _thread(row) if _is_shown(node.get("message"))]
            messages = [_message(message) for message in shown]
            began, ended = moment(row.get("create_time")), moment(row.get("update_time"))
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            source.fail(place, f"is not as ChatGPT writes it ({type(error).__name__})")
        metadata: dict[str, Any] = {
            "source": {"format": NAME, **{name: row[name] for name in _KEPT if row.get(name)}}
        }
        if row.get("title"):
            metadata["title"] = row["title"]
        yield Talk(place, f"{key_prefix or ''}{id}", messages, metadata, began, ended)


def _thread(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes from the root to the current one; siblings are edits and retries."""
    mapping = row["mapping"]
    node_id = row.get("current_node")
    if node_id not in mapping:
        leaves = [id for id, node in mapping.items() if not node.get("children")]
        node_id = leaves[-1] if leaves else None
    thread: list[dict[str, Any]] = []
    seen: set[Any] = set()
    while node_id in mapping and node_id not in seen:
        seen.add(node_id)
        thread.append(mapping[node_id])
        node_id = mapping[node_id].get("parent")
    return thread[::-1]


def _is_shown(message: dict[str, Any] | None) -> bool:
    if message is None or message.get("weight") == 0:
        return False
    facts = message.get("metadata") or {}
    if facts.get("is_visually_hidden_from_conversation"):
        return False
    role = message["author"]["role"]
    if role == "system":
        return bool(facts.get("is_user_system_message"))
    return not (role == "assistant" and message.get("recipient") not in (None, "all"))


def _message(message: dict[str, Any]) -> ChatMessage:
    facts = message.get("metadata") or {}
    extra = {"model": facts.get("model_slug"), "name": message["author"].get("name")}
    return ChatMessage(
        role=message["author"]["role"],
        blocks=_blocks(message.get("content") or {}),
        additional_kwargs={name: value for name, value in extra.items() if value},
        id=message["id"],
        created_at=moment(message.get("create_time")),
    )


def _blocks(content: dict[str, Any]) -> list[Block]:
    kind = content.get("content_type", "text")
    if isinstance(content.get("parts"), list):
        return [_part(part) for part in content["parts"] if part]
    if kind == "thoughts":
        thoughts = content.get("thoughts") or []
        return [{"block_type": "thinking", "content": one.get("content", "")} for one in thoughts]
    for name in ("text", "result", "content"):
        if isinstance(content.get(name), str):
            return [text_block(content[name])]
    rest = {name: value for name, value in content.items() if name != "content_type"}
    return [{"block_type": kind, **rest}]


def _part(part: Any) -> Block:
    if isinstance(part, str):
        return text_block(part)
    if isinstance(part.get("text"), str):
        return text_block(part["text"])
    rest = {name: value for name, value in part.items() if name != "content_type"}
    return {"block_type": part.get("content_type", "part"), **rest}
