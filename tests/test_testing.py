"""`chatstore.testing` as others use it: a store of their own, in a folder of their own."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chatstore import AsyncSimpleChatStore, ChatMessage
from chatstore.testing.blocking import blocking, stop

THEIRS = """
import pytest
from chatstore import SimpleChatStore
from chatstore.testing import Backend, StoreTests, run_machine


class TheirStore(SimpleChatStore):
    def delete_message(self, key, idx, **options):
        return {delete}


class TheirBackend(Backend):
    def open(self, **options):
        self.last = TheirStore(**options)
        return self.last

    def _rows(self, key):
        held = self.last._shelf.held.get(key)
        return held.rows if held else []

    def raw_payloads(self, key, namespace=""):
        return [row.payload for row in self._rows(key)]

    def put_raw(self, key, format, payload):
        rows = self._rows(key)
        rows[-1] = rows[-1]._replace(format=format, payload=payload)


class TestTheirStore(StoreTests):
    @pytest.fixture
    def backend(self):
        return TheirBackend()


def test_any_story():
    run_machine(TheirBackend(), examples=5, steps=20)
"""

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if "PYTEST" not in name},
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # of plugins, the suite needs none
}

SOUND = "super().delete_message(key, idx, **options)"
BROKEN = "super().delete_message(key, abs(idx), **options)"


@pytest.mark.parametrize(("delete", "sound"), [(SOUND, True), (BROKEN, False)])
def test_a_store_of_others_is_held_to_the_contract(
    delete: str, sound: bool, tmp_path: Path
) -> None:
    (tmp_path / "test_theirs.py").write_text(THEIRS.format(delete=delete))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         "-k", "TestDeleting or TestErasing or story", "test_theirs.py"],
        cwd=tmp_path, env={**ENVIRONMENT, "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode == 0) == sound, done.stdout
    if not sound:
        assert "test_the_message_at_a_place_is_removed[-1]" in done.stdout
        assert "assert [" in done.stdout  # told with values: the suite's assertions are rewritten


def test_a_call_may_wait_for_a_call_of_another_thread() -> None:
    class Waiting(AsyncSimpleChatStore):
        async def purge_expired(self) -> int:
            await asyncio.to_thread(store.add_message, "k", ChatMessage("from elsewhere"))
            return await super().purge_expired()

    store = blocking(Waiting())
    for number in (1, 2):  # and the loop has a thread of its own from then on
        assert store.purge_expired() == 0
        assert store.count_messages("k") == number
    stop(store)
