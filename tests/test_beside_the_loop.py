"""What takes long is done in a thread, so that the other tasks of a loop go on."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from chatstore import AsyncChatStore, ChatMessage, codec, open_async_store
from chatstore.aio import LONG

CALLS: dict[str, Callable[[AsyncChatStore], Awaitable[Any]]] = {
    "get_messages": lambda store: store.get_messages("k"),
    "get_records": lambda store: store.get_records("k"),
    "add_messages": lambda store: store.add_messages("k", [ChatMessage("a")] * (LONG + 1)),
    "set_messages": lambda store: store.set_messages("k", [ChatMessage("a")] * (LONG + 1)),
    "delete_messages": lambda store: store.delete_messages("k"),
    "archive_messages": lambda store: store.archive_messages("k", LONG + 1),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_many_messages_are_not_worked_on_in_the_loop(
    call: Callable[[AsyncChatStore], Awaitable[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()

    def noted(function: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*args: Any, **kwargs: Any) -> Any:
            threads.add(threading.get_ident())
            return function(*args, **kwargs)

        return noting

    async def main() -> None:
        async with open_async_store("memory://") as store:
            await store.add_messages("k", [ChatMessage("a")] * (LONG + 1))
            for name in ("encode", "decode"):
                monkeypatch.setattr(codec, name, noted(getattr(codec, name)))
            await call(store)

    asyncio.run(main())
    assert threads
    assert threading.get_ident() not in threads
