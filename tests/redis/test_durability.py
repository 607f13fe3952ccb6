"""What survives: kill -9, eviction, a full server, a fail-over."""

import threading
import time
from typing import Any

import pytest

from chatstore import ChatMessage, ChatStoreError, RedisChatStore, StoreFullError
from chatstore import operations as ops
from chatstore.redis import retries
from tests.redis.given import FACES, KEY, held, opened, say
from tests.servers import FLAVOURS, RedisSentinel, RedisServer
from tests.servers.fixtures import Running
from tests.servers.process import wait_until

TEXT = "x" * 2000


@pytest.mark.parametrize("flavour", ["redis", pytest.param("valkey", marks=pytest.mark.torture)])
def test_kill_9_with_appendfsync_always_loses_nothing_confirmed(
    running: Running, flavour: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "RETRIES", 2)  # it is down until the call has given up
    server = running(RedisServer(flavour, aof="always"))
    confirmed: list[str] = []
    with opened("sync", server.url, ttl=300) as store:
        for turn in range(2):
            killer = threading.Timer(0.15, server.kill9)
            killer.start()
            try:
                for number in range(100_000):
                    text = f"{turn}.{number}"
                    store.add_message(KEY, ChatMessage(text, id=text))
                    confirmed.append(text)
            except ChatStoreError:
                pass
            killer.join()
            server.start()
        found = held(store)
        assert len(confirmed) > 20
        # What was confirmed is there, in order; what was not may be, once.
        assert [text for text in found if text in set(confirmed)] == confirmed
        assert len(found) <= len(confirmed) + 3
        assert store.check().ok


@pytest.mark.parametrize("face", FACES)
def test_a_full_server_refuses_and_nothing_is_half_done(running: Running, face: str) -> None:
    server = running(RedisServer(maxmemory="4mb", maxmemory_policy="noeviction"))
    with opened(face, server.url, ttl=300) as store, server.client() as raw:
        store.add_messages("small", [ChatMessage("a", id="m1"), *say("b", "c")])
        filled = 0
        with pytest.raises(StoreFullError, match="maxmemory"):  # noqa: PT012
            while True:
                store.add_messages(KEY, say(*[TEXT] * 10))
                filled += 1
        limit = raw.info("memory")["used_memory"] - 100_000
        raw.config_set("maxmemory", limit)
        before = {name: raw.dump(name) for name in raw.scan_iter()}
        for call in (
            lambda: store.add_message(KEY, ChatMessage("y")),
            lambda: store.add_message("new", ChatMessage("y")),
            lambda: store.add_message("small", ChatMessage("y"), 1),
            lambda: store.set_messages("small", say("y")),
            lambda: store.update_message("small", 0, ChatMessage("y")),
            lambda: store.archive_messages("small", 1),
            lambda: store.set_metadata("small", {"a": 1}),
            lambda: store.copy_conversation("small", "fork"),
        ):
            with pytest.raises(StoreFullError):
                call()
        assert {name: raw.dump(name) for name in raw.scan_iter()} == before
        assert store.count_messages(KEY) == 10 * filled
        assert store.check().ok
        # What takes room away is allowed.
        assert store.delete_last_message("small") is not None
        assert len(store._execute(ops.DeleteOldest("small", 1, None))) == 1
        assert store.erase(KEY)
        # Memory is freed beside the commands.
        wait_until(lambda: raw.info("memory")["used_memory"] < limit, "freed memory")
        store.add_message("small", ChatMessage("y"))


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_under_eviction_a_conversation_is_whole_or_absent(running: Running, flavour: Any) -> None:
    server = running(RedisServer(flavour, maxmemory="4mb", maxmemory_policy="allkeys-lru"))
    size, written = 5, 600
    with opened("sync", server.url, ttl=3000) as store, server.client() as raw:
        for number in range(written):
            store.add_messages(
                f"u{number}", [ChatMessage(f"{i}{TEXT}", id=str(i)) for i in range(size)]
            )
            store.set_metadata(f"u{number}", {"n": number})
        assert raw.info("stats")["evicted_keys"] > 500
        whole = 0
        for number in range(written):
            key = f"u{number}"
            conversation = store.get_conversation(key)
            found = store.get_messages(key)
            assert len(found) in (0, size)
            if conversation is not None and found:
                whole += 1
                assert conversation.metadata == {"n": number}
                assert conversation.count == size
        assert 100 < whole < written
        assert store.check().ok


@pytest.mark.torture
@pytest.mark.parametrize("face", FACES)
def test_a_fail_over_under_load_loses_nothing_confirmed(running: Running, face: str) -> None:
    _fail_over(running, face, seconds=6)


def _fail_over(running: Running, face: str, seconds: float) -> None:
    # Without a file the dead master comes back empty. A sentinel in a hurry, as these are, may take
    # it for the master again, and all is lost: nothing that a client does could save it.
    group = running(RedisSentinel(aof="always"))
    confirmed: list[list[str]] = [[] for _ in range(4)]
    failures: list[str] = []
    stop = threading.Event()

    def write(store: RedisChatStore, who: int) -> None:
        number = 0
        while not stop.is_set():
            text = f"{who}.{number}"
            try:
                store.add_message(f"user{who}", ChatMessage(text, id=text))
            except ChatStoreError as error:
                failures.append(f"{type(error).__name__}: {error}"[:90])
                time.sleep(0.02)
                continue  # the same message again: it has an id
            confirmed[who].append(text)
            number += 1

    with opened(face, group.url, ttl=3000, wait_replicas=1, wait_ms=200) as store:
        threads = [threading.Thread(target=write, args=(store, who)) for who in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(seconds / 3)
        # The replica falls behind, and then the master dies: what only it had is gone.
        group.replicas[0].pause()
        time.sleep(0.3)
        dead = group.kill_master()
        group.replicas[0].resume()
        group.wait_failover(dead)
        dead.start()  # comes back, as a replica, and can confirm
        time.sleep(seconds / 2)
        stop.set()
        for thread in threads:
            thread.join()
        for who in range(4):
            found = held(store, f"user{who}")
            lost = set(confirmed[who]) - set(found)
            assert not lost
            assert len(found) == len(set(found))
            assert [text for text in found if text in set(confirmed[who])] == confirmed[who]
            assert len(confirmed[who]) > 100
        assert store.check().ok
