"""`AsyncChatStore`: what every store does, for callers that await.

Names, signatures and documentation are those of `ChatStore`; a test holds them to it.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import IO, Any, NoReturn, Self, TypeVar

from chatstore import arguments, codec, errors, operations, requests
from chatstore.arguments import Expected
from chatstore.messages import ChatMessage, Message
from chatstore.records import CheckReport, Conversation, Record, Row, Status
from chatstore.settle import in_thread
from chatstore.store import PAGE, ChatStore
from chatstore.transfer import Format, OnConflict, Progress, TransferReport

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S")

LONG = 1024
"""From how many messages on they are encoded and decoded in a thread, beside the event loop."""


class AsyncChatStore(ABC):
    """Ordered messages under a key, kept.

    Every store gives the same guarantees. A call is atomic, and when it returns it is as durable
    as the store promises. Order is the order of storing, never that of a clock. What you get is
    yours: changing it changes nothing in the store. A conversation exists while it holds a
    message. An expired conversation is absent from every call. A write restarts the ttl of its
    conversation, a read does not.

    `expected_revision`, where a call takes it, is the `revision` of the `Conversation` that the
    caller saw, or `chatstore.ABSENT`; if the conversation has changed since, the call raises
    `ConflictError` and writes nothing.

    Every call that takes a key raises `InvalidKeyError` for one that is empty, over 1 024 bytes of
    UTF-8, or holds NUL or a lone surrogate; every call on a closed store raises
    `StoreClosedError`. The other errors are those of `chatstore.errors`.

    Example:
        >>> from chatstore import ChatMessage, open_async_store
        >>> async with open_async_store("memory://") as store:
        ...     _ = await store.add_message("user1", ChatMessage(role="user", content="Hello"))
        ...     [message.content for message in await store.get_messages("user1", last=20)]
        ['Hello']
    """

    _strict: bool = False

    # Writing messages

    async def add_message(
        self,
        key: str,
        message: Message,
        idx: int | None = None,
        *,
        status: Status = "active",
        expected_revision: Expected = None,
    ) -> str:
        """Append a message, or insert it where `list.insert(idx, …)` would.

        A message with an `id` may be sent twice: the second time changes nothing.

        Returns:
            The id of its record: the message's own, or one that the store made.

        Raises:
            InvalidMessageError: It holds what JSON cannot hold; the text names the path.
            DuplicateMessageError: The conversation holds another message under its id.
            ConflictError: See `expected_revision` above.

        Example:
            >>> from chatstore import ChatMessage, open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     await store.add_message("user1", ChatMessage("Hello", id="m1"))
            'm1'
        """
        request = requests.add_message(key, message, idx, expected_revision, status)
        return (await self._execute(request))[0]

    async def add_messages(
        self,
        key: str,
        messages: Sequence[Message],
        *,
        status: Status = "active",
        expected_revision: Expected = None,
    ) -> list[str]:
        """Append messages, all or none, with nothing between them. `[]` does nothing.

        Returns:
            The ids of their records, as in `add_message`.

        Raises:
            InvalidMessageError: One cannot be stored; the text names its place and the path.
            DuplicateMessageError: The conversation holds another message under one of their ids.
            ConflictError: See `expected_revision` above.

        Example:
            >>> from chatstore import ChatMessage, open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     turn = [ChatMessage("2 + 2?"), ChatMessage("4", role="assistant")]
            ...     _ = await store.add_messages("user1", turn)
            ...     await store.count_messages("user1")
            2
        """
        return await self._execute(
            await self._encoded(requests.add_messages, key, messages, expected_revision, status)
        )

    async def set_messages(
        self,
        key: str,
        messages: Sequence[Message],
        *,
        status: Status | None = None,
        expected_revision: Expected = None,
    ) -> None:
        """Put messages in the place of the conversation; a reader sees the old or the new.

        Metadata and ttl stay. `[]` removes the conversation. A failure leaves the old messages.
        With a status, only the messages of that status are replaced, and the new ones, which get
        it, come behind those that stay.

        Raises:
            InvalidMessageError: One cannot be stored; the text names its place and the path.
            DuplicateMessageError: Two of them differ and have one id.
            ConflictError: See `expected_revision` above.

        Example:
            >>> from chatstore import ChatMessage, open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     await store.set_messages("user1", [ChatMessage("Hello")])
            ...     await store.set_messages("user1", [])
            ...     await store.get_keys()
            []
        """
        await self._execute(
            await self._encoded(requests.set_messages, key, messages, expected_revision, status)
        )

    async def update_message(
        self, key: str, idx: int, message: Message, *, expected_revision: Expected = None
    ) -> ChatMessage | None:
        """Put a message in the place of the one at `idx`, which keeps its status.

        Returns:
            The old message; `None` if `idx` is out of range, and then nothing is stored.

        Raises:
            InvalidMessageError: It holds what JSON cannot hold; the text names the path.
            DuplicateMessageError: Another message of the conversation has its id.
            ConflictError: See `expected_revision` above.

        Example:
            >>> from chatstore import ChatMessage, open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     _ = await store.add_message("user1", ChatMessage("Helo"))
            ...     (await store.update_message("user1", -1, ChatMessage("Hello"))).content
            'Helo'
        """
        request = requests.update_message(key, idx, message, expected_revision)
        return codec.decode_one(await self._execute(request))

    async def delete_message(
        self, key: str, idx: int, *, expected_revision: Expected = None
    ) -> ChatMessage | None:
        """Remove the message at `idx`, counted as in a list, and return it.

        Returns:
            The message; `None` if `idx` is out of range.

        Raises:
            ConflictError: See `expected_revision` above.

        Example:
            >>> from chatstore import ChatMessage, open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     _ = await store.add_messages("user1", [ChatMessage("a"), ChatMessage("b")])
            ...     (await store.delete_message("user1", 0)).content
            'a'
        """
        request = requests.delete_message(key, idx, expected_revision)
        return codec.decode_one(await self._execute(request))

    async def delete_last_message(
        self, key: str, *, expected_revision: Expected = None
    ) -> ChatMessage | None:
        """Remove the newest message and return it; `None` if there is none.

        Raises:
            ConflictError: See `expected_revision` above.

        Example:
            >>> from chatstore import open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     print(await store.delete_last_message("nobody"))
            None
        """
        return await self.delete_message(key, -1, expected_revision=expected_revision)

    async def delete_messages(
        self, key: str, *, status: Status | None = None, expected_revision: Expected = None
    ) -> list[ChatMessage] | None:
        """Remove the conversation and return what it held; `None` if it did not exist.

        With a status, only the messages of that status are removed.

        The text may stay in the files until it is overwritten; see `erase`.

        Raises:
            ConflictError: See `expected_revision` above.

        Example:
            >>> from chatstore import ChatMessage, open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     _ = await store.add_message("user1", ChatMessage("Hello"))
            ...     len(await store.delete_messages("user1"))
            1
        """
        rows = await self._execute(requests.delete_messages(key, expected_revision, status))
        return None if rows is None else await self._decode(rows)

    async def archive_messages(
        self, key: str, n: int, *, expected_revision: Expected = None
    ) -> list[ChatMessage]:
        """Make the oldest `n` active messages archived and return them; fewer if there are fewer.

        Archived messages keep their place: they are read with all others, or by their status.

        Raises:
            ValueError: `n` is negative.
            ConflictError: See `expected_revision` above.

        Example:
            >>> from chatstore import ChatMessage, open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     _ = await store.add_messages("user1", [ChatMessage("a"), ChatMessage("b")])
            ...     _ = await store.archive_messages("user1", 1)
            ...     await store.count_messages("user1", status="archived")
            1
        """
        request = requests.archive_messages(key, n, expected_revision)
        return await self._decode(await self._execute(request))

    # Reading messages

    async def get_messages(
        self,
        key: str,
        *,
        last: int | None = None,
        start: int | None = None,
        stop: int | None = None,
        status: Status | None = None,
    ) -> list[ChatMessage]:
        """The messages of a conversation, oldest first, in a new list; `[]` if it does not exist.

        Args:
            key: Names the conversation.
            last: Only the newest so many; its cost does not depend on how many there are.
            start: As in `messages[start:stop]`.
            stop: As in `messages[start:stop]`.
            status: Only "active" or only "archived" ones; the window counts only those.

        Raises:
            ValueError: `last` is negative or comes with `start` or `stop`; no such status.

        Example:
            >>> from chatstore import ChatMessage, open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     _ = await store.add_messages("user1", [ChatMessage(text) for text in "abc"])
            ...     [m.content for m in await store.get_messages("user1", last=2)]
            ['b', 'c']
        """
        rows = await self._execute(requests.read(key, last, start, stop, status))
        return await self._decode(rows, strict=self._strict)

    async def get_records(
        self,
        key: str,
        *,
        last: int | None = None,
        start: int | None = None,
        stop: int | None = None,
        status: Status | None = None,
    ) -> list[Record]:
        """The same windows as `get_messages`, as records: with id, format, payload, times.

        Raises:
            ValueError: As in `get_messages`.

        Example:
            >>> from chatstore import ChatMessage, open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     _ = await store.add_message("user1", ChatMessage("Hello", id="m1"))
            ...     [(r.id, r.format, r.text) for r in await store.get_records("user1")]
            [('m1', 'chatstore', 'Hello')]
        """
        rows = await self._execute(requests.read(key, last, start, stop, status))
        if len(rows) > LONG:
            return await in_thread(codec.records, rows, strict=self._strict)
        return codec.records(rows, strict=self._strict)

    async def get_message(self, key: str, idx: int) -> ChatMessage | None:
        """The message at `idx`, counted as in a list; `None` if `idx` is out of range.

        Example:
            >>> from chatstore import ChatMessage, open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     _ = await store.add_message("user1", ChatMessage("Hello"))
            ...     (await store.get_message("user1", -1)).content
            'Hello'
        """
        rows = await self._execute(requests.read_one(key, idx))
        return codec.decode_one(rows[0] if rows else None, strict=self._strict)

    def iter_messages(self, key: str) -> AsyncIterator[ChatMessage]:
        """The messages of a conversation, oldest first, read in pages as they are asked for.

        Nothing is locked between pages, and the store can be used inside the loop. What is there
        all the time comes once. What is written meanwhile behind the place of the iteration is
        seen, too, and so are all messages of a `set_messages`: they are new, and come behind those
        that were read. The removal of the conversation ends it, even if another is there since.

        Example:
            >>> from chatstore import ChatMessage, open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     _ = await store.add_messages("user1", [ChatMessage(text) for text in "abc"])
            ...     async for message in store.iter_messages("user1"):
            ...         print(message.content, end=" ")
            a b c
        """
        return self._pages(arguments.check_key(key))

    async def _pages(self, key: str) -> AsyncIterator[ChatMessage]:
        after = None
        while rows := await self._execute(operations.ReadAfter(key, after, PAGE)):
            for message in await self._decode(rows, strict=self._strict):
                yield message
            after = rows[-1]

    async def count_messages(self, key: str, *, status: Status | None = None) -> int:
        """How many messages a conversation holds, of one status or in all; 0 if it does not exist.

        Raises:
            ValueError: No such status.

        Example:
            >>> from chatstore import open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     await store.count_messages("nobody")
            0
        """
        return await self._execute(requests.count_messages(key, status))

    # Conversations

    async def get_keys(
        self, prefix: str = "", *, after: str | None = None, limit: int | None = None
    ) -> list[str]:
        """Keys by code point: those that begin with `prefix` and come behind `after`.

        Args:
            prefix: What they begin with.
            after: The last key of the page before; it need not exist any more.
            limit: At most so many; `None` for all.

        Raises:
            ValueError: `limit` is negative.

        Example:
            >>> from chatstore import ChatMessage, open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     for key in ("b", "a", "c"):
            ...         _ = await store.add_message(key, ChatMessage("Hello"))
            ...     await store.get_keys(after="a", limit=1)
            ['b']
        """
        return await self._execute(requests.get_keys(prefix, after, limit))

    async def get_conversations(
        self,
        *,
        order: operations.Order = "updated",
        after: Conversation | str | None = None,
        limit: int | None = None,
        prefix: str = "",
    ) -> list[Conversation]:
        """Conversations, a page at a time.

        Args:
            order: "updated": the last written first; "key": by code point.
            after: The last `Conversation` of the page before, or its key.
            limit: At most so many; `None` for all.
            prefix: What their keys begin with.

        Raises:
            ValueError: `limit` is negative; no such order.
            KeyNotFoundError: `after` is a key, the order is "updated", and it does not exist.

        Example:
            >>> from chatstore import ChatMessage, open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     _ = await store.add_message("user1", ChatMessage("Hello"))
            ...     [(c.key, c.count) for c in await store.get_conversations(limit=50)]
            [('user1', 1)]
        """
        return await self._execute(requests.get_conversations(order, after, limit, prefix))

    async def get_conversation(self, key: str) -> Conversation | None:
        """What is known of a conversation; `None` if it does not exist.

        Example:
            >>> from chatstore import ChatMessage, open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     _ = await store.add_message("user1", ChatMessage("Hello"))
            ...     (await store.get_conversation("user1")).count
            1
        """
        return await self._execute(requests.get_conversation(key))

    async def set_metadata(
        self, key: str, metadata: dict[str, Any], *, expected_revision: Expected = None
    ) -> bool:
        """Replace what is kept beside a conversation; `{}` at first. It counts as a write.

        Returns:
            Whether the conversation exists; if not, nothing is created.

        Raises:
            InvalidMessageError: It is not a dict that JSON can hold; the text names the path.
            ConflictError: See `expected_revision` above.

        Example:
            >>> from chatstore import ChatMessage, open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     _ = await store.add_message("user1", ChatMessage("Hello"))
            ...     _ = await store.set_metadata("user1", {"title": "Greeting"})
            ...     (await store.get_conversation("user1")).metadata
            {'title': 'Greeting'}
        """
        return await self._execute(requests.set_metadata(key, metadata, expected_revision))

    async def set_ttl(
        self, key: str, ttl: float | None, *, expected_revision: Expected = None
    ) -> bool:
        """Let a conversation live for `ttl` seconds after each write, from now on.

        Args:
            key: Names the conversation.
            ttl: Seconds, whole or not; `None`: for ever.
            expected_revision: See above.

        Returns:
            Whether the conversation exists; if not, nothing is created.

        Raises:
            ValueError: `ttl` is 0, negative or not a number of seconds.
            ConflictError: See `expected_revision` above.

        Example:
            >>> from chatstore import open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     await store.set_ttl("nobody", 300)
            False
        """
        return await self._execute(requests.set_ttl(key, ttl, expected_revision))

    async def purge_expired(self) -> int:
        """Free what expired conversations take; they are absent from every call already.

        Returns:
            How many conversations were freed. 0 on Redis, which frees by itself.

        Example:
            >>> from chatstore import open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     await store.purge_expired()
            0
        """
        return await self._execute(operations.PurgeExpired())

    async def copy_conversation(self, key: str, to_key: str, stop: int | None = None) -> int:
        """Fork a conversation: store its messages, or `messages[:stop]`, under another key.

        Ids, times, statuses and metadata come along; the ttl too, restarted.

        Returns:
            How many messages were copied.

        Raises:
            KeyNotFoundError: There is no conversation under `key`.
            ConflictError: There is one under `to_key`.
            ValueError: `stop` leaves nothing to copy.

        Example:
            >>> from chatstore import ChatMessage, open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     _ = await store.add_messages("user1", [ChatMessage("a"), ChatMessage("b")])
            ...     await store.copy_conversation("user1", "user1/fork", stop=1)
            1
        """
        return await self._execute(requests.copy_conversation(key, to_key, stop))

    async def erase(self, key: str) -> bool:
        """Remove a conversation and make its text gone from the store's own files.

        On SQLite the text is gone from the database and its write-ahead log when this returns.
        No store can reach backups, exports, replicas, or what a disk keeps of overwritten blocks;
        PostgreSQL keeps dead rows until VACUUM, Redis its append-only file until it is rewritten.

        Returns:
            Whether the conversation existed.

        Raises:
            StoreBusyError: It is removed, but a reader keeps the old text alive; call it again.

        Example:
            >>> from chatstore import open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     await store.erase("nobody")
            False
        """
        return await self._execute(requests.erase(key))

    # Upkeep

    async def export_json(
        self,
        target: str | os.PathLike[str] | IO[bytes] | IO[str],
        *,
        format: Format | None = None,
        progress: Progress | None = None,
    ) -> TransferReport:
        """Write all conversations of the store to a file, from one snapshot, while others write.

        `.json` is the document of `SimpleChatStore`, which LlamaIndex reads; `.jsonl` and
        `.jsonl.gz` take constant memory and end with a digest. A path is written beside itself,
        synced and renamed, readable by its owner only: a failure leaves the old file.

        Args:
            target: A path, or an open file.
            format: "json" or "jsonl", for an open file; the path's name says it.
            progress: Called now and then with the messages done and the messages in all.

        Returns:
            How many conversations and messages were written.

        Raises:
            TransferError: The name says no format; the file cannot be written; what an adapter
                keeps beside a conversation is damaged.

        Example:
            >>> import io
            >>> from chatstore import ChatMessage, open_async_store
            >>> file = io.BytesIO()
            >>> async with open_async_store("memory://") as store:
            ...     _ = await store.add_message("user1", ChatMessage("Hello"))
            ...     (await store.export_json(file, format="jsonl")).messages
            1
        """
        store = self._blocking()
        return await in_thread(store.export_json, target, format=format, progress=progress)

    async def import_json(
        self,
        source: str | os.PathLike[str] | IO[bytes] | IO[str],
        *,
        on_conflict: OnConflict = "error",
        format: Format | None = None,
        progress: Progress | None = None,
    ) -> TransferReport:
        """Read conversations from a file that `export_json` or LlamaIndex wrote, all or none.

        Args:
            source: A path, or an open file.
            on_conflict: What happens to a key that exists: "error", "skip" the file's, "replace"
                the store's, or "append" behind it (ids: as in `add_message`). What an adapter keeps
                is replaced with its conversation, and not appended to; alone it is a key, too.
            format: "json" or "jsonl", for an open file; the path's name says it.
            progress: Called now and then with the messages done and the messages in all.

        Returns:
            How many conversations and messages were stored.

        Raises:
            TransferError: The file is missing, damaged, of a newer version, or holds a key that
                exists; the text names the line. The store is as it was.

        Example:
            >>> import io
            >>> from chatstore import open_async_store
            >>> file = io.StringIO('{"store": {"user1": [{"role": "user", "content": "Hello"}]}}')
            >>> async with open_async_store("memory://") as store:
            ...     _ = await store.import_json(file, format="json")
            ...     await store.get_keys()
            ['user1']
        """
        store = self._blocking()
        return await in_thread(
            store.import_json, source, on_conflict=on_conflict, format=format, progress=progress
        )

    async def check(self) -> CheckReport:
        """Look for damage: in the database, in order and counts, in messages. Nothing is repaired.

        Example:
            >>> from chatstore import open_async_store
            >>> async with open_async_store("memory://") as store:
            ...     (await store.check()).ok
            True
        """
        return await self._execute(operations.Check())

    @abstractmethod
    async def close(self) -> None:
        """Let go of files and connections. Closing twice is fine."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __reduce__(self) -> NoReturn:
        raise errors.not_copied(self)

    async def _encoded(
        self,
        request: Callable[[str, Sequence[Message], Expected, S], R],
        key: str,
        messages: Sequence[Message],
        expected: Expected,
        status: S,
    ) -> R:
        if isinstance(messages, list | tuple) and len(messages) > LONG:
            return await in_thread(request, key, messages, expected, status)
        return request(key, messages, expected, status)

    async def _decode(self, rows: Sequence[Row], *, strict: bool = False) -> list[ChatMessage]:
        if len(rows) > LONG:
            return await in_thread(codec.decode_all, rows, strict=strict)
        return codec.decode_all(rows, strict=strict)

    # What a store is made of

    @abstractmethod
    async def _execute(self, operation: operations.Operation[T]) -> T:
        """Carry out an operation, whole or not at all, whatever is cancelled meanwhile."""

    @abstractmethod
    def _blocking(self) -> ChatStore:
        """The same store for a worker thread, where files are written and read."""
