"""A real server for the questions about Redis, and a way to ask them: not a question itself.

    python -m benchmarks.redis_append

`CHATSTORE_TEST_REDIS_URL` is not used: these questions flush.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from redis import Redis

from benchmarks.harness import HEADER, Answer
from chatstore import RedisChatStore
from tests.servers import RedisServer


class Bench(NamedTuple):
    url: str
    raw: Redis
    store: RedisChatStore


@contextmanager
def bench() -> Iterator[Bench]:
    """A server, a client with the driver's own defaults, and a store with a ttl."""
    with (
        RedisServer() as server,
        Redis.from_url(server.url) as raw,
        RedisChatStore(server.url, ttl=300) as store,
    ):
        yield Bench(server.url, raw, store)


def show(answers: Callable[[], Iterable[Answer]]) -> None:
    print(HEADER, flush=True)
    for answer in answers():
        print(answer.line(), flush=True)
