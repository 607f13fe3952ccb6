"""LlamaIndex on a `ChatStore`: for `ChatMemoryBuffer` and chat engines, and for `Memory`.

Example:
    >>> from llama_index.core.base.llms.types import ChatMessage
    >>> with LlamaIndexChatStore("memory://") as chat_store:
    ...     chat_store.add_message("user1", ChatMessage(content="Hello"))
    ...     print(chat_store.get_messages("user1")[0])
    user: Hello
"""

from types import TracebackType
from typing import Any, Self

from chatstore.adapters.doors import (
    AnyStoreOrURL,
    InThreads,
    StoreOrURL,
    awaiting,
    blocking,
    missing,
)
from chatstore.adapters.removing import archive, take, take_active, take_all, take_oldest
from chatstore.aio import AsyncChatStore
from chatstore.records import Status
from chatstore.settle import in_thread
from chatstore.store import ChatStore

try:
    from llama_index.core.base.llms.types import ChatMessage
    from llama_index.core.bridge.pydantic import PrivateAttr
    from llama_index.core.storage.chat_store.base import BaseChatStore
    from llama_index.core.storage.chat_store.base_db import AsyncDBChatStore, MessageStatus

    from chatstore.adapters.llama_index_blocks import dump, dump_all, load, load_all
except ImportError as error:
    raise missing("llama-index", error) from error

__all__ = ["LlamaIndexChatStore", "LlamaIndexMemoryStore"]


