"""The conformance suite over Redis."""

import pytest

from chatstore.testing import AsyncTests, DurableTests, StoreTests
from tests import backends


class TestRedis(StoreTests, DurableTests):
    @pytest.fixture
    def backend(self, redis_url: str) -> backends.RedisBackend:
        return backends.RedisBackend(redis_url)


class TestAsyncRedis(StoreTests, DurableTests, AsyncTests):
    @pytest.fixture
    def backend(self, redis_url: str) -> backends.AsyncRedisBackend:
        return backends.AsyncRedisBackend(redis_url)
