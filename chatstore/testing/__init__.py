"""The conformance suite and the state machine, for the stores here and for those of others.

It needs pytest and hypothesis, and is imported by nothing else. A store shows where it keeps its
data by a `Backend`, and inherits the tests; both faces run the same ones.

    # test_my_store.py
    import sqlite3
    import pytest
    from chatstore.testing import AsyncTests, Backend, DurableTests, StoreTests, run_machine

    class MyBackend(Backend):
        durable = shared = True

        def __init__(self, path):
            self.path = path

        def open(self, **options):
            return MyStore(self.path, **options)

        # The back door: raw reads and writes, without the store.

        def raw_payloads(self, key, namespace=""):
            ...

        def put_raw(self, key, format, payload):
            ...

    class TestMyStore(StoreTests, DurableTests):
        @pytest.fixture
        def backend(self, tmp_path):
            return MyBackend(tmp_path / "chat.db")

    def test_any_story(tmp_path):
        run_machine(MyBackend(tmp_path / "chat.db"))

A backend whose `open` returns an `AsyncChatStore` is tested in the same way, on an event loop of
its own; `AsyncTests` adds what only callers that await can do. `DurableTests` is for stores whose
data outlive them, and is left out for others.
"""

import pytest

# Before the import below: assertions are rewritten when a module is first read.
pytest.register_assert_rewrite(
    *(f"{__name__}.{module}" for module in ("beside", "conformance", "machine"))
)

from chatstore.testing.backend import Backend  # noqa: E402
from chatstore.testing.blocking import Blocking  # noqa: E402
from chatstore.testing.conformance import AsyncTests, DurableTests, StoreTests  # noqa: E402
from chatstore.testing.machine import StoreMachine, run_machine  # noqa: E402

__all__ = [
    "AsyncTests",
    "Backend",
    "Blocking",
    "DurableTests",
    "StoreMachine",
    "StoreTests",
    "run_machine",
]
