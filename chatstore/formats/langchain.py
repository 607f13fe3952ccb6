"""The format `langchain`: `{"type", "data"}`, as LangChain's `message_to_dict` makes it.

`types`, if it is there, notes what JSON cannot say (as in the format `llama_index`); it is of use
to the adapter only.
"""

from typing import Any

from chatstore.formats import chatstore
from chatstore.messages import Block, ChatMessage, is_role, text_block

NAME = "langchain"

_ROLES = {"human": "user", "ai": "assistant", "remove": "assistant"}
_CHUNK = "MessageChunk"
_SHOWN = frozenset(
    (
        "type",
        "role",
        "content",
        "tool_calls",
        "invalid_tool_calls",
        "tool_call_chunks",
        "additional_kwargs",
    )
)
_THINKING = frozenset(("thinking", "reasoning"))


def view(payload: dict[str, Any]) -> ChatMessage:
    """The message of a payload; what is no block stands in `additional_kwargs`.

    Raises:
        ValueError: The payload is not a message.

    Example:
        >>> view({"type": "human", "data": {"content": "Hello"}}).content
        'Hello'
    """
    kind, data = payload.get("type"), payload.get("data")
    if not isinstance(kind, str) or not isinstance(data, dict):
        raise ValueError("the payload has no type or no data")
    kind = kind.removesuffix(_CHUNK).lower()
    role = data.get("role") if kind == "chat" else _ROLES.get(kind, kind)
    calls = [_call(call) for call in _dicts(data, "tool_calls")]
    calls += [_call(call) for call in _dicts(data, "invalid_tool_calls")]
    blocks = _content(data.get("content"))
    if calls:
        ids = {call["tool_call_id"] for call in calls}
        blocks = [block for block in blocks if not _is_shown(block, ids)]
    extra = data.get("additional_kwargs")
    rest = dict(extra) if isinstance(extra, dict) else {}
    if calls:
        rest.pop("tool_calls", None)  # the same calls, as OpenAI said them
    rest |= {k: v for k, v in data.items() if k not in _SHOWN and v not in (None, {}, [])}
    if not is_role(role):
        role = "assistant"  # any text is a role there; the payload keeps it
    return chatstore.view({"role": role, "additional_kwargs": rest, "blocks": [*blocks, *calls]})


def _dicts(data: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = data.get(name) or []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ValueError(f"{name} is a list of objects")
    return found


def _call(call: dict[str, Any]) -> Block:
    given = call.get("args")
    return {
        "block_type": "tool_call",
        "tool_call_id": call.get("id"),
        "tool_name": call.get("name") or "",
        "tool_kwargs": given if isinstance(given, str | dict) else {},
    }


def _is_shown(block: Block, ids: set[Any]) -> bool:
    """Whether a part of the content is a call that `tool_calls` holds too."""
    kind = block["block_type"]
    name = {"tool_use": "id", "tool_call": "id", "function_call": "call_id"}.get(kind)
    return name is not None and block.get(name) in ids


def _content(content: Any) -> list[Block]:
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [text_block(content)]
    if not isinstance(content, list):
        raise ValueError("content is a string or a list of parts")
    return [text_block(part) if isinstance(part, str) else _part(part) for part in content]


def _part(part: Any) -> Block:
    if not isinstance(part, dict):
        raise ValueError("a part of content is a string or an object")
    kind = part.get("type")
    rest = {name: value for name, value in part.items() if name != "type"}
    if not isinstance(kind, str):
        return {"block_type": "unknown", **rest}
    if kind == "text" and isinstance(part.get("text"), str):
        return text_block(part["text"])
    if kind == "image_url":
        where = part.get("image_url")
        url = where.get("url") if isinstance(where, dict) else where
        if isinstance(url, str):
            return {"block_type": "image", "url": url}
    if kind in _THINKING:
        text = part.get("thinking", part.get("reasoning"))
        if isinstance(text, str):
            info = {n: v for n, v in rest.items() if n not in _THINKING}
            return {
                "block_type": "thinking",
                "content": text,
                "num_tokens": None,
                "additional_information": info,
            }
    return {**rest, "block_type": kind}
