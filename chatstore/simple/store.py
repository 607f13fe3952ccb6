"""`SimpleChatStore`, in memory, and its async face."""

import copy
import io
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from chatstore import arguments, clock, codec, errors
from chatstore import operations as ops
from chatstore.aio import AsyncChatStore
from chatstore.arguments import ABSENT, Expected, Window
from chatstore.records import CheckReport, Conversation, Draft, Row
from chatstore.settle import in_thread
from chatstore.simple.conversation import Held
from chatstore.store import ChatStore
from chatstore.transfer import NEW, OnConflict, Snapshot, Stream, TransferReport

T = TypeVar("T")


class SimpleChatStore(ChatStore):
    """The store in memory; it lasts as long as the process, or as the file that it is written to.

    It keeps encoded messages, so that it behaves as the durable stores do. Its JSON is that of
    LlamaIndex's `SimpleChatStore`: files pass both ways.

    Args:
        ttl: Seconds that new conversations live after each write; `None`: for ever.
        namespace: Taken so that stores can be swapped; a store in memory is alone in any case.
        strict: Raise for a message that cannot be decoded, instead of returning an
            `UndecodableMessage`.

    Example:
        >>> from chatstore import ChatMessage
        >>> store = SimpleChatStore()
        >>> _ = store.add_message("user1", ChatMessage("Hello"))
        >>> SimpleChatStore.parse_raw(store.json()).get_messages("user1")[0].content
        'Hello'
    """

    def __init__(
        self, *, ttl: float | None = None, namespace: str = "", strict: bool = False
    ) -> None:
        arguments.check_namespace(namespace)
        self._ttl = arguments.ttl_in_us(ttl)
        self._strict = strict
        self._lock = threading.RLock()
        self._held: dict[str, Held] = {}
        self._incarnations = 0
        self._closed = False

    def __repr__(self) -> str:
        return "SimpleChatStore()"

    def persist(self, persist_path: str | os.PathLike[str] = "chat_store.json") -> None:
        """Write everything to a JSON file; a failure leaves the old file as it was.

        Example:
            >>> import tempfile, pathlib
            >>> path = pathlib.Path(tempfile.mkdtemp()) / "chat_store.json"
            >>> SimpleChatStore().persist(path)
            >>> SimpleChatStore.from_persist_path(path).get_keys()
            []
        """
        self.export_json(persist_path, format="json")

    @classmethod
    def from_persist_path(
        cls, persist_path: str | os.PathLike[str] = "chat_store.json", **options: Any
    ) -> Self:
        """The store that a file holds; an empty one if there is no file yet.

        Args:
            persist_path: What `persist`, or LlamaIndex's, wrote.
            **options: Those of `SimpleChatStore`.

        Raises:
            TransferError: The file is damaged.
        """
        store = cls(**options)
        if Path(persist_path).exists():
            store.import_json(persist_path, format="json")
        return store

    def json(self) -> str:
        """Everything, as the JSON text that `persist` writes."""
        file = io.StringIO()
        self.export_json(file, format="json")
        return file.getvalue()

    @classmethod
    def parse_raw(cls, text: str, **options: Any) -> Self:
        """The store that the JSON text of `json()` holds.

        Raises:
            TransferError: The text is damaged.
        """
        store = cls(**options)
        store.import_json(io.StringIO(text), format="json")
        return store

    def close(self) -> None:
        """Forget everything. Closing twice is fine."""
        self._closed = True

    # Operations

    def _execute(self, operation: ops.Operation[T]) -> T:
        with self._lock:
            if self._closed:
                raise errors.closed()
            return cast(T, _CARRY_OUT[type(operation)](self, operation))

    def _find(self, key: str, expected: Expected = None) -> Held | None:
        held = self._held.get(key)
        if held is not None and held.expires_at is not None and held.expires_at <= clock.now():
            held = None
        if expected is not None and (held.revision if held else ABSENT) != expected:
            raise errors.conflict(key)
        return held

    def _new(self, key: str) -> Held:
        self._incarnations += 1
        now = clock.now()
        return Held(key, self._incarnations, self._ttl, now, now)

    def _keep(self, held: Held) -> None:
        held.touched(clock.now())
        if held.rows:
            self._held[held.key] = held
        else:
            self._held.pop(held.key, None)

    def _append(self, op: ops.Append) -> list[str]:
        return self._add(op.key, op.drafts, op.expected, lambda held, new: held.append(new))

    def _insert(self, op: ops.Insert) -> list[str]:
        return self._add(
            op.key, (op.draft,), op.expected, lambda held, new: [held.insert(op.idx, new[0])]
        )

    def _add(
        self,
        key: str,
        drafts: Sequence[Draft],
        expected: Expected,
        place: Callable[[Held, list[Draft]], list[Row]],
    ) -> list[str]:
        held = self._find(key) or self._new(key)
        new = held.unknown(drafts)
        made: Iterator[Row] = iter(())
        if new:
            self._find(key, expected)
            made = iter(row for row in place(held, new) if row.id is None)
            self._keep(held)
        return [next(made).record_id if draft.id is None else draft.id for draft in drafts]

    def _replace(self, op: ops.Replace) -> None:
        held = copy.copy(self._find(op.key, op.expected) or self._new(op.key))
        held.rows, gone = held.without(op.status)
        new = held.unknown(op.drafts)
        if new or gone:
            held.append(new)
            self._keep(held)

    def _update(self, op: ops.Update) -> Row | None:
        held = self._find(op.key, op.expected)
        place = None if held is None else held.place(op.idx)
        if held is None or place is None:
            return None
        old = held.rows[place]
        if op.draft.id not in (None, old.id) and any(r.id == op.draft.id for r in held.rows):
            raise errors.duplicate(op.key, op.draft.id)
        draft = op.draft._replace(archived=bool(old.archived))
        held.rows[place] = Row(old.conversation, old.ordinal, old.serial, *draft)
        self._keep(held)
        return old

    def _delete_at(self, op: ops.DeleteAt) -> Row | None:
        held = self._find(op.key, op.expected)
        place = None if held is None else held.place(op.idx)
        if held is None or place is None:
            return None
        row = held.rows.pop(place)
        self._keep(held)
        return row

    def _delete(self, op: ops.Delete) -> list[Row] | None:
        held = self._find(op.key, op.expected)
        if held is None:
            return None
        held.rows, gone = held.without(op.status)
        if gone:
            self._keep(held)
        return gone

    def _archive(self, op: ops.Archive) -> list[Row]:
        held = self._find(op.key, op.expected)
        rows = [] if held is None else held.archive(op.n)
        if held is not None and rows:
            self._keep(held)
        return rows

    def _read(self, op: ops.Read) -> list[Row]:
        held = self._find(op.key)
        return [] if held is None else held.window(op.window)

    def _read_after(self, op: ops.ReadAfter) -> list[Row]:
        held = self._find(op.key)
        return [] if held is None else held.after(op.after, op.limit)

    def _count(self, op: ops.Count) -> int:
        held = self._find(op.key)
        return 0 if held is None else len(held.window(Window(status=op.status)))

    def _live(self, prefix: str = "") -> list[Held]:
        """By key."""
        found = (self._find(key) for key in sorted(self._held) if key.startswith(prefix))
        return [held for held in found if held is not None]

    def _list_keys(self, op: ops.ListKeys) -> list[str]:
        keys = [held.key for held in self._live(op.prefix)]
        return [key for key in keys if op.after is None or key > op.after][: op.limit]

    def _list_conversations(self, op: ops.ListConversations) -> list[Conversation]:
        found, after = self._live(op.prefix), op.after
        if op.order == "key":
            if after is not None:
                last = after if isinstance(after, str) else after.key
                found = [held for held in found if held.key > last]
        else:
            found.sort(key=lambda held: (held.updated_at, held.key), reverse=True)
            if isinstance(after, str):
                held = self._find(after)
                if held is None:
                    raise errors.missing(after)
                after = held.describe()
            if after is not None:
                mark = (clock.read(after.updated_at), after.key)
                found = [held for held in found if (held.updated_at, held.key) < mark]
        return [held.describe() for held in found[: op.limit]]

    def _describe(self, op: ops.Describe) -> Conversation | None:
        held = self._find(op.key)
        return None if held is None else held.describe()

    def _set_metadata(self, op: ops.SetMetadata) -> bool:
        held = self._find(op.key, op.expected)
        if held is None:
            return False
        held.metadata = op.metadata
        self._keep(held)
        return True

    def _set_ttl(self, op: ops.SetTTL) -> bool:
        held = self._find(op.key, op.expected)
        if held is None:
            return False
        held.ttl = op.ttl
        self._keep(held)
        return True

    def _purge_expired(self, op: ops.PurgeExpired) -> int:
        before = len(self._held)
        self._held = {held.key: held for held in self._live()}
        return before - len(self._held)

    def _copy(self, op: ops.Copy) -> int:
        source = self._find(op.key)
        if source is None:
            raise errors.missing(op.key)
        if self._find(op.to_key) is not None:
            raise errors.exists(op.to_key)
        drafts = [row.draft for row in source.rows[: op.stop]]
        if not drafts:
            raise errors.nothing_to_copy(op.key)
        target = self._new(op.to_key)
        target.ttl, target.metadata = source.ttl, source.metadata
        target.append(drafts)
        self._keep(target)
        return len(drafts)

    def _erase(self, op: ops.Erase) -> bool:
        existed = self._find(op.key) is not None
        self._held.pop(op.key, None)  # what has expired is absent, but its text is not yet gone
        return existed

    def _check(self, op: ops.Check) -> CheckReport:
        live = self._live()
        rows = [(held.key, row) for held in live for row in held.rows]
        problems = [fault for key, row in rows for fault in codec.faults(key, row)]
        return CheckReport(len(live), len(rows), problems)

    # Transfer

    @contextmanager
    def _snapshot(self) -> Iterator[Snapshot]:
        with self._lock:
            if self._closed:
                raise errors.closed()
            frozen = [(held.describe(), list(held.rows)) for held in self._live()]
        yield Snapshot(sum(len(rows) for _, rows in frozen), True, iter(frozen))

    def _restore(self, stream: Callable[[], Stream], on_conflict: OnConflict) -> TransferReport:
        with self._lock:
            if self._closed:
                raise errors.closed()
            before = copy.deepcopy(self._held) if on_conflict == "append" else dict(self._held)
            try:
                return self._take_in(stream(), on_conflict)
            except BaseException:
                self._held = before
                raise

    def _take_in(self, stream: Stream, on_conflict: OnConflict) -> TransferReport:
        stored = skipped = messages = 0
        for conversation, drafts in stream:
            held = self._find(conversation.key)
            if held is not None and on_conflict == "error":
                raise errors.occupied(conversation.key)
            if held is not None and on_conflict == "skip":
                skipped += 1
                continue
            target = held if held is not None and on_conflict == "append" else None
            new = (target or self._new(conversation.key)).unknown(list(drafts))
            if target is not None:
                target.append(new)
                self._keep(target)
            else:
                self._held[conversation.key] = self._as_it_was(conversation, new)
            stored, messages = stored + 1, messages + len(new)
        return TransferReport(stored, messages, skipped)

    def _as_it_was(self, conversation: Conversation, drafts: list[Draft]) -> Held:
        held = self._new(conversation.key)
        held.append(drafts)
        held.created_at = clock.read(conversation.created_at)
        held.updated_at = clock.read(conversation.updated_at)
        held.metadata = codec.encode_metadata(conversation.metadata)
        if conversation.revision == NEW:
            held.expires_at = None if held.ttl is None else clock.now() + held.ttl
            return held
        held.ttl = arguments.ttl_in_us(conversation.ttl)
        expires_at = conversation.expires_at
        held.expires_at = None if expires_at is None else clock.read(expires_at)
        return held


