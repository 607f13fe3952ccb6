"""An async store, driven by callers that block, so that one suite tests both faces."""

import asyncio
import inspect
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from chatstore.aio import AsyncChatStore
from chatstore.settle import in_thread
from chatstore.store import ChatStore
from chatstore.transfer import OnConflict, Stream, TransferReport

T = TypeVar("T")


class Blocking:
    """The calls of an `AsyncChatStore` on an event loop of its own.

    Calls from several threads are several tasks on that loop, which runs in a thread of its own
    from then on. As long as one thread makes all calls, the loop runs in that thread while a call
    lasts: handing each one over to another thread takes longer than most of them. A call that comes
    from elsewhere in the meantime is a task beside it, and may be what it waits for.

    Args:
        store: The store; `stop()` does not close it.
    """

    def __init__(self, store: AsyncChatStore) -> None:
        self.store = store
        self._loop = asyncio.new_event_loop()
        self._caller = threading.get_ident()
        self._thread: threading.Thread | None = None
        self._lent = self._wanted = False
        self._turn = threading.Lock()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What the coroutine returns on the loop."""
        with self._turn:
            alone = self._thread is None and self._caller == threading.get_ident()
            if alone:
                self._lent = True
            elif self._lent:
                self._wanted = True
            else:
                self._go_on()
        if not alone:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
        try:
            return self._loop.run_until_complete(coroutine)
        finally:
            with self._turn:
                self._lent = False
                if self._wanted:
                    self._go_on()

    def _go_on(self) -> None:
        """Run the loop in its own thread, with all that was begun in it."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the loop and its threads."""
        self.run(self._loop.shutdown_asyncgens())
        self.run(self._loop.shutdown_default_executor())
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.store, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            if inspect.iscoroutine(result):
                return self.run(result)
            return self._drawn(result) if isinstance(result, AsyncGenerator) else result

        return call

    def _drawn(self, source: AsyncGenerator[T, None]) -> Iterator[T]:
        async def advance() -> tuple[T, ...]:
            async for item in source:
                return (item,)
            return ()

        try:
            while item := self.run(advance()):
                yield item[0]
        finally:
            self.run(source.aclose())

    def _restore(self, stream: Callable[[], Stream], on_conflict: OnConflict) -> TransferReport:
        async def restore() -> TransferReport:
            blocking = self.store._blocking()  # in the loop, as `import_json` asks for it
            return await in_thread(blocking._restore, stream, on_conflict)

        return self.run(restore())

    def __bool__(self) -> bool:
        return bool(self.store)

    def __repr__(self) -> str:
        return repr(self.store)

    def __enter__(self) -> Self:
        self.run(self.store.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.run(self.store.__aexit__(kind, error, trace))


def blocking(store: ChatStore | AsyncChatStore) -> ChatStore:
    """The store itself, or `Blocking` around an async one, which has every call of `ChatStore`."""
    return store if isinstance(store, ChatStore) else cast(ChatStore, Blocking(store))


def stop(store: ChatStore) -> None:
    """Close what `blocking` returned, whether or not it is closed already."""
    store.close()
    if isinstance(store, Blocking):
        store.stop()
