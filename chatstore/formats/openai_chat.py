"""The format `openai.chat`: a message of OpenAI's chat completions."""

from typing import Any

from chatstore.messages import Block, ChatMessage, text_block

NAME = "openai.chat"

_SHOWN = frozenset(("role", "content", "tool_calls"))


def view(payload: dict[str, Any]) -> ChatMessage:
    """The message of a payload; what is no block stands in `additional_kwargs`.

    Raises:
        ValueError: The payload is not a message.

    Example:
        >>> view({"role": "tool", "content": "21 C", "tool_call_id": "call_1"}).additional_kwargs
        {'tool_call_id': 'call_1'}
    """
    blocks = [*_content(payload.get("content")), *map(_tool_call, payload.get("tool_calls") or ())]
    rest = {k: v for k, v in payload.items() if k not in _SHOWN and v is not None}
    return ChatMessage(role=payload.get("role"), blocks=blocks, additional_kwargs=rest)


def _content(content: Any) -> list[Block]:
    if content is None:
        return []
    if isinstance(content, str):
        return [text_block(content)]
    if not isinstance(content, list):
        raise ValueError("content is a string, a list of parts or null")
    return [text_block(part) if isinstance(part, str) else _part(part) for part in content]


def _part(part: Any) -> Block:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise ValueError("a part of content has no type")
    if part["type"] == "text" and isinstance(part.get("text"), str):
        return text_block(part["text"])
    if part["type"] == "image_url" and isinstance(part.get("image_url"), dict):
        return {"block_type": "image", **part["image_url"]}
    return {"block_type": part["type"], **{k: v for k, v in part.items() if k != "type"}}


def _tool_call(call: Any) -> Block:
    if not isinstance(call, dict):
        raise ValueError("a tool call is an object")
    function = call.get("function") or call.get("custom") or {}
    if not isinstance(function, dict):
        raise ValueError("a tool call's function is an object")
    return {
        "block_type": "tool_call",
        "tool_call_id": call.get("id"),
        "tool_name": function.get("name"),
        "tool_kwargs": function.get("arguments", function.get("input", {})),
    }
