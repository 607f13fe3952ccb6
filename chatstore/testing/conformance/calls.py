"""Every call that takes a key, by what it does."""

from collections.abc import Callable
from typing import Any

from chatstore import ChatMessage, ChatStore

Call = Callable[..., Any]


def _new() -> ChatMessage:
    return ChatMessage("new")


WRITES: dict[str, Call] = {
    "add_message": lambda store, key, **more: store.add_message(key, _new(), **more),
    "insert": lambda store, key, **more: store.add_message(key, _new(), 0, **more),
    "add_messages": lambda store, key, **more: store.add_messages(key, [_new()], **more),
    "add_archived": lambda store, key, **more: store.add_message(
        key, _new(), status="archived", **more
    ),
    "set_messages": lambda store, key, **more: store.set_messages(key, [_new()], **more),
    "set_active": lambda store, key, **more: store.set_messages(
        key, [_new()], status="active", **more
    ),
    "update_message": lambda store, key, **more: store.update_message(key, 0, _new(), **more),
    "delete_message": lambda store, key, **more: store.delete_message(key, 0, **more),
    "delete_last_message": lambda store, key, **more: store.delete_last_message(key, **more),
    "archive_messages": lambda store, key, **more: store.archive_messages(key, 1, **more),
    "set_metadata": lambda store, key, **more: store.set_metadata(key, {"new": 1}, **more),
    "set_ttl": lambda store, key, **more: store.set_ttl(key, 1000, **more),
}
"""Calls that change a conversation of two messages and leave it in existence.

Each takes `expected_revision`.
"""

REMOVALS: dict[str, Call] = {
    "delete_messages": lambda store, key, **more: store.delete_messages(key, **more),
    "set_messages_empty": lambda store, key, **more: store.set_messages(key, [], **more),
}
"""Calls that remove a conversation. Each takes `expected_revision`."""

IDLE: dict[str, Call] = {
    "add_messages": lambda store, key: store.add_messages(key, []),
    "update_message": lambda store, key: store.update_message(key, 99, _new()),
    "delete_message": lambda store, key: store.delete_message(key, -99),
    "archive_messages": lambda store, key: store.archive_messages(key, 0),
    "delete_archived": lambda store, key: store.delete_messages(key, status="archived"),
    "set_archived": lambda store, key: store.set_messages(key, [], status="archived"),
}
"""Calls that could write, and have nothing to do."""

READS: dict[str, Call] = {
    "get_messages": lambda store, key: store.get_messages(key),
    "get_messages_last": lambda store, key: store.get_messages(key, last=1),
    "get_messages_slice": lambda store, key: store.get_messages(key, start=0, stop=1),
    "get_records": lambda store, key: store.get_records(key),
    "get_message": lambda store, key: store.get_message(key, 0),
    "iter_messages": lambda store, key: list(store.iter_messages(key)),
    "count_messages": lambda store, key: store.count_messages(key),
    "get_conversation": lambda store, key: store.get_conversation(key),
}
"""Calls that read a conversation."""

OF_A_KEY: dict[str, Call] = {
    **WRITES,
    **REMOVALS,
    **READS,
    "copy_from": lambda store, key: store.copy_conversation(key, "elsewhere"),
    "copy_to": lambda store, key: store.copy_conversation("user1", key),
    "erase": lambda store, key: store.erase(key),
}
"""Every call that takes a key."""


def _of_all(name: str) -> Call:
    def call(store: ChatStore, key: str) -> Any:
        return getattr(store, name)()

    return call


EVERY: dict[str, Call] = {
    **OF_A_KEY,
    **{name: _of_all(name) for name in ("get_keys", "get_conversations", "purge_expired", "check")},
}
"""Every call but those that read and write files."""
