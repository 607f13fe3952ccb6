"""A store is not copied, nor sent to another process: whoever tries is told what to do instead."""

import asyncio
import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from chatstore import (
    AsyncChatStore,
    AsyncRedisChatStore,
    AsyncSimpleChatStore,
    AsyncSQLChatStore,
    ChatStore,
    RedisChatStore,
    SimpleChatStore,
    SQLChatStore,
)

NOWHERE = "redis://127.0.0.1:1"
STORES: list[Callable[[], ChatStore | AsyncChatStore]] = [
    SimpleChatStore,
    AsyncSimpleChatStore,
    lambda: SQLChatStore("sqlite://"),
    lambda: AsyncSQLChatStore("sqlite://"),
    lambda: RedisChatStore(NOWHERE),  # opened only when it is used
    lambda: AsyncRedisChatStore(NOWHERE),
]
WAYS: list[Callable[[Any], object]] = [copy.copy, copy.deepcopy, pickle.dumps]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("open_one", STORES)
def test_it_says_what_to_do(
    open_one: Callable[[], ChatStore | AsyncChatStore], way: Callable[[Any], object]
) -> None:
    store = open_one()
    with pytest.raises(TypeError, match=f"{type(store).__name__} is not copied.*URL"):
        way(store)
    if isinstance(store, ChatStore):
        store.close()
    else:
        asyncio.run(store.close())
