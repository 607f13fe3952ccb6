"""One round trip a call, counted by the server and by what passes on the wire."""

from collections.abc import Callable, Iterator

import pytest
import redis

from chatstore import ChatMessage, ChatStore
from chatstore import operations as ops
from tests.redis.given import FACES, KEY, calls, opened, say, write_state
from tests.servers import FlakyProxy, RedisServer

CALLS: dict[str, Callable[[ChatStore], object]] = {
    "add_message": lambda s: s.add_message(KEY, ChatMessage("x")),
    "add_message_with_id": lambda s: s.add_message(KEY, ChatMessage("x", id="new")),
    "add_message_again": lambda s: s.add_message(KEY, ChatMessage("a", id="m1")),
    "add_messages": lambda s: s.add_messages(KEY, say(*"abcdefgh" * 10)),
    "insert": lambda s: s.add_message(KEY, ChatMessage("x"), 1),
    "set_messages": lambda s: s.set_messages(KEY, say("x", "y")),
    "get_messages": lambda s: s.get_messages(KEY),
    "last": lambda s: s.get_messages(KEY, last=2),
    "last_active": lambda s: s.get_messages(KEY, last=2, status="active"),
    "get_message": lambda s: s.get_message(KEY, -2),
    "get_records": lambda s: s.get_records(KEY, start=1, stop=3),
    "update_message": lambda s: s.update_message(KEY, 1, ChatMessage("x")),
    "delete_message": lambda s: s.delete_message(KEY, 1),
    "delete_active": lambda s: s._execute(ops.DeleteAt(KEY, 1, None, "active")),
    "delete_last_message": lambda s: s.delete_last_message(KEY),
    "delete_messages": lambda s: s.delete_messages(KEY),
    "count_messages": lambda s: s.count_messages(KEY),
    "count_active": lambda s: s.count_messages(KEY, status="active"),
    "get_conversation": lambda s: s.get_conversation(KEY),
    "set_metadata": lambda s: s.set_metadata(KEY, {"a": 1}),
    "set_ttl": lambda s: s.set_ttl(KEY, 5),
    "archive_messages": lambda s: s.archive_messages(KEY, 1),
    "delete_oldest": lambda s: s._execute(ops.DeleteOldest(KEY, 2, None)),
    "copy_conversation": lambda s: s.copy_conversation(KEY, "fork"),
    "erase": lambda s: s.erase(KEY),
    "read_state": lambda s: s._execute(ops.ReadState(KEY)),
    "write_state": lambda s: write_state(s, "new"),
    "replace_all": lambda s: write_state(s, "new", replace=True),
    "leave_all": lambda s: write_state(s, replace=True),
    "delete_state": lambda s: s._execute(ops.DeleteState(KEY, None)),
    "missing": lambda s: s.delete_messages("nobody"),
}


DEEP: list[Callable[[ChatStore, int], object]] = [
    lambda s, middle: s.add_message(KEY, ChatMessage("x")),
    lambda s, middle: s.add_message(KEY, ChatMessage("x"), middle),
    lambda s, middle: s.delete_message(KEY, middle),
    lambda s, middle: s._execute(ops.DeleteAt(KEY, middle, None, "active")),
    lambda s, middle: s.update_message(KEY, middle, ChatMessage("y")),
    lambda s, middle: s.get_message(KEY, middle),
    lambda s, middle: s.get_messages(KEY, last=20),
    lambda s, middle: s.archive_messages(KEY, 2),
    lambda s, middle: s.archive_messages(KEY, 2),
    lambda s, middle: s._execute(ops.DeleteOldest(KEY, 2, None)),
    lambda s, middle: s.get_messages(KEY, last=20, status="active"),
    lambda s, middle: s.count_messages(KEY, status="archived"),
    lambda s, middle: s.get_conversation(KEY),
]


@pytest.fixture
def proxy(redis_server: RedisServer, redis_url: str) -> Iterator[FlakyProxy]:
    with FlakyProxy(redis_server.port) as proxy:
        yield proxy


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_one_round_trip(
    redis_server: RedisServer, proxy: FlakyProxy, face: str, name: str
) -> None:
    url = redis_server.url_of(port=proxy.port)
    with opened(face, url, ttl=300) as store, redis_server.client() as raw:
        sent, ran = 0, {}
        for _ in range(2):  # the first time its script is not known
            store.set_messages(KEY, [ChatMessage("a", id="m1"), *say("b", "c", "d")])
            store.delete_messages("fork")
            raw.config_resetstat()
            before = proxy.requests
            CALLS[name](store)
            sent = proxy.requests - before
            ran = calls(raw.info("commandstats"))
        assert sent == 1
        outside = {"evalsha", "zrange"} & set(ran)
        assert "evalsha" not in ran or ran["evalsha"] == 1
        assert outside
        assert not set(ran) & {"eval", "keys", "watch", "multi", "exec", "script|load"}


