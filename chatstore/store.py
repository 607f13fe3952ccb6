"""`ChatStore`: what every store does, for callers that block."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import IO, Any, NoReturn, Self, TypeVar

from chatstore import arguments, codec, errors, operations, requests
from chatstore.arguments import Expected
from chatstore.messages import ChatMessage, Message
from chatstore.records import CheckReport, Conversation, Record, Status
from chatstore.transfer import Format, OnConflict, Progress, Snapshot, Stream, TransferReport

T = TypeVar("T")

PAGE = 256
"""How many messages `iter_messages` reads at a time."""


class ChatStore(ABC):
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
        >>> from chatstore import ChatMessage, open_store
        >>> with open_store("memory://") as store:
        ...     _ = store.add_message("user1", ChatMessage(role="user", content="Hello"))
        ...     [message.content for message in store.get_messages("user1", last=20)]
        ['Hello']
    """

    _strict: bool = False

    # Writing messages

    def add_message(
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
            >>> from chatstore import ChatMessage, open_store
            >>> with open_store("memory://") as store:
            ...     store.add_message("user1", ChatMessage("Hello", id="m1"))
            'm1'
        """
        request = requests.add_message(key, message, idx, expected_revision, status)
        return self._execute(request)[0]

    def add_messages(
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
            >>> from chatstore import ChatMessage, open_store
            >>> with open_store("memory://") as store:
            ...     turn = [ChatMessage("2 + 2?"), ChatMessage("4", role="assistant")]
            ...     _ = store.add_messages("user1", turn)
            ...     store.count_messages("user1")
            2
        """
        return self._execute(requests.add_messages(key, messages, expected_revision, status))

    def set_messages(
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
            >>> from chatstore import ChatMessage, open_store
            >>> with open_store("memory://") as store:
            ...     store.set_messages("user1", [ChatMessage("Hello")])
            ...     store.set_messages("user1", [])
            ...     store.get_keys()
            []
        """
        self._execute(requests.set_messages(key, messages, expected_revision, status))

    def update_message(
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
            >>> from chatstore import ChatMessage, open_store
            >>> with open_store("memory://") as store:
            ...     _ = store.add_message("user1", ChatMessage("Helo"))
            ...     store.update_message("user1", -1, ChatMessage("Hello")).content
            'Helo'
        """
        request = requests.update_message(key, idx, message, expected_revision)
        return codec.decode_one(self._execute(request))

    def delete_message(
        self, key: str, idx: int, *, expected_revision: Expected = None
    ) -> ChatMessage | None:
        """Remove the message at `idx`, counted as in a list, and return it.

        Returns:
            The message; `None` if `idx` is out of range.

        Raises:
            ConflictError: See `expected_revision` above.

        Example:
            >>> from chatstore import ChatMessage, open_store
            >>> with open_store("memory://") as store:
            ...     _ = store.add_messages("user1", [ChatMessage("a"), ChatMessage("b")])
            ...     store.delete_message("user1", 0).content
            'a'
        """
        request = requests.delete_message(key, idx, expected_revision)
        return codec.decode_one(self._execute(request))

    def delete_last_message(
        self, key: str, *, expected_revision: Expected = None
    ) -> ChatMessage | None:
        """Remove the newest message and return it; `None` if there is none.

        Raises:
            ConflictError: See `expected_revision` above.

        Example:
            >>> from chatstore import open_store
            >>> with open_store("memory://") as store:
            ...     print(store.delete_last_message("nobody"))
            None
        """
        return self.delete_message(key, -1, expected_revision=expected_revision)

    def delete_messages(
        self, key: str, *, status: Status | None = None, expected_revision: Expected = None
    ) -> list[ChatMessage] | None:
        """Remove the conversation and return what it held; `None` if it did not exist.

        With a status, only the messages of that status are removed.

        The text may stay in the files until it is overwritten; see `erase`.

        Raises:
            ConflictError: See `expected_revision` above.

        Example:
            >>> from chatstore import ChatMessage, open_store
            >>> with open_store("memory://") as store:
            ...     _ = store.add_message("user1", ChatMessage("Hello"))
            ...     len(store.delete_messages("user1"))
            1
        """
        rows = self._execute(requests.delete_messages(key, expected_revision, status))
        return None if rows is None else codec.decode_all(rows)

    def archive_messages(
        self, key: str, n: int, *, expected_revision: Expected = None
    ) -> list[ChatMessage]:
        """Make the oldest `n` active messages archived and return them; fewer if there are fewer.

        Archived messages keep their place: they are read with all others, or by their status.

        Raises:
            ValueError: `n` is negative.
            ConflictError: See `expected_revision` above.

        Example:
            >>> from chatstore import ChatMessage, open_store
            >>> with open_store("memory://") as store:
            ...     _ = store.add_messages("user1", [ChatMessage("a"), ChatMessage("b")])
            ...     _ = store.archive_messages("user1", 1)
            ...     store.count_messages("user1", status="archived")
            1
        """
        request = requests.archive_messages(key, n, expected_revision)
        return codec.decode_all(self._execute(request))

    # Reading messages

    def get_messages(
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
            >>> from chatstore import ChatMessage, open_store
            >>> with open_store("memory://") as store:
            ...     _ = store.add_messages("user1", [ChatMessage(text) for text in "abc"])
            ...     [m.content for m in store.get_messages("user1", last=2)]
            ['b', 'c']
        """
        rows = self._execute(requests.read(key, last, start, stop, status))
        return codec.decode_all(rows, strict=self._strict)

    def get_records(
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
            >>> from chatstore import ChatMessage, open_store
            >>> with open_store("memory://") as store:
            ...     _ = store.add_message("user1", ChatMessage("Hello", id="m1"))
            ...     [(r.id, r.format, r.text) for r in store.get_records("user1")]
            [('m1', 'chatstore', 'Hello')]
        """
        rows = self._execute(requests.read(key, last, start, stop, status))
        return codec.records(rows, strict=self._strict)

    def get_message(self, key: str, idx: int) -> ChatMessage | None:
        """The message at `idx`, counted as in a list; `None` if `idx` is out of range.

        Example:
            >>> from chatstore import ChatMessage, open_store
            >>> with open_store("memory://") as store:
            ...     _ = store.add_message("user1", ChatMessage("Hello"))
            ...     store.get_message("user1", -1).content
            'Hello'
        """
        rows = self._execute(requests.read_one(key, idx))
        return codec.decode_one(rows[0] if rows else None, strict=self._strict)

    def iter_messages(self, key: str) -> Iterator[ChatMessage]:
        """The messages of a conversation, oldest first, read in pages as they are asked for.

        Nothing is locked between pages, and the store can be used inside the loop. What is there
        all the time comes once. What is written meanwhile behind the place of the iteration is
        seen, too, and so are all messages of a `set_messages`: they are new, and come behind those
        that were read. The removal of the conversation ends it, even if another is there since.

        Example:
            >>> from chatstore import ChatMessage, open_store
            >>> with open_store("memory://") as store:
            ...     _ = store.add_messages("user1", [ChatMessage(text) for text in "abc"])
            ...     for message in store.iter_messages("user1"):
            ...         print(message.content, end=" ")
            a b c
        """
        return self._pages(arguments.check_key(key))

    def _pages(self, key: str) -> Iterator[ChatMessage]:
        after = None
        while rows := self._execute(operations.ReadAfter(key, after, PAGE)):
            yield from codec.decode_all(rows, strict=self._strict)
            after = rows[-1]

    def count_messages(self, key: str, *, status: Status | None = None) -> int:
        """How many messages a conversation holds, of one status or in all; 0 if it does not exist.

        Raises:
            ValueError: No such status.

        Example:
            >>> from chatstore import open_store
            >>> with open_store("memory://") as store:
            ...     store.count_messages("nobody")
            0
        """
        return self._execute(requests.count_messages(key, status))

    # Conversations

    def get_keys(
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
            >>> from chatstore import ChatMessage, open_store
            >>> with open_store("memory://") as store:
            ...     for key in ("b", "a", "c"):
            ...         _ = store.add_message(key, ChatMessage("Hello"))
            ...     store.get_keys(after="a", limit=1)
            ['b']
        """
        return self._execute(requests.get_keys(prefix, after, limit))

    def get_conversations(
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
            >>> from chatstore import ChatMessage, open_store
            >>> with open_store("memory://") as store:
            ...     _ = store.add_message("user1", ChatMessage("Hello"))
            ...     [(c.key, c.count) for c in store.get_conversations(limit=50)]
            [('user1', 1)]
        """
        return self._execute(requests.get_conversations(order, after, limit, prefix))

    def get_conversation(self, key: str) -> Conversation | None:
        """What is known of a conversation; `None` if it does not exist.

        Example:
            >>> from chatstore import ChatMessage, open_store
            >>> with open_store("memory://") as store:
            ...     _ = store.add_message("user1", ChatMessage("Hello"))
            ...     store.get_conversation("user1").count
            1
        """
        return self._execute(requests.get_conversation(key))

    def set_metadata(
        self, key: str, metadata: dict[str, Any], *, expected_revision: Expected = None
    ) -> bool:
        """Replace what is kept beside a conversation; `{}` at first. It counts as a write.

        Returns:
            Whether the conversation exists; if not, nothing is created.

        Raises:
            InvalidMessageError: It is not a dict that JSON can hold; the text names the path.
            ConflictError: See `expected_revision` above.

        Example:
            >>> from chatstore import ChatMessage, open_store
            >>> with open_store("memory://") as store:
            ...     _ = store.add_message("user1", ChatMessage("Hello"))
            ...     _ = store.set_metadata("user1", {"title": "Greeting"})
            ...     store.get_conversation("user1").metadata
            {'title': 'Greeting'}
        """
        return self._execute(requests.set_metadata(key, metadata, expected_revision))

    def set_ttl(self, key: str, ttl: float | None, *, expected_revision: Expected = None) -> bool:
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
            >>> from chatstore import open_store
            >>> with open_store("memory://") as store:
            ...     store.set_ttl("nobody", 300)
            False
        """
        return self._execute(requests.set_ttl(key, ttl, expected_revision))

    def purge_expired(self) -> int:
        """Free what expired conversations take; they are absent from every call already.

        Returns:
            How many conversations were freed. 0 on Redis, which frees by itself.

        Example:
            >>> from chatstore import open_store
            >>> with open_store("memory://") as store:
            ...     store.purge_expired()
            0
        """
        return self._execute(operations.PurgeExpired())

    def copy_conversation(self, key: str, to_key: str, stop: int | None = None) -> int:
        """Fork a conversation: store its messages, or `messages[:stop]`, under another key.

        Ids, times, statuses and metadata come along; the ttl too, restarted.

        Returns:
            How many messages were copied.

        Raises:
            KeyNotFoundError: There is no conversation under `key`.
            ConflictError: There is one under `to_key`.
            ValueError: `stop` leaves nothing to copy.

        Example:
            >>> from chatstore import ChatMessage, open_store
            >>> with open_store("memory://") as store:
            ...     _ = store.add_messages("user1", [ChatMessage("a"), ChatMessage("b")])
            ...     store.copy_conversation("user1", "user1/fork", stop=1)
            1
        """
        return self._execute(requests.copy_conversation(key, to_key, stop))

    def erase(self, key: str) -> bool:
        """Remove a conversation and make its text gone from the store's own files.

        On SQLite the text is gone from the database and its write-ahead log when this returns.
        No store can reach backups, exports, replicas, or what a disk keeps of overwritten blocks;
        PostgreSQL keeps dead rows until VACUUM, Redis its append-only file until it is rewritten.

        Returns:
            Whether the conversation existed.

        Raises:
            StoreBusyError: It is removed, but a reader keeps the old text alive; call it again.

        Example:
            >>> from chatstore import open_store
            >>> with open_store("memory://") as store:
            ...     store.erase("nobody")
            False
        """
        return self._execute(requests.erase(key))

    # Upkeep

    def export_json(
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
            >>> from chatstore import ChatMessage, open_store
            >>> file = io.BytesIO()
            >>> with open_store("memory://") as store:
            ...     _ = store.add_message("user1", ChatMessage("Hello"))
            ...     store.export_json(file, format="jsonl").messages
            1
        """
        from chatstore.transfer.export import export_json

        return export_json(
            self._snapshot, target, source=repr(self), format=format, progress=progress
        )

    def import_json(
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
            >>> from chatstore import open_store
            >>> file = io.StringIO('{"store": {"user1": [{"role": "user", "content": "Hello"}]}}')
            >>> with open_store("memory://") as store:
            ...     _ = store.import_json(file, format="json")
            ...     store.get_keys()
            ['user1']
        """
        from chatstore.transfer.restore import import_json

        return import_json(
            self._restore, source, on_conflict=on_conflict, format=format, progress=progress
        )

    def check(self) -> CheckReport:
        """Look for damage: in the database, in order and counts, in messages. Nothing is repaired.

        Example:
            >>> from chatstore import open_store
            >>> with open_store("memory://") as store:
            ...     store.check().ok
            True
        """
        return self._execute(operations.Check())

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections. Closing twice is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise errors.not_copied(self)

    # What a store is made of

    @abstractmethod
    def _execute(self, operation: operations.Operation[T]) -> T:
        """Carry out an operation, whole or not at all."""

    @abstractmethod
    def _snapshot(self) -> AbstractContextManager[Snapshot]:
        """All conversations by key, each with its rows, from one moment if the store can."""

    @abstractmethod
    def _restore(self, stream: Callable[[], Stream], on_conflict: OnConflict) -> TransferReport:
        """Store conversations as they were elsewhere, all or none.

        `stream` may be called more than once; each time it begins anew, and is closed here.
        """
