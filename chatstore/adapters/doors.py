"""What adapters are given, a store or a URL, and how they see a record."""

import json
import logging
import os
from collections.abc import Awaitable
from typing import Any, TypeVar, overload

from chatstore import json_text
from chatstore.aio import AsyncChatStore
from chatstore.messages import NativeMessage, UndecodableMessage
from chatstore.operations import Operation
from chatstore.records import MADE, Record
from chatstore.settle import in_thread
from chatstore.store import ChatStore
from chatstore.url import open_async_store, open_store

T = TypeVar("T")
_log = logging.getLogger("chatstore.adapters")

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


@overload
def ask(store: ChatStore, operation: Operation[T]) -> T: ...
@overload
def ask(store: AsyncChatStore, operation: Operation[T]) -> Awaitable[T]: ...
def ask(store: ChatStore | AsyncChatStore, operation: Operation[T]) -> T | Awaitable[T]:
    """What a store makes of an operation.

    Public calls are such, and adapters need some that no other caller does. This is the one place
    where they reach behind the calls; a store carries out all of `chatstore.operations`.
    """
    return store._execute(operation)


def native(record: Record) -> dict[str, Any]:
    """The payload of a record as Python values.

    Raises:
        ValueError: It is not the JSON of an object.
    """
    payload = json_text.load(record.payload)
    if not isinstance(payload, dict):
        raise ValueError("the payload is no object")
    return payload


def is_lost(record: Record) -> bool:
    """Whether nobody can read a record, which is said in the log: a model sees nothing of it."""
    message = record.message
    if not isinstance(message, UndecodableMessage):
        return False
    _log.warning("the message %s cannot be decoded: %s", record.id, message.error)
    return True


def again(record: Record) -> NativeMessage:
    """The message of a record, to be stored once more with its id and its time."""
    id = None if record.id.startswith(MADE) else record.id
    return NativeMessage(record.format, native(record), id=id, created_at=record.created_at)


def arguments_of(block: dict[str, Any]) -> str:
    """The arguments of a tool call as JSON text."""
    given = block.get("tool_kwargs")
    return given if isinstance(given, str) else json.dumps({} if given is None else given)
