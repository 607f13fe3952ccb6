"""The format `openai.responses`: an input item of OpenAI's Responses API.

An item is a message, or one of thirty other things, most of them without a role: those are the
assistant's, but for outputs, which are the tool's.
"""

from typing import Any

from chatstore.formats import chatstore
from chatstore.messages import Block, ChatMessage, text_block

NAME = "openai.responses"

_TEXTS = frozenset(("input_text", "output_text", "text", "refusal", "summary_text"))
_OUTPUT = "_output"
_CALL = "_call"
_SEALED = "__enc__"  # the mark of the items that the Agents SDK's `EncryptedSession` makes


def view(payload: dict[str, Any]) -> ChatMessage:
    """The message of an item; what is no block stands in `additional_kwargs`.

    Raises:
        ValueError: The payload is not an item.

    Example:
        >>> view({"type": "function_call_output", "call_id": "c1", "output": "21 C"})
        ChatMessage(role='tool', additional_kwargs={'tool_call_id': 'c1'},
            blocks=[{'block_type': 'text', 'text': '21 C'}], id=None, created_at=None)
    """
    kind = payload.get("type")
    if kind is None and payload.get(_SEALED) == 1:
        block = {"block_type": "encrypted", **_without(payload, _SEALED)}
        return ChatMessage(role="assistant", blocks=[block])
    if kind is None or kind == "message":
        return _message(payload)
    if not isinstance(kind, str) or not kind:
        raise ValueError("an item's type is a string")
    call_id = payload.get("call_id")
    if kind.endswith(_OUTPUT) and isinstance(call_id, str):
        return _output(payload, call_id)
    if kind.endswith(_CALL) and isinstance(call_id, str):
        block = _call(payload, kind, call_id)
    elif kind == "reasoning":
        block = _reasoning(payload)
    else:
        block = {"block_type": kind, **_without(payload, "type")}
    role = payload.get("role", "assistant")
    return ChatMessage(role=role, blocks=[block])


def _message(payload: dict[str, Any]) -> ChatMessage:
    if "role" not in payload:
        raise ValueError("an item has a role or a type")
    rest = _without(payload, "type", "role", "content")
    blocks = _content(payload.get("content"))
    return chatstore.view({"role": payload["role"], "additional_kwargs": rest, "blocks": blocks})


def _output(payload: dict[str, Any], call_id: str) -> ChatMessage:
    rest = _without(payload, "type", "call_id", "output")
    if payload["type"] != "function_call_output":
        rest["type"] = payload["type"]
    return ChatMessage(
        role="tool",
        blocks=_content(payload.get("output")),
        additional_kwargs={"tool_call_id": call_id, **rest},
    )


def _call(payload: dict[str, Any], kind: str, call_id: str) -> Block:
    given = next((payload[n] for n in ("arguments", "input", "action") if n in payload), None)
    name = payload.get("name")
    return {
        "block_type": "tool_call",
        "tool_call_id": call_id,
        "tool_name": name if isinstance(name, str) else kind.removesuffix(_CALL),
        "tool_kwargs": given if isinstance(given, str | dict) else {},
    }


def _reasoning(payload: dict[str, Any]) -> Block:
    parts = [*_content(payload.get("summary")), *_content(payload.get("content"))]
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    return {
        "block_type": "thinking",
        "content": "\n".join(texts) or None,
        "num_tokens": None,
        "additional_information": _without(payload, "type", "summary", "content"),
    }


def _content(content: Any) -> list[Block]:
    if content is None:
        return []
    if isinstance(content, str):
        return [text_block(content)]
    if isinstance(content, dict):
        return [{"block_type": str(content.get("type", "output")), **_without(content, "type")}]
    if not isinstance(content, list):
        raise ValueError("content is a string, a list of parts or null")
    return [_part(part) for part in content]


def _part(part: Any) -> Block:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise ValueError("a part of content has no type")
    kind = part["type"]
    text = part.get("text", part.get("refusal"))
    if kind in _TEXTS and isinstance(text, str):
        return text_block(text)
    if kind == "input_image" and isinstance(part.get("image_url"), str):
        image: Block = {"block_type": "image", "url": part["image_url"]}
        return image | _without(part, "type", "image_url")
    return {"block_type": kind, **_without(part, "type")}


def _without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}
