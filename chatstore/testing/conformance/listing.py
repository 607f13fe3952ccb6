"""`get_keys` and `get_conversations`, a page at a time."""

import time
from typing import Any

import pytest

from chatstore import ChatMessage, ChatStore, Conversation, InvalidKeyError, KeyNotFoundError
from chatstore.testing.conformance.base import HUGE, KEY, Base, describe

SORTED = ["!", "A", "Z", "a", "a\x01", "a ", "a!", "aa", "ab", "e\u0301", "z", "é", "\ud7ff",
          "\ue000", "\uffff", "\U00010000", "😀"]  # fmt: skip
"""By code point: neither by UTF-16 nor as any language sorts."""

WILD = ["%", "%a", "_", "_a", "*", "*a", "?", "[a]", "\\", "\\a", "{a}", "a%b", "a_b", "A%B", "axb",
        "'", '"', "a'--", "a:b", "a::b", ":", "user1", "user10", "User1"]  # fmt: skip


def store_all(store: ChatStore, keys: list[str]) -> None:
    for key in keys:
        store.add_message(key, ChatMessage("a"))


class Keys(Base):
    """Keys, sorted by code point."""

    def test_they_sort_by_code_point(self, store: ChatStore) -> None:
        store_all(store, sorted(SORTED, key=hash))
        assert store.get_keys() == SORTED
        assert [c.key for c in store.get_conversations(order="key")] == SORTED
        for place, key in enumerate(SORTED):
            assert store.get_keys(after=key) == SORTED[place + 1 :]
            found = store.get_conversations(order="key", after=key)
            assert [c.key for c in found] == SORTED[place + 1 :]

    def test_a_prefix_means_itself(self, store: ChatStore) -> None:
        store_all(store, WILD)
        prefixes = {key[:length] for key in WILD for length in range(len(key) + 1)} | {"b", "a\\"}
        for prefix in sorted(prefixes):
            expected = sorted(key for key in WILD if key[: len(prefix)] == prefix)
            assert store.get_keys(prefix) == expected
            assert [c.key for c in store.get_conversations(order="key", prefix=prefix)] == expected
            assert {c.key for c in store.get_conversations(prefix=prefix)} == set(expected)

    @pytest.mark.parametrize("prefix", ["\U0010ffff", "a\U0010ffff", "\ud7ff", "é"])
    def test_a_prefix_may_end_the_alphabet(self, store: ChatStore, prefix: str) -> None:
        store_all(store, [prefix, prefix + "\U0010ffff", prefix + "a", "a", "b", "z"])
        assert store.get_keys(prefix) == [prefix, prefix + "a", prefix + "\U0010ffff"]

    def test_pages_cover_all_once(self, store: ChatStore) -> None:
        keys = sorted(f"key-{number}" for number in range(23))
        store_all(store, keys)
        for size in (1, 5, 23, 24):
            found: list[str] = []
            while page := store.get_keys(after=found[-1] if found else None, limit=size):
                assert len(page) <= size
                found += page
            assert found == keys

    def test_a_page_begins_behind_a_key_that_is_gone(self, store: ChatStore) -> None:
        store_all(store, ["a", "b", "c", "d"])
        store.delete_messages("b")
        assert store.get_keys(after="b") == ["c", "d"]
        assert store.get_keys(after="bb", limit=1) == ["c"]
        assert store.get_keys(after="") == ["a", "c", "d"]
        assert store.get_keys(after="z") == []

    def test_a_page_of_a_prefix(self, store: ChatStore) -> None:
        store_all(store, ["a/1", "a/2", "a/3", "b/1"])
        assert store.get_keys("a/", after="a/1", limit=5) == ["a/2", "a/3"]
        assert store.get_keys("a/", after="A") == ["a/1", "a/2", "a/3"]
        assert store.get_keys("a/", after="b") == []

    @pytest.mark.parametrize("name", ["get_keys", "get_conversations"])
    def test_limits(self, store: ChatStore, name: str) -> None:
        store_all(store, ["a", "b", "c"])
        read: Any = getattr(store, name)
        assert [len(read(limit=n)) for n in (0, 1, 2, 3, 4, HUGE, None)] == [0, 1, 2, 3, 3, 3, 3]
        with pytest.raises(ValueError, match="negative"):
            read(limit=-1)
        with pytest.raises(TypeError):
            read(limit="1")

    @pytest.mark.parametrize("value", ["\0", "a\0", "\ud800", "a\udfff", 5, b"a"], ids=ascii)
    def test_what_cannot_be_a_key_is_refused(self, store: ChatStore, value: Any) -> None:
        for name in ("get_keys", "get_conversations"):
            for argument in ("prefix", "after"):
                with pytest.raises(InvalidKeyError):
                    getattr(store, name)(**{argument: value})

    def test_a_prefix_is_a_str(self, store: ChatStore) -> None:
        values: list[Any] = [None, 0, b"", []]
        for value in values:
            with pytest.raises(InvalidKeyError):
                store.get_keys(value)


