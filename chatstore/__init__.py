"""Durable chat history: ordered messages under a key, on SQLite, PostgreSQL, Redis or in memory.

Example:
    >>> from chatstore import ChatMessage, open_store
    >>> with open_store("memory://") as store:
    ...     _ = store.add_message("user1", ChatMessage(role="user", content="Hello"))
    ...     store.get_messages("user1")[0].content
    'Hello'
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from chatstore._version import __version__

if TYPE_CHECKING:
    from chatstore.aio import AsyncChatStore
    from chatstore.arguments import ABSENT
    from chatstore.errors import (
        ChatStoreError,
        ConflictError,
        DuplicateMessageError,
        InvalidKeyError,
        InvalidMessageError,
        KeyNotFoundError,
        SchemaOutdatedError,
        SchemaTooNewError,
        StoreBusyError,
        StoreClosedError,
        StoreCorruptError,
        StoreFullError,
        StoreReadOnlyError,
        StoreUnavailableError,
        TransferError,
    )
    from chatstore.memory import AsyncChatMemoryBuffer, ChatMemoryBuffer
    from chatstore.messages import ChatMessage, NativeMessage, UndecodableMessage
    from chatstore.records import CheckReport, Conversation, Record
    from chatstore.redis import AsyncRedisChatStore, RedisChatStore
    from chatstore.simple import AsyncSimpleChatStore, SimpleChatStore
    from chatstore.sql import AsyncSQLChatStore, SQLChatStore
    from chatstore.store import ChatStore
    from chatstore.transfer import TransferReport
    from chatstore.url import open_async_store, open_store

__all__ = [
    "ABSENT",
    "AsyncChatMemoryBuffer",
    "AsyncChatStore",
    "AsyncRedisChatStore",
    "AsyncSQLChatStore",
    "AsyncSimpleChatStore",
    "ChatMemoryBuffer",
    "ChatMessage",
    "ChatStore",
    "ChatStoreError",
    "CheckReport",
    "ConflictError",
    "Conversation",
    "DuplicateMessageError",
    "InvalidKeyError",
    "InvalidMessageError",
    "KeyNotFoundError",
    "NativeMessage",
    "Record",
    "RedisChatStore",
    "SQLChatStore",
    "SchemaOutdatedError",
    "SchemaTooNewError",
    "SimpleChatStore",
    "StoreBusyError",
    "StoreClosedError",
    "StoreCorruptError",
    "StoreFullError",
    "StoreReadOnlyError",
    "StoreUnavailableError",
    "TransferError",
    "TransferReport",
    "UndecodableMessage",
    "__version__",
    "open_async_store",
    "open_store",
]

_ROOMS = {
    "aio": ["AsyncChatStore"],
    "arguments": ["ABSENT"],
    "errors": [name for name in __all__ if name.endswith("Error")],
    "memory": ["AsyncChatMemoryBuffer", "ChatMemoryBuffer"],
    "messages": ["ChatMessage", "NativeMessage", "UndecodableMessage"],
    "records": ["CheckReport", "Conversation", "Record"],
    "redis": ["AsyncRedisChatStore", "RedisChatStore"],
    "simple": ["AsyncSimpleChatStore", "SimpleChatStore"],
    "sql": ["AsyncSQLChatStore", "SQLChatStore"],
    "store": ["ChatStore"],
    "transfer": ["TransferReport"],
    "url": ["open_async_store", "open_store"],
}
"""Where each name lives. It is imported when it is first asked for, so that a program pays for
what it uses: a driver when a store is opened, and nothing at all for the rest."""

_HOME = {name: room for room, names in _ROOMS.items() for name in names}

if not TYPE_CHECKING:  # else no misspelt name would be an error to a type checker

    def __getattr__(name: str) -> Any:
        if name in _HOME:
            value = getattr(import_module(f"chatstore.{_HOME[name]}"), name)
        elif name in _ROOMS:
            value = import_module(f"chatstore.{name}")
        else:
            here = sys.modules[__name__]
            message = f"module 'chatstore' has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=here)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *_HOME})
