"""Durable chat history: ordered messages under a key, on SQLite, PostgreSQL, Redis or in memory.

Example:
    >>> from chatstore import ChatMessage, open_store
    >>> with open_store("memory://") as store:
    ...     _ = store.add_message("user1", ChatMessage(role="user", content="Hello"))
    ...     store.get_messages("user1")[0].content
    'Hello'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chatstore._version import __version__
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
from chatstore.simple import AsyncSimpleChatStore, SimpleChatStore
from chatstore.store import ChatStore
from chatstore.transfer import TransferReport
from chatstore.url import open_async_store, open_store

if TYPE_CHECKING:
    from chatstore.redis import AsyncRedisChatStore, RedisChatStore
    from chatstore.sql import AsyncSQLChatStore, SQLChatStore

# Stores that bring a driver are imported when they are used: `import chatstore` stays cheap.
_LATE = {
    "RedisChatStore": "chatstore.redis",
    "AsyncRedisChatStore": "chatstore.redis",
    "SQLChatStore": "chatstore.sql",
    "AsyncSQLChatStore": "chatstore.sql",
}

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


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module 'chatstore' has no attribute {name!r}")
