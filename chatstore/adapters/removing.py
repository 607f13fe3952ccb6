"""Removing messages, and getting back what was put in.

The public calls that remove a message return a view of it, and adapters owe their callers the
record. These are the same operations as the public calls make, and two that count the active
messages only; their rows are made into records.
"""

from chatstore import codec, requests
from chatstore.adapters.doors import ask
from chatstore.aio import AsyncChatStore
from chatstore.records import Record
from chatstore.store import ChatStore


def take(store: ChatStore, key: str, idx: int) -> Record | None:
    """Remove a message, as `ChatStore.delete_message` does, and return its record."""
    row = ask(store, requests.delete_message(key, idx, None))
    return None if row is None else codec.record(row)


def take_all(store: ChatStore, key: str) -> list[Record] | None:
    """Remove a conversation and return its records; `None` if it did not exist."""
    rows = ask(store, requests.delete_messages(key, None, None))
    return None if rows is None else codec.records(rows)


async def take_active(store: AsyncChatStore, key: str, idx: int) -> Record | None:
    """Remove the message at a place among the active ones and return its record."""
    row = await ask(store, requests.delete_message(key, idx, None, "active"))
    return None if row is None else codec.record(row)


async def take_oldest(store: AsyncChatStore, key: str, n: int) -> list[Record]:
    """Remove the oldest `n` active messages in one step and return their records."""
    return codec.records(await ask(store, requests.delete_oldest(key, n, None)))


async def archive(store: AsyncChatStore, key: str, n: int) -> list[Record]:
    """Archive the oldest messages, as `ChatStore.archive_messages` does; their records."""
    return codec.records(await ask(store, requests.archive_messages(key, n, None)))
