"""ShareGPT: `{"conversations": [{"from": "human", "value": …}, …]}`, in an array or in lines."""

import json
from typing import Any

from chatstore import json_text
from chatstore.importers.openai import name_of
from chatstore.importers.source import Source
from chatstore.importers.talks import Talk, Talks
from chatstore.messages import ChatMessage, text_block

NAME = "sharegpt"
SUMMARY = "ShareGPT conversations, a JSON array or JSONL"

ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "system": "system",
    "developer": "developer",
    "function_call": "assistant",
    "tool_call": "assistant",
    "observation": "tool",
    "tool": "tool",
    "function_response": "tool",
}
_PLAIN = frozenset(("human", "user", "gpt", "assistant", "system"))
_SHOWN = frozenset(("from", "value", "role", "content"))
_TAKEN = frozenset(("conversations", "system", "tools", "id"))


def recognise(first: Any) -> bool:
    """Whether the first row of a file is of this kind."""
    if not isinstance(first, dict) or not isinstance(first.get("conversations"), list):
        return False
    return bool(first["conversations"]) and all(
        isinstance(turn, dict) and isinstance(turn.get("from"), str) and "value" in turn
        for turn in first["conversations"]
    )


def read(source: Source, key_prefix: str | None) -> Talks:
    """The conversations, each under its `id`, or else under its place in the file."""
    for place, row in source.rows():
        if not isinstance(row, dict) or not isinstance(row.get("conversations"), list):
            source.fail(place, "has no list of conversations")
        messages: list[ChatMessage] = []
        if isinstance(row.get("system"), str) and row["system"]:
            messages.append(ChatMessage(row["system"], role="system"))
        call: str | None = None
        for turn_number, turn in enumerate(row["conversations"], 1):
            message, call = _message(source, f"{place}: turn {turn_number}", turn, call, messages)
            messages.append(message)
        rest = {
            name: row[name]
            for name in row
            if name not in ("conversations", "system", "tools", "id")
        }
        metadata: dict[str, Any] = {"source": {"format": NAME, "place": place, **rest}}
        if "tools" in row:
            metadata["tools"] = row["tools"]
        yield Talk(place, name_of(source, key_prefix, row.get("id"), place), messages, metadata)


def _message(
    source: Source, place: str, turn: Any, call: str | None, before: list[ChatMessage]
) -> tuple[ChatMessage, str | None]:
    """The message of a turn, and the tool call that the next turn may answer."""
    if not isinstance(turn, dict):
        source.fail(place, "is no object")
    speaker, value = turn.get("from", turn.get("role")), turn.get("value", turn.get("content"))
    role = ROLES.get(speaker) if isinstance(speaker, str) else None
    if role is None:
        source.fail(place, f"is from nobody known; known are {', '.join(sorted(ROLES))}")
    if not isinstance(value, str):
        source.fail(place, "has no text as its value")
    extra = {name: turn[name] for name in turn if name not in _SHOWN}
    if speaker not in _PLAIN:
        extra["from"] = speaker
    if speaker in ("function_call", "tool_call"):
        call = f"call_{len(before)}"
        return ChatMessage(role=role, blocks=[_call(value, call)], additional_kwargs=extra), call
    if role == "tool" and call is not None:
        return ChatMessage(
            value, role=role, additional_kwargs={"tool_call_id": call, **extra}
        ), call
    return ChatMessage(value, role=role, additional_kwargs=extra), None


def _call(value: str, id: str) -> dict[str, Any]:
    """The tool call in a turn's value; its plain text if it holds none, or none to be stored."""
    try:
        found = json.loads(value)
        json_text.dump(found, "value")  # such as NaN: no reason to refuse the whole file
    except (ValueError, RecursionError):
        return text_block(value)
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        return text_block(value)
    return {
        "block_type": "tool_call",
        "tool_call_id": id,
        "tool_name": found["name"],
        "tool_kwargs": found.get("arguments", found.get("parameters", {})),
        "source": value,
    }
