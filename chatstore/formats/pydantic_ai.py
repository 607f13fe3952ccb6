"""The format `pydantic_ai`: a `ModelRequest` or a `ModelResponse`, as Pydantic AI's JSON has it.

A request may hold parts of several roles, and several tool results, where a view has one role: it
is the tool's if it has results, else the user's, else the system's. `additional_kwargs["parts"]`
then lists all parts in their order, a message each.
"""

from typing import Any

from chatstore import json_text
from chatstore.messages import Block, ChatMessage, text_block

NAME = "pydantic_ai"

_RESULTS = frozenset(("tool-return", "builtin-tool-return"))
_CALLS = frozenset(("tool-call", "builtin-tool-call"))
_SYSTEM = frozenset(("system-prompt", "instruction"))
_RETRIES = frozenset(("retry-prompt", "retry-feedback"))
_URLS = {
    "image-url": "image",
    "audio-url": "audio",
    "video-url": "video",
    "document-url": "document",
}


def view(payload: dict[str, Any]) -> ChatMessage:
    """The message of a payload; what is no block stands in `additional_kwargs`.

    Raises:
        ValueError: The payload is not a message.

    Example:
        >>> part = {"part_kind": "user-prompt", "content": "Hello"}
        >>> view({"kind": "request", "parts": [part]}).content
        'Hello'
    """
    kind, parts = payload.get("kind"), payload.get("parts")
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise ValueError("the payload has no list of parts")
    rest = {k: v for k, v in payload.items() if k not in ("kind", "parts") and _says(v)}
    if kind == "response":
        blocks = [_of_response(part) for part in parts]
        return ChatMessage(role="assistant", blocks=blocks, additional_kwargs=rest)
    if kind != "request":
        raise ValueError("the payload's kind is neither request nor response")
    return _request([_of_request(part) for part in parts], rest)


def _request(said: list[dict[str, Any]], rest: dict[str, Any]) -> ChatMessage:
    roles = [one["role"] for one in said]
    role = next((role for role in ("tool", "user", "system") if role in roles), "user")
    mine = [one for one in said if one["role"] == role]
    extra: dict[str, Any] = {}
    if role == "tool":
        extra["tool_call_id"] = mine[0]["additional_kwargs"]["tool_call_id"]
    if len(said) > 1:
        extra["parts"] = said
    blocks = [block for one in mine for block in one["blocks"]]
    return ChatMessage(role=role, blocks=blocks, additional_kwargs=extra | rest)


def _of_request(part: dict[str, Any]) -> dict[str, Any]:
    """A part as the fields of a message."""
    kind = _kind(part)
    content = part.get("content")
    call = part.get("tool_call_id")
    if kind in _RESULTS or (kind in _RETRIES and part.get("tool_name") is not None):
        role, blocks = "tool", [text_block(_text(content))]
    elif kind in _SYSTEM:
        role, blocks = "system", [text_block(_text(content))]
    elif kind == "user-prompt":
        items = content if isinstance(content, list) else [content]
        role, blocks = "user", [_item(item) for item in items if item is not None]
    elif kind in _RETRIES:
        role, blocks = "user", [text_block(_text(content))]
    else:
        role, blocks = "system", [{"block_type": kind, **_without(part, "part_kind")}]
    extra = {"tool_call_id": call if isinstance(call, str) else None} if role == "tool" else {}
    return {"role": role, "blocks": blocks, "additional_kwargs": extra}


def _of_response(part: dict[str, Any]) -> Block:
    kind, content = _kind(part), part.get("content")
    if kind == "text" and isinstance(content, str):
        return text_block(content)
    if kind == "thinking" and isinstance(content, str):
        info = {k: v for k, v in _without(part, "part_kind", "content").items() if _says(v)}
        return {
            "block_type": "thinking",
            "content": content,
            "num_tokens": None,
            "additional_information": info,
        }
    if kind in _CALLS:
        given = part.get("args")
        return {
            "block_type": "tool_call" if kind == "tool-call" else kind,
            "tool_call_id": part.get("tool_call_id"),
            "tool_name": part.get("tool_name") or "",
            "tool_kwargs": given if isinstance(given, str | dict) else {},
        }
    return {"block_type": kind, **_without(part, "part_kind")}


def _item(item: Any) -> Block:
    """A part of what a user said."""
    if isinstance(item, str):
        return text_block(item)
    if not isinstance(item, dict) or not isinstance(item.get("kind"), str):
        raise ValueError("a part of a prompt has no kind")
    kind = item["kind"]
    if kind == "text-content" and isinstance(item.get("content"), str):
        return text_block(item["content"])
    if kind in _URLS and isinstance(item.get("url"), str):
        return {"block_type": _URLS[kind], "url": item["url"]}
    return {**_without(item, "kind"), "block_type": kind}


def _kind(part: dict[str, Any]) -> str:
    kind = part.get("part_kind")
    if not isinstance(kind, str):
        raise ValueError("a part has no part_kind")
    return kind


def _text(content: Any) -> str:
    return content if isinstance(content, str) else json_text.encode(content)


def _says(value: Any) -> bool:
    return value not in (None, {}, [])


def _without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}
