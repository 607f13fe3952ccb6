"""How fast do 50 tasks append to Redis, beside LlamaIndex's RedisChatStore?

It needs `llama-index-storage-chat-store-redis`. Where that is not installed, only the commands that
it sends are asked, which is kinder to it: it encodes with pydantic besides.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from importlib.util import find_spec
from typing import Any

import redis.asyncio

from benchmarks.harness import Answer, at_least, draft, message
from benchmarks.redis_server import bench, show
from chatstore import AsyncRedisChatStore

TASKS, EACH = 50, 20


async def crowd(append: Callable[[], Awaitable[Any]]) -> float:
    """Seconds for one append."""

    async def work() -> None:
        for _ in range(EACH):
            await append()

    await append()
    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(TASKS)))
    return (time.perf_counter() - start) / (TASKS * EACH)


async def ours(url: str) -> float:
    said = message()
    async with AsyncRedisChatStore(url, ttl=300) as store:
        return await crowd(lambda: store.add_message("k", said))


async def theirs(url: str) -> float:
    from llama_index.core.llms import ChatMessage
    from llama_index.storage.chat_store.redis import RedisChatStore

    said = ChatMessage(role="user", content=message().content)
    async with redis.asyncio.Redis.from_url(url) as client:
        store = RedisChatStore(aredis_client=client, redis_url=url, ttl=300)
        return await crowd(lambda: store.async_add_message("list", said))


async def commands(url: str) -> float:
    payload = draft().payload
    async with redis.asyncio.Redis.from_url(url) as client:

        async def append() -> None:
            await client.rpush("list", payload)
            await client.expire("list", 300)

        return await crowd(append)


def answers() -> Iterator[Answer]:
    with bench() as (url, _, _store):
        others = {"LlamaIndex's": theirs, "LlamaIndex's bare commands": commands}
        if find_spec("llama_index.storage.chat_store.redis") is None:
            del others["LlamaIndex's"]
        for name, other in others.items():
            yield at_least(
                f"Redis: 50 tasks append with a ttl, beside {name}",
                2,
                lambda: asyncio.run(ours(url)),
                lambda other=other: asyncio.run(other(url)),
                rounds=7,
            )


if __name__ == "__main__":
    show(answers)
