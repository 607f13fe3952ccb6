"""`SimpleChatStore`, in memory."""

import copy
import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, Self, TypeVar, cast
from weakref import WeakSet

from chatstore import arguments, errors
from chatstore.operations import Operation
from chatstore.simple.carry import CARRY_OUT
from chatstore.simple.shelf import Shelf
from chatstore.simple.transfer import frozen, take_in
from chatstore.store import ChatStore
from chatstore.transfer import OnConflict, Snapshot, Stream, TransferReport

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
        self._shelf = Shelf(arguments.ttl_in_us(ttl))
        self._strict = strict
        self._lock = threading.RLock()
        self._closed = False
        _forks.stores.add(self)

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
            TransferError: The file is damaged, or cannot be read.
        """
        store = cls(**options)
        try:
            os.stat(persist_path)
        except FileNotFoundError:
            return store
        except (OSError, TypeError, ValueError):
            pass  # the import says what is wrong
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
        with self._lock:
            self._closed = True
            self._shelf = Shelf(self._shelf.ttl)

    def _execute(self, operation: Operation[T]) -> T:
        with self._lock:
            self._check_open()
            return cast(T, CARRY_OUT[type(operation)](self._shelf, operation))

    @contextmanager
    def _snapshot(self) -> Iterator[Snapshot]:
        with self._lock:
            self._check_open()
            found = frozen(self._shelf)
        yield Snapshot(sum(len(rows) for _, rows in found), True, iter(found))

    def _restore(self, stream: Callable[[], Stream], on_conflict: OnConflict) -> TransferReport:
        with self._lock:
            self._check_open()
            changed = copy.copy(self._shelf)
            changed.beside = dict(changed.beside)
            appends = on_conflict == "append"
            changed.held = copy.deepcopy(changed.held) if appends else dict(changed.held)
            with closing(stream()) as conversations:
                report = take_in(changed, conversations, on_conflict)
            self._shelf = changed
            return report

    def _check_open(self) -> None:
        if self._closed:
            raise errors.closed()


class _Forks:
    """Lets a fork find every store whole: no thread may be amid a change of one.

    Else the child would have half a change, and a lock whose owner does not exist there.
    """

    def __init__(self) -> None:
        self.stores: WeakSet[SimpleChatStore] = WeakSet()
        self._forking = threading.RLock()
        self._held: list[SimpleChatStore] = []

    def hold(self) -> None:
        self._forking.acquire()
        for store in self._known():
            store._lock.acquire()
            self._held.append(store)

    def _known(self) -> list[SimpleChatStore]:
        # Stores are made meanwhile, without a lock that they could wait for while they hold theirs.
        while True:
            with suppress(RuntimeError):
                return list(self.stores)

    def go_on(self) -> None:
        while self._held:
            self._held.pop()._lock.release()
        self._forking.release()


_forks = _Forks()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_forks.hold, after_in_parent=_forks.go_on, after_in_child=_forks.go_on
    )