class Conversations(Base):
    """Conversations, the last written first, or by key."""

    def test_the_last_written_come_first(self, store: ChatStore) -> None:
        for key in ("a", "b", "c", "d"):
            store.add_message(key, ChatMessage("a"))
            time.sleep(0.002)
        store.add_message("b", ChatMessage("b"))
        time.sleep(0.002)
        store.set_metadata("a", {"title": "Greeting"})
        store.get_messages("c")  # a read is no write
        assert [c.key for c in store.get_conversations()] == ["a", "b", "d", "c"]
        assert [c.key for c in store.get_conversations(limit=2)] == ["a", "b"]

    @pytest.mark.parametrize("order", ["updated", "key"])
    @pytest.mark.parametrize("by", ["conversation", "key"])
    @pytest.mark.parametrize("clock", ["runs", "stands still"])
    def test_pages_cover_all_once(
        self,
        store: ChatStore,
        monkeypatch: pytest.MonkeyPatch,
        order: Any,
        by: str,
        clock: str,
    ) -> None:
        if clock == "stands still":
            now = time.time_ns()
            monkeypatch.setattr(time, "time_ns", lambda: now)
        store_all(store, [f"key-{number}" for number in range(13)])
        whole = store.get_conversations(order=order)
        assert len({c.key for c in whole}) == 13
        for size in (1, 4, 13):
            found: list[Conversation] = []
            while True:
                last = found[-1] if found else None
                after = last.key if last and by == "key" else last
                page = store.get_conversations(order=order, after=after, limit=size)
                found += page
                if not page:
                    break
            assert found == whole

    def test_a_page_goes_on_where_it_was_whatever_is_written(self, store: ChatStore) -> None:
        for key in ("a", "b", "c", "d"):
            store.add_message(key, ChatMessage("a"))
            time.sleep(0.002)
        first = store.get_conversations(limit=2)
        assert [c.key for c in first] == ["d", "c"]
        store.add_message("c", ChatMessage("b"))
        assert [c.key for c in store.get_conversations(after=first[-1])] == ["b", "a"]
        store.delete_messages("c")
        assert [c.key for c in store.get_conversations(after=first[-1])] == ["b", "a"]

    def test_a_prefix_and_a_page(self, store: ChatStore) -> None:
        for key in ("a/1", "b/1", "a/2", "b/2", "a/3"):
            store.add_message(key, ChatMessage("a"))
            time.sleep(0.002)
        first = store.get_conversations(prefix="a/", limit=1)
        assert [c.key for c in first] == ["a/3"]
        rest = store.get_conversations(prefix="a/", after=first[0])
        assert [c.key for c in rest] == ["a/2", "a/1"]

    def test_behind_a_key_that_is_gone(self, store: ChatStore) -> None:
        store_all(store, ["a", "c"])
        assert [c.key for c in store.get_conversations(order="key", after="b")] == ["c"]
        with pytest.raises(KeyNotFoundError, match="b"):
            store.get_conversations(after="b")

    def test_an_unknown_order_is_refused(self, store: ChatStore) -> None:
        with pytest.raises(ValueError, match="order"):
            store.get_conversations(order="newest")  # type: ignore[arg-type]

    def test_many_conversations(self, store: ChatStore) -> None:
        store_all(store, [f"{number:04}" for number in range(300)])
        assert len(store.get_keys()) == len(store.get_conversations()) == 300
        assert store.get_keys(after="0149", limit=2) == ["0150", "0151"]
        assert describe(store, "0299").count == 1
        assert KEY not in store.get_keys()