_CARRY_OUT: dict[type[ops.Operation[Any]], Callable[[SimpleChatStore, Any], Any]] = {
    ops.Append: SimpleChatStore._append,
    ops.Insert: SimpleChatStore._insert,
    ops.Replace: SimpleChatStore._replace,
    ops.Update: SimpleChatStore._update,
    ops.DeleteAt: SimpleChatStore._delete_at,
    ops.Delete: SimpleChatStore._delete,
    ops.Archive: SimpleChatStore._archive,
    ops.Read: SimpleChatStore._read,
    ops.ReadAfter: SimpleChatStore._read_after,
    ops.Count: SimpleChatStore._count,
    ops.ListKeys: SimpleChatStore._list_keys,
    ops.ListConversations: SimpleChatStore._list_conversations,
    ops.Describe: SimpleChatStore._describe,
    ops.SetMetadata: SimpleChatStore._set_metadata,
    ops.SetTTL: SimpleChatStore._set_ttl,
    ops.PurgeExpired: SimpleChatStore._purge_expired,
    ops.Copy: SimpleChatStore._copy,
    ops.Erase: SimpleChatStore._erase,
    ops.Check: SimpleChatStore._check,
}


class AsyncSimpleChatStore(AsyncChatStore):
    """`SimpleChatStore` for callers that await; nothing in it waits.

    Args:
        ttl: As in `SimpleChatStore`.
        namespace: As in `SimpleChatStore`.
        strict: As in `SimpleChatStore`.
    """

    def __init__(
        self, *, ttl: float | None = None, namespace: str = "", strict: bool = False
    ) -> None:
        self._store = SimpleChatStore(ttl=ttl, namespace=namespace, strict=strict)
        self._strict = strict

    def __repr__(self) -> str:
        return "AsyncSimpleChatStore()"

    async def persist(self, persist_path: str | os.PathLike[str] = "chat_store.json") -> None:
        """Write everything to a JSON file; a failure leaves the old file as it was."""
        await in_thread(self._store.persist, persist_path)

    @classmethod
    async def from_persist_path(
        cls, persist_path: str | os.PathLike[str] = "chat_store.json", **options: Any
    ) -> Self:
        """The store that a file holds; an empty one if there is no file yet."""
        store = cls(**options)
        store._store = await in_thread(SimpleChatStore.from_persist_path, persist_path, **options)
        return store

    async def close(self) -> None:
        """Forget everything. Closing twice is fine."""
        self._store.close()

    async def _execute(self, operation: ops.Operation[T]) -> T:
        return self._store._execute(operation)

    def _blocking(self) -> SimpleChatStore:
        return self._store
