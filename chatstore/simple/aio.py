"""`AsyncSimpleChatStore`: the store in memory, for callers that await."""

import os
from typing import Any, Self, TypeVar

from chatstore.aio import AsyncChatStore
from chatstore.operations import Operation
from chatstore.settle import in_thread
from chatstore.simple.store import SimpleChatStore

T = TypeVar("T")


class AsyncSimpleChatStore(AsyncChatStore):
    """`SimpleChatStore` for callers that await; nothing in it waits.

    Args:
        ttl: As in `SimpleChatStore`.
        namespace: As in `SimpleChatStore`.
        strict: As in `SimpleChatStore`.

    Example:
        >>> from chatstore import ChatMessage
        >>> async with AsyncSimpleChatStore() as store:
        ...     _ = await store.add_message("user1", ChatMessage("Hello"))
        ...     await store.count_messages("user1")
        1
    """

    def __init__(
        self, *, ttl: float | None = None, namespace: str = "", strict: bool = False
    ) -> None:
        self._store = SimpleChatStore(ttl=ttl, namespace=namespace, strict=strict)
        self._strict = strict

    def __repr__(self) -> str:
        return "AsyncSimpleChatStore()"

    async def persist(self, persist_path: str | os.PathLike[str] = "chat_store.json") -> None:
        """Write everything to a JSON file; a failure leaves the old file as it was.

        Example:
            >>> import tempfile, pathlib
            >>> path = pathlib.Path(tempfile.mkdtemp()) / "chat_store.json"
            >>> await AsyncSimpleChatStore().persist(path)
            >>> await (await AsyncSimpleChatStore.from_persist_path(path)).get_keys()
            []
        """
        await in_thread(self._store.persist, persist_path)

    @classmethod
    async def from_persist_path(
        cls, persist_path: str | os.PathLike[str] = "chat_store.json", **options: Any
    ) -> Self:
        """The store that a file holds; an empty one if there is no file yet.

        Args:
            persist_path: What `persist`, or LlamaIndex's, wrote.
            **options: Those of `SimpleChatStore`.

        Raises:
            TransferError: The file is damaged, or cannot be read.
        """
        store = cls(**options)
        store._store = await in_thread(SimpleChatStore.from_persist_path, persist_path, **options)
        return store

    async def json(self) -> str:
        """Everything, as the JSON text that `persist` writes."""
        return await in_thread(self._store.json)

    @classmethod
    async def parse_raw(cls, text: str, **options: Any) -> Self:
        """The store that the JSON text of `json()` holds.

        Raises:
            TransferError: The text is damaged.
        """
        store = cls(**options)
        store._store = await in_thread(SimpleChatStore.parse_raw, text, **options)
        return store

    async def close(self) -> None:
        """Forget everything. Closing twice is fine."""
        self._store.close()

    async def _execute(self, operation: Operation[T]) -> T:
        return self._store._execute(operation)

    def _blocking(self) -> SimpleChatStore:
        return self._store
