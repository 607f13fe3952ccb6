"""Every way in, and what a wrong one gets."""

import asyncio
import traceback
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from chatstore import (
    AsyncRedisChatStore,
    ChatMessage,
    RedisChatStore,
    StoreBusyError,
    StoreClosedError,
    StoreReadOnlyError,
    StoreUnavailableError,
    open_async_store,
    open_store,
)
from chatstore.redis import retries
from chatstore.redis.address import read
from tests.redis.given import FACES, KEY, held, opened
from tests.servers import FLAVOURS, RedisCluster, RedisSentinel, RedisServer
from tests.servers.fixtures import Running
from tests.servers.process import wait_until

SECRET = "s3cr#t/pa:ss@word"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls give up soon, for tests in which the server is down until they have given up."""
    monkeypatch.setattr(retries, "RETRIES", 2)


def works(store: Any) -> None:
    store.add_message(KEY, ChatMessage("a"))
    assert held(store) == ["a"]
    assert store.get_keys() == [KEY]
    assert store.erase(KEY)


def follows(replica: RedisServer) -> None:
    """Wait until it does."""
    with replica.client() as raw:
        wait_until(
            lambda: bool(raw.info("replication")["master_link_status"] == "up"), "replication"
        )


@pytest.mark.parametrize("face", FACES)
def test_urls_of_one_server(running: Running, face: str) -> None:
    server = running(RedisServer(password=SECRET, unix_socket=True))
    tail = server.url.removeprefix("redis://")
    for url in (server.url, server.unix_url, f"valkey://{tail}", server.url_of(db=5)):
        with opened(face, url) as store:
            works(store)
            assert SECRET not in repr(store)
            assert "s3cr" not in repr(store)


@pytest.mark.parametrize("face", FACES)
def test_the_url_of_a_cluster(redis_cluster: RedisCluster, face: str) -> None:
    redis_cluster.flush()
    with opened(face, redis_cluster.url) as store:
        works(store)


@pytest.mark.parametrize("face", FACES)
def test_the_url_of_sentinels(redis_sentinel: RedisSentinel, face: str) -> None:
    with opened(face, redis_sentinel.url) as store:
        works(store)
    with opened(face, redis_sentinel.url, wait_replicas=1) as store:
        works(store)


def test_a_store_is_opened_by_its_scheme(redis_url: str) -> None:
    with open_store(redis_url, ttl=300, prefix="other") as store:
        assert isinstance(store, RedisChatStore)
        works(store)

    async def main() -> None:
        async with open_async_store(redis_url) as store:
            assert isinstance(store, AsyncRedisChatStore)
            assert await store.get_keys() == []

    asyncio.run(main())


@pytest.mark.parametrize("decode", [False, True])
def test_a_client_of_the_callers_is_used_and_not_closed(redis_url: str, decode: bool) -> None:
    with redis.Redis.from_url(redis_url, decode_responses=decode) as client:
        with RedisChatStore(redis_client=client, ttl=300) as store:
            works(store)
            assert redis_url not in repr(store)
        assert client.ping()
        with pytest.raises(StoreClosedError):
            store.get_keys()

    async def main() -> None:
        awaited = redis.asyncio.Redis.from_url(redis_url, decode_responses=decode)
        async with awaited:
            async with AsyncRedisChatStore(redis_client=awaited) as store:
                await store.add_message(KEY, ChatMessage("a"))
                assert (await store.get_messages(KEY))[0].content == "a"
                assert await store.get_keys() == [KEY]
            assert await awaited.ping()

    asyncio.run(main())


@pytest.mark.parametrize("decode", [False, True])
def test_a_cluster_client_of_the_callers(redis_cluster: RedisCluster, decode: bool) -> None:
    redis_cluster.flush()
    port = redis_cluster.nodes[0].port
    with redis.RedisCluster(host="127.0.0.1", port=port, decode_responses=decode) as client:
        with RedisChatStore(redis_client=client) as store:
            works(store)
        assert client.ping()


def test_a_client_of_the_other_face_is_refused(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client, pytest.raises(ValueError, match="asyncio"):
        AsyncRedisChatStore(redis_client=client)
    with pytest.raises(ValueError, match="AsyncRedisChatStore"):
        RedisChatStore(redis_client=redis.asyncio.Redis())
    with pytest.raises(ValueError, match="redis_client"):
        RedisChatStore(redis_client="redis://localhost")


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3cr/et@host/0",
        "redis://host:port",
        "redis://host/notadb",
        "redis://:s3cret@host?socket_timeout=soon",
        "redis://host?bogus=s3cret",
        "redis://host?connection_class=s3cret",
        "redis://host?protocol=9",
        "rediss://host?ssl_cert_reqs=s3cret",
        "redis+sentinel://host/service?bogus=s3cret",
        "unix://",
        "redis+cluster://",
        "redis+cluster://host:1,",
        "redis+cluster://host:1/3",
        "redis+cluster://:s3cret@host:x",
        "redis+sentinel://host:1",
        "redis+sentinel://host:1/service/x",
        "redis+sentinel:///service",
        "http://host",
        "redis+other://host",
    ],
)
def test_a_wrong_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|store is opened") as caught:
        RedisChatStore(url)
    assert "s3cr" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(ValueError, match=r"URL|store is opened"):
        AsyncRedisChatStore(url)


def test_what_a_url_says() -> None:
    found = read("redis+sentinel://u:p%40@one:1,two:2,[::1]:3/the%20service/4?client_name=x")
    assert found.hosts == (("one", 1), ("two", 2), ("::1", 3))
    assert found.service == "the service"
    assert found.options == {"username": "u", "password": "p@", "db": 4, "client_name": "x"}
    assert found.where == "redis+sentinel://one:1,two:2,[::1]:3/the service/4"
    assert "p@" not in repr(found)
    assert read("rediss+cluster://one").options == {"ssl": True}
    assert read("redis://").hosts == (("localhost", 6379),)
    assert read("unix:///run/redis.sock?db=2").where == "unix:///run/redis.sock"


@pytest.mark.parametrize(
    "url", ["redis://u:p@h:1/3", "rediss://h", "unix:///x", "redis+sentinel://h/s"]
)
def test_a_url_without_options_asks_the_driver_nothing(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatstore.redis.address.ConnectionPool", None)
    assert read(url).hosts is not None
    with pytest.raises(ValueError, match="does not take"):
        read(f"{url}?connection_class=x")


@pytest.mark.parametrize(
    "options",
    [
        {"ttl": 0},
        {"ttl": -1},
        {"wait_replicas": -1},
        {"wait_ms": 0},
        {"prefix": ""},
        {"prefix": "{"},
    ],
)
def test_wrong_options_are_refused_at_once(options: dict[str, Any]) -> None:
    for make in (RedisChatStore, AsyncRedisChatStore):
        with pytest.raises(ValueError, match=next(iter(options))):
            make("redis://localhost", **options)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
def test_a_server_that_is_down_is_told_at_the_first_call(
    running: Running, face: str, scheme: str
) -> None:
    server = running(RedisServer())
    url = f"{scheme}://127.0.0.1:{server.port}"
    server.stop()
    with opened(face, url) as store:
        with pytest.raises(StoreUnavailableError, match=f"{server.port}.*Start it"):
            store.add_message(KEY, ChatMessage("a"))
        with pytest.raises(StoreUnavailableError):
            store.get_keys()
        if scheme == "redis":
            server.start()
            works(store)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("face", FACES)
def test_a_server_that_goes_and_comes_back(running: Running, face: str) -> None:
    server = running(RedisServer(aof="always"))
    with opened(face, server.url) as store:
        store.add_message(KEY, ChatMessage("before"))
        server.stop()
        with pytest.raises(StoreUnavailableError):
            store.add_message(KEY, ChatMessage("lost"))
        server.start()
        store.add_message(KEY, ChatMessage("after"))
        assert held(store) == ["before", "after"]


@pytest.mark.parametrize("face", FACES)
def test_a_wrong_password_or_none(running: Running, face: str) -> None:
    server = running(RedisServer(password=SECRET))
    here = f"127.0.0.1:{server.port}"
    for url, said in (
        (f"redis://{here}", "wants a password|refuses"),
        (f"redis://:wr0ng@{here}", "refuses the user name or the password"),
    ):
        with server.client() as raw:
            connected = raw.info("stats")["total_connections_received"]
        with opened(face, url) as store, pytest.raises(StoreUnavailableError, match=said) as caught:
            store.add_message(KEY, ChatMessage("hidden text"))
        with server.client() as raw:  # it was said once
            assert raw.info("stats")["total_connections_received"] - connected <= 3
        text = "".join(traceback.format_exception(caught.value))
        assert "wr0ng" not in text
        assert "hidden text" not in str(caught.value)


@pytest.mark.parametrize("face", FACES)
def test_an_acl_that_forbids_scripts_is_told(running: Running, face: str) -> None:
    acl = ["user chat on >secret ~* -@all +@read +@connection"]
    server = running(RedisServer(acl=acl))
    url = f"redis://chat:secret@127.0.0.1:{server.port}"
    with opened(face, url) as store, pytest.raises(StoreUnavailableError, match="ACL"):
        store.add_message(KEY, ChatMessage("a"))


@pytest.mark.parametrize(
    ("flavour", "face"),
    [(flavour, "async" if flavour == "redis" else "sync") for flavour in FLAVOURS],
)
def test_a_replica_takes_no_writes(running: Running, flavour: Any, face: str) -> None:
    master = running(RedisServer(flavour))
    with opened("sync", master.url) as store:
        store.add_message(KEY, ChatMessage("a"))
    replica = running(RedisServer(flavour, replica_of=master))
    follows(replica)
    with opened(face, replica.url) as store:
        with pytest.raises(StoreReadOnlyError, match="sentinel"):
            store.add_message(KEY, ChatMessage("b"))
        assert held(store) == ["a"]
        with replica.client() as raw:
            raw.replicaof("NO", "ONE")
        store.add_message(KEY, ChatMessage("b"))


@pytest.mark.parametrize("face", FACES)
def test_a_node_of_a_cluster_by_the_wrong_scheme(redis_cluster: RedisCluster, face: str) -> None:
    url = f"redis://127.0.0.1:{redis_cluster.nodes[0].port}"
    key = next(
        str(number)
        for number in range(100)
        if redis_cluster.node_of(f"chatstore::{{{number}}}") is not redis_cluster.nodes[0]
    )
    with opened(face, url) as store, pytest.raises(StoreUnavailableError, match="cluster://"):
        store.add_message(key, ChatMessage("a"))


@pytest.mark.parametrize("face", FACES)
def test_a_server_that_runs_a_long_script(running: Running, face: str) -> None:
    import threading

    server = running(RedisServer(config={"lua-time-limit": "20"}))
    with opened(face, server.url) as store, server.client(socket_timeout=30) as raw:
        store.add_message(KEY, ChatMessage("a"))

        def block() -> None:
            with pytest.raises(redis.ResponseError):
                raw.eval("while true do end", 0)

        thread = threading.Thread(target=block)
        thread.start()
        while thread.is_alive():
            try:
                store.add_message(KEY, ChatMessage("b"))
            except StoreBusyError:
                with server.client() as other:
                    other.script_kill()
                break
        thread.join()
        store.add_message(KEY, ChatMessage("c"))


@pytest.mark.parametrize("face", FACES)
def test_too_few_replicas_are_told(running: Running, face: str) -> None:
    server = running(RedisServer())
    with opened(face, server.url, wait_replicas=1, wait_ms=20) as store:
        with pytest.raises(StoreUnavailableError, match="0 of 1 replicas"):
            store.add_message(KEY, ChatMessage("a"))
        assert held(store) == ["a"]  # stored all the same, as the error says
        assert store.get_keys() == [KEY]


@pytest.mark.parametrize("face", FACES)
def test_replicas_confirm_in_the_same_round_trip(running: Running, face: str) -> None:
    from tests.servers import FlakyProxy

    master = running(RedisServer())
    replica = running(RedisServer(replica_of=master))
    proxy = running(FlakyProxy(master.port))
    with (
        replica.client() as raw,
        opened(face, master.url_of(port=proxy.port), wait_replicas=1) as store,
    ):
        follows(replica)
        store.add_message(KEY, ChatMessage("a"))
        before = proxy.requests
        for number in range(20):
            store.add_message(KEY, ChatMessage(str(number)))
            assert raw.zcard("chatstore::{user1}") == number + 3
        assert proxy.requests - before == 20


def test_nothing_of_the_driver_is_imported_before_a_store_is_opened() -> None:
    import subprocess
    import sys

    code = "import chatstore, sys; print('redis' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert done.stdout.strip() == "False"
