"""Removing messages, and getting back what was put in.

The public calls that remove a message return a view of it, and adapters owe their callers the
record. These are the same operations as the public calls make, and one that removes the oldest;
their rows are made into records.
"""

from contextlib import suppress

from chatstore import codec, requests
from chatstore.adapters.doors import ask
from chatstore.aio import AsyncChatStore
from chatstore.errors import ConflictError
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
    stop = None if idx == -1 else idx + 1
    while (conversation := await store.get_conversation(key)) is not None:
        found = await store.get_records(key, start=idx, stop=stop, status="active")
        if not found:
            return None
        place = await _place(store, key, found[0], idx)
        if place is None:
            continue
        request = requests.delete_message(key, place, conversation.revision)
        with suppress(ConflictError):
            row = await ask(store, request)
            return None if row is None else codec.record(row)
    return None


async def _place(store: AsyncChatStore, key: str, wanted: Record, idx: int) -> int | None:
    """The place of a record among all; `None` if it is gone."""
    archived = await store.count_messages(key, status="archived")
    # Archived messages are mostly the oldest ones, and then it stands here.
    if idx >= 0:
        place = archived + idx
        guess = await store.get_records(key, start=place, stop=place + 1)
        if [record.id for record in guess] == [wanted.id]:
            return place
    ids = [record.id for record in await store.get_records(key)]
    return ids.index(wanted.id) if wanted.id in ids else None


async def take_oldest(store: AsyncChatStore, key: str, n: int) -> list[Record]:
    """Remove the oldest `n` active messages in one step and return their records."""
    return codec.records(await ask(store, requests.delete_oldest(key, n, None)))


async def archive(store: AsyncChatStore, key: str, n: int) -> list[Record]:
    """Archive the oldest messages, as `ChatStore.archive_messages` does; their records."""
    return codec.records(await ask(store, requests.archive_messages(key, n, None)))
