"""What adapters are given, a store or a URL, and what they need of it."""

import json
import os
from contextlib import suppress
from typing import Any, TypeVar

from chatstore import arguments, codec, json_text, requests
from chatstore.aio import AsyncChatStore
from chatstore.errors import ConflictError
from chatstore.messages import NativeMessage
from chatstore.operations import Operation
from chatstore.records import MADE, Record
from chatstore.settle import in_thread
from chatstore.store import ChatStore
from chatstore.url import open_async_store, open_store

T = TypeVar("T")

StoreOrURL = ChatStore | str | os.PathLike[str]
AnyStoreOrURL = AsyncChatStore | StoreOrURL


def missing(extra: str, error: ImportError) -> ImportError:
    """The error for a framework that is not installed.

    Example:
        >>> missing("langchain", ImportError("No module named 'langchain_core'")).msg
        "No module named 'langchain_core'; install it with: pip install 'chatstore-sql[langchain]'"
    """
    return ImportError(
        f"{error}; install it with: pip install 'chatstore-sql[{extra}]'", name=error.name
    )


class InThreads(AsyncChatStore):
    """A store that blocks, for callers that await: each call runs in a worker thread."""

    def __init__(self, store: ChatStore) -> None:
        self._store = store
        self._strict = store._strict

    def __repr__(self) -> str:
        return repr(self._store)

    async def close(self) -> None:
        """Close the store."""
        await in_thread(self._store.close)

    async def _execute(self, operation: Operation[T]) -> T:
        return await in_thread(self._store._execute, operation)

    def _blocking(self) -> ChatStore:
        return self._store


def blocking(store: StoreOrURL) -> tuple[ChatStore, bool]:
    """The store, and whether it was opened here and so is to be closed here."""
    if isinstance(store, ChatStore):
        return store, False
    if isinstance(store, AsyncChatStore):
        raise TypeError("store is a ChatStore or a URL; an AsyncChatStore cannot block")
    return open_store(_url(store)), True


def awaiting(store: AnyStoreOrURL) -> tuple[AsyncChatStore, bool]:
    """The store for callers that await, and whether it was opened here."""
    if isinstance(store, AsyncChatStore):
        return store, False
    if isinstance(store, ChatStore):
        return InThreads(store), False
    return open_async_store(_url(store)), True


def _url(store: Any) -> str | os.PathLike[str]:
    if not isinstance(store, str | os.PathLike):
        raise TypeError(f"store is a store or the URL of one, not {type(store).__name__}")
    return store


# The public calls that remove a message return a view of it. Adapters owe their callers what was
# put in, so they ask for the removed row itself, in the same atomic operation.


def take(store: ChatStore, key: str, idx: int) -> Record | None:
    """Remove a message, as `ChatStore.delete_message` does, and return its record."""
    row = store._execute(requests.delete_message(key, idx, None))
    return None if row is None else codec.record(row)


def take_all(store: ChatStore, key: str) -> list[Record] | None:
    """Remove a conversation and return its records; `None` if it did not exist."""
    rows = store._execute(requests.delete_messages(key, None, None))
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
            row = await store._execute(request)
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
    arguments.check_count("n", n)
    while (conversation := await store.get_conversation(key)) is not None:
        active = await store.get_records(key, status="active")
        if not active[:n]:
            return []
        rest = [again(record) for record in active[n:]]
        with suppress(ConflictError):
            await store.set_messages(
                key, rest, status="active", expected_revision=conversation.revision
            )
            return active[:n]
    return []


def again(record: Record) -> NativeMessage:
    """The message of a record, to be stored once more with its id and its time."""
    id = None if record.id.startswith(MADE) else record.id
    return NativeMessage(record.format, native(record), id=id, created_at=record.created_at)


async def archive(store: AsyncChatStore, key: str, n: int) -> list[Record]:
    """Archive the oldest messages, as `ChatStore.archive_messages` does; their records."""
    return codec.records(await store._execute(requests.archive_messages(key, n, None)))


def native(record: Record) -> dict[str, Any]:
    """The payload of a record as Python values.

    Raises:
        ValueError: It is not the JSON of an object.
    """
    payload = json_text.load(record.payload)
    if not isinstance(payload, dict):
        raise ValueError("the payload is no object")
    return payload


def arguments_of(block: dict[str, Any]) -> str:
    """The arguments of a tool call as JSON text."""
    given = block.get("tool_kwargs")
    return given if isinstance(given, str) else json.dumps({} if given is None else given)
