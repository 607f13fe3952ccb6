"""The whole contract on every server that is promised, and with clients that decode."""

from typing import Any

import pytest
import redis
import redis.asyncio

from chatstore import AsyncChatStore, AsyncRedisChatStore, ChatStore, RedisChatStore
from chatstore.testing import AsyncTests, DurableTests, StoreTests
from tests.backends import AsyncRedisBackend, RedisBackend
from tests.servers import RedisCluster


class Decoding(RedisBackend):
    """Stores over one client of the caller's, whose replies are text."""

    def open(self, **options: Any) -> ChatStore | AsyncChatStore:
        return RedisChatStore(redis_client=self.client, **options)


class Clustered(RedisBackend):
    """A Cluster; the back door is a client that knows its nodes."""

    def __init__(self, cluster: RedisCluster) -> None:
        self.url = cluster.url
        port = cluster.nodes[0].port
        self.client: Any = redis.RedisCluster(host="127.0.0.1", port=port, decode_responses=True)

    def close(self) -> None:
        self.client.close()


class AsyncClustered(Clustered):
    """The same for those who await."""

    def open(self, **options: Any) -> ChatStore | AsyncChatStore:
        return AsyncRedisChatStore(self.url, **options)


class TestValkeyDecoding(StoreTests, DurableTests):
    @pytest.fixture
    def backend(self, valkey_url: str) -> RedisBackend:
        return Decoding(valkey_url)


@pytest.mark.torture
class TestAsyncValkey(StoreTests, DurableTests, AsyncTests):
    @pytest.fixture
    def backend(self, valkey_url: str) -> RedisBackend:
        return AsyncRedisBackend(valkey_url)


@pytest.mark.torture
class TestRedisDecoding(StoreTests, DurableTests):
    @pytest.fixture
    def backend(self, redis_url: str) -> RedisBackend:
        return Decoding(redis_url)


@pytest.mark.torture
class TestOldRedis(StoreTests, DurableTests):
    @pytest.fixture
    def backend(self, redis62_url: str) -> RedisBackend:
        return RedisBackend(redis62_url)


@pytest.mark.torture
class TestAsyncOldRedis(StoreTests, DurableTests, AsyncTests):
    @pytest.fixture
    def backend(self, redis62_url: str) -> RedisBackend:
        return AsyncRedisBackend(redis62_url)


@pytest.mark.torture
class TestCluster(StoreTests, DurableTests):
    @pytest.fixture
    def backend(self, redis_cluster: RedisCluster) -> RedisBackend:
        redis_cluster.flush()
        return Clustered(redis_cluster)


@pytest.mark.torture
class TestAsyncCluster(StoreTests, DurableTests, AsyncTests):
    @pytest.fixture
    def backend(self, redis_cluster: RedisCluster) -> RedisBackend:
        redis_cluster.flush()
        return AsyncClustered(redis_cluster)
