"""Our own stores for the suite: where they keep data, and the back doors to it."""

from typing import Any

from chatstore import AsyncSimpleChatStore, SimpleChatStore
from chatstore.records import Row
from chatstore.testing import Backend


class MemoryBackend(Backend):
    """`SimpleChatStore`: each store is a place of its own."""

    def __init__(self) -> None:
        self.last = SimpleChatStore()

    def open(self, **options: Any) -> SimpleChatStore:
        self.last = SimpleChatStore(**options)
        return self.last

    def _rows(self, key: str) -> list[Row]:
        held = self.last._held.get(key)
        return held.rows if held else []

    def raw_payloads(self, key: str, namespace: str = "") -> list[str]:
        return [row.payload for row in self._rows(key)]

    def put_raw(self, key: str, format: str, payload: str) -> None:
        rows = self._rows(key)
        rows[-1] = rows[-1]._replace(format=format, payload=payload)

    def faults(self, key: str, namespace: str = "") -> list[str]:
        ordinals = [row.ordinal for row in self._rows(key)]
        return [] if ordinals == sorted(set(ordinals)) else [f"{key}: ordinals do not rise"]


class AsyncMemoryBackend(MemoryBackend):
    """`AsyncSimpleChatStore`, in the same way."""

    def open(self, **options: Any) -> AsyncSimpleChatStore:  # type: ignore[override]
        store = AsyncSimpleChatStore(**options)
        self.last = store._store
        return store
