"""The format `chatstore`: a message in LlamaIndex's JSON shape, which is ours too."""

from typing import Any

from chatstore import json_text
from chatstore.messages import TEXT, ChatMessage, is_role

NAME = "chatstore"

_FIELDS = frozenset(("role", "additional_kwargs", "blocks"))
_OUTSIDE = frozenset(("id", "created_at"))  # kept in columns, never in the payload
_ROLES = {role: f'"{role}"' for role in ("user", "assistant", "system", "tool")}
"""The usual ones, which need no look and no encoder."""
_set = object.__setattr__


def payload(message: ChatMessage) -> str:
    """The message as JSON text, without its id and its time.

    Raises:
        NotJSONError: It holds what JSON cannot hold, or was changed into no message; the text
            begins with the path behind the message.
    """
    if type(message) is ChatMessage and not message.__pydantic_extra__:
        # What nearly every message is: one text. Said outright, for a general encoder costs four
        # times as much; it must stay equal to what the lines below would write. Whatever is odd
        # about it is left to them.
        rest, blocks = message.additional_kwargs, message.blocks
        if (
            type(rest) is dict
            and type(blocks) is list
            and len(blocks) == 1
            and type(block := blocks[0]) is dict
            and len(block) == 2
            and block.get("block_type") == TEXT
            and type(text := block.get("text")) is str
        ):
            if not text.isascii():
                json_text.check_text(text, ".blocks[0].text")
            role = message.role
            quoted = _ROLES.get(role) if type(role) is str else None
            if quoted is None:
                _check(message)
                quoted = json_text.quote(role)
            more = json_text.dump(rest, ".additional_kwargs", 1) if rest else "{}"
            return (
                f'{{"role":{quoted},"additional_kwargs":{more},'
                f'"blocks":[{{"block_type":"text","text":{json_text.quote(text)}}}]}}'
            )
    _check(message)
    fields = {name: getattr(message, name) for name in type(message).model_fields}
    fields |= message.__pydantic_extra__ or {}
    if "content" in fields:  # no reader could tell which of the two counts
        raise json_text.NotJSONError(".content stands beside .blocks; leave one of them out")
    return json_text.dump({k: v for k, v in fields.items() if k not in _OUTSIDE}, "")


def _check(message: ChatMessage) -> None:
    # Fields can be set to anything after a message was made; what is stored must be readable.
    if not is_role(message.role):
        raise json_text.NotJSONError(".role is no text, empty, or holds half a character")
    extra: object = message.additional_kwargs
    blocks: object = message.blocks
    if not isinstance(extra, dict):
        raise json_text.NotJSONError(".additional_kwargs is no dict")
    if not isinstance(blocks, list):
        raise json_text.NotJSONError(".blocks is no list")
    for place, block in enumerate(blocks):
        if not isinstance(block, dict) or not isinstance(block.get("block_type"), str):
            raise json_text.NotJSONError(f".blocks[{place}] is no dict with a block_type")


def view(payload: dict[str, Any]) -> ChatMessage:
    """The message of a payload. It takes the payload's own dicts and lists.

    Raises:
        ValueError: The payload is not a message.
    """
    if payload.keys() == _FIELDS:
        role, extra, blocks = payload["role"], payload["additional_kwargs"], payload["blocks"]
        if type(role) is str and is_role(role) and type(extra) is dict and _all_typed(blocks):
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