def test_an_append_with_a_ttl_asks_for_these_commands_and_no_others(
    redis_server: RedisServer, redis_url: str
) -> None:
    with opened("sync", redis_url, ttl=300) as store, redis_server.client() as raw:
        store.add_message(KEY, ChatMessage("x"))
        raw.config_resetstat()
        for _ in range(100):
            store.add_message(KEY, ChatMessage("x"))
        assert calls(raw.info("commandstats")) == {
            "evalsha": 100,
            "zrange": 100,
            "time": 100,
            "zadd": 100,
            "zrem": 100,
            "pexpireat": 100,
        }


def test_the_newest_messages_are_read_by_a_plain_command(
    redis_server: RedisServer, redis_url: str
) -> None:
    with opened("sync", redis_url, ttl=300) as store, redis_server.client() as raw:
        store.add_messages(KEY, [ChatMessage("a", id="m1"), *say("b", "c")])
        for metadata in ({}, {"a": 1}):
            store.set_metadata(KEY, metadata)
            raw.config_resetstat()
            for last in range(6):
                found = store.get_messages(KEY, last=last)
                assert [message.content for message in found] == list("abc")[3 - min(last, 3) :]
            assert calls(raw.info("commandstats")) == {"zrange": 6}


def test_a_listing_brings_no_message_along(redis_server: RedisServer, redis_url: str) -> None:
    with opened("sync", redis_url) as store, redis_server.client() as raw:
        for number in range(10):
            store.add_message(f"user{number}", ChatMessage("x" * 100_000))
        before = raw.info("stats")["total_net_output_bytes"]
        assert len(store.get_conversations()) == 10
        assert raw.info("stats")["total_net_output_bytes"] - before < 100_000


def test_tasks_with_a_conversation_each_need_no_memory_of_writers(
    redis_server: RedisServer, redis_url: str
) -> None:
    """The header tells what was written last, as long as the same writer comes again."""
    import asyncio
    import random

    from chatstore import AsyncRedisChatStore
    from chatstore.redis.lanes import SHELVES

    shelves: dict[int, str] = {}
    for number in range(1000):
        shelves.setdefault(hash(f"user{number}") % SHELVES, f"user{number}")
    keys = list(shelves.values())[:20]

    async def main(raw: redis.Redis) -> None:
        async with AsyncRedisChatStore(redis_url) as store:
            for turn in range(4):
                random.shuffle(keys)
                if turn == 1:
                    raw.config_resetstat()
                await asyncio.gather(*(store.add_message(key, ChatMessage("x")) for key in keys))

    with redis_server.client() as raw:
        asyncio.run(main(raw))
        ran = calls(raw.info("commandstats"))
        assert ran["evalsha"] == 60
        assert not {"hget", "hset"} & set(ran)


def test_no_call_looks_at_a_whole_conversation(redis_server: RedisServer, redis_url: str) -> None:
    """A thousand times as many messages take as many commands."""
    with opened("sync", redis_url) as store, redis_server.client() as raw:
        net: dict[int, list[int]] = {}
        for size in (30, 30, 30_000):  # the first time, a new server does not know the scripts
            store.set_messages(KEY, say(*(["text"] * size)))
            store.add_message(KEY, ChatMessage("x"), size // 2)
            sent = []
            for call in DEEP:
                raw.config_resetstat()
                call(store, size // 2)
                ran = calls(raw.info("commandstats"))
                sent.append(sum(ran.values()))
            net[size] = sent
        assert net[30] == net[30_000]


def test_tasks_that_wait_together_share_round_trips(
    redis_server: RedisServer, proxy: FlakyProxy
) -> None:
    import asyncio

    from chatstore import AsyncRedisChatStore

    async def main() -> None:
        async with AsyncRedisChatStore(redis_server.url_of(port=proxy.port)) as store:
            await store.add_message(KEY, ChatMessage("x"))
            before = proxy.requests
            await asyncio.gather(*(store.add_message(KEY, ChatMessage(str(i))) for i in range(100)))
            assert proxy.requests - before < 15
            assert await store.count_messages(KEY) == 101

    asyncio.run(main())
