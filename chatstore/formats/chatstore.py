"""The format `chatstore`: a message in LlamaIndex's JSON shape, which is ours too."""

from typing import Any

from chatstore import json_text
from chatstore.messages import TEXT, ChatMessage

NAME = "chatstore"

_FIELDS = frozenset(("role", "additional_kwargs", "blocks"))
_OUTSIDE = frozenset(("id", "created_at"))  # kept in columns, never in the payload
_set = object.__setattr__


def payload(message: ChatMessage) -> str:
    """The message as JSON text, without its id and its time.

    Raises:
        NotJSONError: It holds what JSON cannot hold; the text names the path.
    """
    blocks = message.blocks
    if len(blocks) == 1 and not message.additional_kwargs and not message.__pydantic_extra__:
        block = blocks[0]
        if len(block) == 2 and block.get("block_type") == TEXT and type(block.get("text")) is str:
            # What nearly every message is. Said outright, for a general encoder costs four times
            # as much; it must stay equal to what the lines below would write.
            return (
                f'{{"role":{json_text.quote(message.role)},"additional_kwargs":{{}},'
                f'"blocks":[{{"block_type":"text","text":{json_text.quote(block["text"])}}}]}}'
            )
    fields = {
        "role": message.role,
        "additional_kwargs": message.additional_kwargs,
        "blocks": message.blocks,
        **{k: v for k, v in (message.__pydantic_extra__ or {}).items() if k not in _OUTSIDE},
    }
    return json_text.dump(fields, "message")


def view(payload: dict[str, Any]) -> ChatMessage:
    """The message of a payload. It takes the payload's own dicts and lists.

    Raises:
        ValueError: The payload is not a message.
    """
    if payload.keys() == _FIELDS:
        role, extra, blocks = payload["role"], payload["additional_kwargs"], payload["blocks"]
        if type(role) is str and role and type(extra) is dict and _all_typed(blocks):
            return _assemble(payload)
    return ChatMessage(**payload)


def _all_typed(blocks: Any) -> bool:
    if type(blocks) is not list:
        return False
    for block in blocks:
        if type(block) is not dict or type(block.get("block_type")) is not str:
            return False
    return True


def _assemble(fields: dict[str, Any]) -> ChatMessage:
    # The fields were checked just now, so pydantic's own pass over them, which is most of what
    # a read costs, would find nothing.
    message = ChatMessage.__new__(ChatMessage)
    fields["id"] = None
    fields["created_at"] = None
    _set(message, "__dict__", fields)
    _set(message, "__pydantic_fields_set__", set(_FIELDS))
    _set(message, "__pydantic_extra__", {})
    _set(message, "__pydantic_private__", None)
    return message
