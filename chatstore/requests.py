"""From what callers pass to operations: every check and every encoding, once for both faces."""

import operator
from collections.abc import Sequence
from typing import Any

from chatstore import arguments, clock, codec
from chatstore import operations as ops
from chatstore.arguments import Expected
from chatstore.messages import Message
from chatstore.records import Conversation, Draft, Status


def add_message(
    key: str, message: Message, idx: int | None, expected: Expected, status: Status = "active"
) -> ops.Append | ops.Insert:
    """Append or insert one message."""
    key = arguments.check_key(key)
    if expected is not None:
        expected = arguments.check_expected(expected)
    draft = codec.encode(message, clock.now())
    if status != "active":
        (draft,) = _of_status([draft], status)
    if idx is None:
        return ops.Append(key, (draft,), expected)
    return ops.Insert(key, operator.index(idx), draft, expected)


def add_messages(
    key: str, messages: Sequence[Message], expected: Expected, status: Status = "active"
) -> ops.Append:
    """Append messages."""
    key, expected = arguments.check_key(key), arguments.check_expected(expected)
    drafts = _of_status(codec.encode_all(messages, clock.now()), status)
    return ops.Append(key, drafts, expected)


def set_messages(
    key: str, messages: Sequence[Message], expected: Expected, status: Status | None = None
) -> ops.Replace:
    """Replace a conversation, or its messages of a status."""
    key, expected = arguments.check_key(key), arguments.check_expected(expected)
    drafts = _of_status(codec.encode_all(messages, clock.now()), status or "active")
    return ops.Replace(key, drafts, expected, arguments.check_status(status))


def _of_status(drafts: list[Draft], status: Status) -> list[Draft]:
    if status == "active":
        return drafts
    if arguments.check_status(status) is None:
        raise ValueError("a new message has a status: 'active' or 'archived'")
    return [draft._replace(archived=True) for draft in drafts]


def update_message(key: str, idx: int, message: Message, expected: Expected) -> ops.Update:
    """Replace one message."""
    key, expected = arguments.check_key(key), arguments.check_expected(expected)
    return ops.Update(key, operator.index(idx), codec.encode(message, clock.now()), expected)


def delete_message(
    key: str, idx: int, expected: Expected, status: Status | None = None
) -> ops.DeleteAt:
    """Remove one message."""
    key, expected = arguments.check_key(key), arguments.check_expected(expected)
    return ops.DeleteAt(key, operator.index(idx), expected, arguments.check_status(status))


def delete_messages(key: str, expected: Expected, status: Status | None = None) -> ops.Delete:
    """Remove a conversation, or its messages of a status."""
    key, expected = arguments.check_key(key), arguments.check_expected(expected)
    return ops.Delete(key, expected, arguments.check_status(status))


def delete_oldest(key: str, n: int, expected: Expected) -> ops.DeleteOldest:
    """Remove the oldest active messages."""
    key, expected = arguments.check_key(key), arguments.check_expected(expected)
    return ops.DeleteOldest(key, arguments.check_count("n", n), expected)


def archive_messages(key: str, n: int, expected: Expected) -> ops.Archive:
    """Archive the oldest messages."""
    key, expected = arguments.check_key(key), arguments.check_expected(expected)
    return ops.Archive(key, arguments.check_count("n", n), expected)


def read(
    key: str, last: int | None, start: int | None, stop: int | None, status: Status | None
) -> ops.Read:
    """Read a window."""
    return ops.Read(arguments.check_key(key), arguments.window(last, start, stop, status))


def read_one(key: str, idx: int) -> ops.Read:
    """Read one message."""
    idx = operator.index(idx)
    window = arguments.Window(start=idx, stop=None if idx == -1 else idx + 1)
    return ops.Read(arguments.check_key(key), window)


def count_messages(key: str, status: Status | None) -> ops.Count:
    """Count messages."""
    return ops.Count(arguments.check_key(key), arguments.check_status(status))


def get_keys(prefix: str, after: str | None, limit: int | None) -> ops.ListKeys:
    """List keys."""
    limit = None if limit is None else arguments.check_count("limit", limit)
    after = None if after is None else arguments.check_prefix(after)
    return ops.ListKeys(arguments.check_prefix(prefix), after, limit)


def get_conversations(
    order: ops.Order, after: Conversation | str | None, limit: int | None, prefix: str
) -> ops.ListConversations:
    """List conversations."""
    arguments.check_order(order)
    if after is not None and not isinstance(after, Conversation):
        after = arguments.check_key(after)
    limit = None if limit is None else arguments.check_count("limit", limit)
    return ops.ListConversations(order, arguments.check_prefix(prefix), after, limit)


def get_conversation(key: str) -> ops.Describe:
    """Describe a conversation."""
    return ops.Describe(arguments.check_key(key))


def set_metadata(key: str, metadata: dict[str, Any], expected: Expected) -> ops.SetMetadata:
    """Replace metadata."""
    key, expected = arguments.check_key(key), arguments.check_expected(expected)
    return ops.SetMetadata(key, codec.encode_metadata(metadata), expected)


def set_ttl(key: str, ttl: float | None, expected: Expected) -> ops.SetTTL:
    """Set a ttl."""
    key, expected = arguments.check_key(key), arguments.check_expected(expected)
    return ops.SetTTL(key, arguments.ttl_in_us(ttl), expected)


def copy_conversation(key: str, to_key: str, stop: int | None) -> ops.Copy:
    """Fork a conversation."""
    stop = None if stop is None else operator.index(stop)
    if stop == 0:
        raise ValueError("stop=0 leaves nothing to copy; a conversation holds a message")
    return ops.Copy(arguments.check_key(key), arguments.check_key(to_key), stop)


def erase(key: str) -> ops.Erase:
    """Erase a conversation."""
    return ops.Erase(arguments.check_key(key))
