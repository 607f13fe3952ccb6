"""What is wrong with what is stored, in sentences, for the `check()` of every store."""

from chatstore import json_text
from chatstore.codec import decode
from chatstore.derived import derive
from chatstore.messages import UndecodableMessage
from chatstore.records import Row


def of_message(key: str, row: Row) -> list[str]:
    """What is wrong with a stored message."""
    message = decode(row)
    if isinstance(message, UndecodableMessage):
        return [f"{key!r}: the message {row.record_id!r} cannot be decoded: {message.error}"]
    if message.created_at is None:
        return [f"{key!r}: the time of message {row.record_id!r} is no time"]
    kind, calls = derive(message)
    texts = (row.id, row.format, row.payload)
    if not all(text is None or isinstance(text, str) for text in texts):
        return [f"{key!r}: a column of message {row.record_id!r} is no text"]
    if (row.role, row.kind, row.tool_call_ids) != (message.role, kind, calls):
        return [f"{key!r}: the columns of message {row.record_id!r} do not fit its payload"]
    return []


def of_state(key: str, body: str, parted: str | None) -> list[str]:
    """What is wrong with what an adapter keeps beside a conversation."""
    for name, text in (("body", body), ("parted", parted or "null")):
        try:
            json_text.load(text)
        except ValueError:
            return [f"{key!r}: the {name} of the state beside it is no JSON"]
    return []