class LlamaIndexChatStore(BaseChatStore):
    """LlamaIndex's `BaseChatStore`, for its `ChatMemoryBuffer`, chat engines and agents.

    A write is atomic and as durable as the store promises; keys are the store's keys. Messages
    come back equal to what went in, and what could not is refused. Messages of other frameworks
    are shown as views.

    Args:
        store: A `ChatStore`, or a URL to open; only what was opened here is closed by `close()`.

    Raises:
        TypeError: `store` is neither.

    Example:
        >>> from chatstore import open_store
        >>> with open_store("memory://", ttl=300) as store:
        ...     LlamaIndexChatStore(store).get_messages("nobody")
        []
    """

    _store: ChatStore = PrivateAttr()
    _opened: bool = PrivateAttr()

    def __init__(self, store: StoreOrURL, **data: Any) -> None:
        opened = blocking(store)
        super().__init__(**data)
        self._store, self._opened = opened

    @classmethod
    def class_name(cls) -> str:
        """The name in LlamaIndex's serialised objects."""
        return "LlamaIndexChatStore"

    def set_messages(self, key: str, messages: list[ChatMessage]) -> None:
        """Put messages in the place of the conversation; `[]` removes it."""
        self._store.set_messages(key, dump_all(messages))

    def get_messages(self, key: str) -> list[ChatMessage]:
        """The messages of a conversation, oldest first; `[]` if it does not exist."""
        return load_all(self._store.get_records(key))

    def add_message(self, key: str, message: ChatMessage, idx: int | None = None) -> None:
        """Append a message, or insert it where `list.insert(idx, …)` would."""
        self._store.add_message(key, dump(message), idx)

    def delete_messages(self, key: str) -> list[ChatMessage] | None:
        """Remove the conversation and return what it held; `None` if it did not exist."""
        records = take_all(self._store, key)
        return None if records is None else load_all(records)

    def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Remove the message at `idx`, counted as in a list; `None` if it is out of range."""
        record = take(self._store, key, idx)
        return None if record is None else load(record)

    def delete_last_message(self, key: str) -> ChatMessage | None:
        """Remove and return the newest message; `None` if there is none."""
        return self.delete_message(key, -1)

    def get_keys(self) -> list[str]:
        """All keys, by code point."""
        return self._store.get_keys()

    # Theirs leave a write running behind the back of who cancelled it.

    async def aset_messages(self, key: str, messages: list[ChatMessage]) -> None:
        """`set_messages`, in a worker thread."""
        await in_thread(self.set_messages, key, messages)

    async def aget_messages(self, key: str) -> list[ChatMessage]:
        """`get_messages`, in a worker thread."""
        return await in_thread(self.get_messages, key)

    async def async_add_message(
        self, key: str, message: ChatMessage, idx: int | None = None
    ) -> None:
        """`add_message`, in a worker thread. LlamaIndex calls it so."""
        await in_thread(self.add_message, key, message, idx)

    async def adelete_messages(self, key: str) -> list[ChatMessage] | None:
        """`delete_messages`, in a worker thread."""
        return await in_thread(self.delete_messages, key)

    async def adelete_message(self, key: str, idx: int) -> ChatMessage | None:
        """`delete_message`, in a worker thread."""
        return await in_thread(self.delete_message, key, idx)

    async def adelete_last_message(self, key: str) -> ChatMessage | None:
        """`delete_last_message`, in a worker thread."""
        return await in_thread(self.delete_last_message, key)

    async def aget_keys(self) -> list[str]:
        """`get_keys`, in a worker thread."""
        return await in_thread(self.get_keys)

    def close(self) -> None:
        """Close the store if it was opened here. Closing twice is fine."""
        if self._opened:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class LlamaIndexMemoryStore(AsyncDBChatStore):
    """LlamaIndex's `AsyncDBChatStore`, for `Memory.from_defaults(chat_store=…)`.

    Order is the order of storing. `set_messages` replaces the messages of one status in one step,
    the others stay.

    Args:
        store: A `ChatStore`, an `AsyncChatStore` or a URL to open; only what was opened here is
            closed by `close()`. `Memory`'s methods that block use an event loop of their own, for
            which a `ChatStore` or a URL is the right choice.

    Raises:
        TypeError: `store` is none of these.

    Example:
        >>> from llama_index.core.memory import Memory
        >>> memory = Memory.from_defaults("user1", chat_store=LlamaIndexMemoryStore("memory://"))
        >>> memory.put(ChatMessage(content="Hello"))
        >>> [message.content for message in memory.get()]
        ['Hello']
    """

    _store: AsyncChatStore = PrivateAttr()
    _opened: bool = PrivateAttr()

    def __init__(self, store: AnyStoreOrURL, **data: Any) -> None:
        opened: tuple[AsyncChatStore, bool]
        if isinstance(store, AsyncChatStore | ChatStore):
            opened = awaiting(store)
        else:
            opened = InThreads(blocking(store)[0]), True
        super().__init__(**data)
        self._store, self._opened = opened

    @classmethod
    def class_name(cls) -> str:
        """The name in LlamaIndex's serialised objects."""
        return "LlamaIndexMemoryStore"

    async def get_messages(
        self,
        key: str,
        status: MessageStatus | None = MessageStatus.ACTIVE,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[ChatMessage]:
        """Messages of a status (`None`: all), oldest first, `limit` of them from `offset` on.

        Raises:
            ValueError: `limit` or `offset` is negative.
        """
        start = offset or 0
        if start < 0 or (limit is not None and limit < 0):
            raise ValueError("limit and offset count messages and cannot be negative")
        stop = None if limit is None else start + limit
        records = await self._store.get_records(key, start=start, stop=stop, status=_word(status))
        return load_all(records)

    async def count_messages(
        self, key: str, status: MessageStatus | None = MessageStatus.ACTIVE
    ) -> int:
        """How many messages of a status (`None`: all) there are."""
        return await self._store.count_messages(key, status=_word(status))

    async def add_message(
        self, key: str, message: ChatMessage, status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Append a message."""
        await self._store.add_message(key, dump(message), status=status.value)

    async def add_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Append messages, all or none."""
        await self._store.add_messages(key, dump_all(messages), status=status.value)

    async def set_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Replace the messages of a status in one step; those of the other one stay."""
        await self._store.set_messages(key, dump_all(messages), status=status.value)

    async def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Remove the active message at `idx`, counted as in a list; `None` out of range."""
        record = await take_active(self._store, key, idx)
        return None if record is None else load(record)

    async def delete_messages(self, key: str, status: MessageStatus | None = None) -> None:
        """Remove the messages of a status, or all."""
        await self._store.delete_messages(key, status=_word(status))

    async def delete_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Remove the oldest `n` active messages in one step and return them."""
        return load_all(await take_oldest(self._store, key, n))

    async def archive_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Make the oldest `n` active messages archived and return them."""
        return load_all(await archive(self._store, key, n))

    async def get_keys(self) -> list[str]:
        """All keys, by code point."""
        return await self._store.get_keys()

    async def close(self) -> None:
        """Close the store if it was opened here. Closing twice is fine."""
        if self._opened:
            await self._store.close()


def _word(status: MessageStatus | None) -> Status | None:
    return None if status is None else status.value
