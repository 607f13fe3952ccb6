"""The conformance suite over the store in memory."""

import pytest

from chatstore.testing import AsyncTests, StoreTests
from tests.backends import AsyncMemoryBackend, MemoryBackend


class TestSimple(StoreTests):
    @pytest.fixture
    def backend(self) -> MemoryBackend:
        return MemoryBackend()


class TestAsyncSimple(StoreTests, AsyncTests):
    @pytest.fixture
    def backend(self) -> AsyncMemoryBackend:
        return AsyncMemoryBackend()
