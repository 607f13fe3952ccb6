"""Requests of Pydantic AI's, which hold parts of several roles, for those who read a role each."""

from chatstore.messages import ChatMessage
from chatstore.records import Record


def unfolded(message: ChatMessage) -> list[ChatMessage]:
    """The messages that one holds whose request had parts of several roles, or several results.

    Example:
        >>> [one.content for one in unfolded(ChatMessage("Hello"))]
        ['Hello']
    """
    parts = message.additional_kwargs.get("parts")
    if not isinstance(parts, list) or not all(_is_message(part) for part in parts):
        return [message]
    try:
        return [ChatMessage(**part, created_at=message.created_at) for part in parts] or [message]
    except (ValueError, TypeError):
        return [message]


def said(record: Record) -> list[ChatMessage]:
    """The view of a record, or of a request of Pydantic AI's the views of its parts."""
    return unfolded(record.message)


def without_last_part(message: ChatMessage) -> ChatMessage:
    """The message without the last of its parts, of which it has several."""
    *kept, _ = message.additional_kwargs["parts"]
    extra = {**kept[0]["additional_kwargs"], "parts": kept}
    blocks = [block for part in kept for block in part["blocks"]]
    return ChatMessage(role=kept[0]["role"], blocks=blocks, additional_kwargs=extra)


def _is_message(part: object) -> bool:
    # Exactly as the view makes it: others may have parts of their own.
    return isinstance(part, dict) and part.keys() == {"role", "blocks", "additional_kwargs"}
