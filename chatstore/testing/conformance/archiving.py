"""`archive_messages`, and what archived messages are to the other calls."""

import pytest

from chatstore import ChatMessage, ChatStore
from chatstore.testing.conformance.base import HUGE, KEY, Base, describe, held, say, seen, texts


def statuses(store: ChatStore, key: str = KEY) -> list[tuple[str | None, str]]:
    """What is said, and whether it is archived."""
    return [(record.text, record.status) for record in store.get_records(key)]


class Archiving(Base):
    """The oldest active messages become archived."""

    def test_the_oldest_active_ones_are_archived_and_returned(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*"abcde"))
        assert store.archive_messages(KEY, 2) == say("a", "b")
        assert store.archive_messages(KEY, 1) == say("c")
        assert statuses(store) == [
            ("a", "archived"),
            ("b", "archived"),
            ("c", "archived"),
            ("d", "active"),
            ("e", "active"),
        ]
        assert store.count_messages(KEY, status="archived") == 3
        assert describe(store).count == 5

    @pytest.mark.parametrize("n", [3, 4, HUGE])
    def test_no_more_than_there_are(self, store: ChatStore, n: int) -> None:
        store.add_messages(KEY, say("a", "b", "c"))
        assert texts(store.archive_messages(KEY, n)) == ["a", "b", "c"]
        before = seen(store)
        assert store.archive_messages(KEY, n) == []
        assert seen(store) == before
        store.add_message(KEY, ChatMessage("d"))
        assert texts(store.archive_messages(KEY, n)) == ["d"]

    def test_none_is_none(self, store: ChatStore) -> None:
        assert store.archive_messages(KEY, 0) == []
        assert store.archive_messages(KEY, 5) == []
        assert store.get_keys() == []
        store.add_message(KEY, ChatMessage("a"))
        assert store.archive_messages(KEY, 0) == []
        assert statuses(store) == [("a", "active")]

    def test_a_number_is_needed(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"))
        with pytest.raises(ValueError, match="negative"):
            store.archive_messages(KEY, -1)
        with pytest.raises(TypeError):
            store.archive_messages(KEY, "1")  # type: ignore[arg-type]
        assert statuses(store) == [("a", "active")]

    def test_oldest_means_first_in_place(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*"abcd"))
        store.archive_messages(KEY, 3)
        store.add_message(KEY, ChatMessage("new"), 1)
        store.add_message(KEY, ChatMessage("newer"), 0)
        assert texts(store.archive_messages(KEY, 2)) == ["newer", "new"]
        assert texts(store.get_messages(KEY, status="active")) == ["d"]

    def test_places_count_archived_messages_too(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*"abcd"))
        store.archive_messages(KEY, 2)
        assert store.get_message(KEY, 0) == ChatMessage("a")
        assert store.delete_message(KEY, 1) == ChatMessage("b")
        store.add_message(KEY, ChatMessage("new"), 1)
        assert statuses(store) == [
            ("a", "archived"),
            ("new", "active"),
            ("c", "active"),
            ("d", "active"),
        ]
        assert store.count_messages(KEY, status="archived") == 1

    def test_an_update_keeps_the_status(self, store: ChatStore) -> None:
        store.add_messages(KEY, say("a", "b"))
        store.archive_messages(KEY, 1)
        store.update_message(KEY, 0, ChatMessage("A"))
        store.update_message(KEY, 1, ChatMessage("B"))
        assert statuses(store) == [("A", "archived"), ("B", "active")]

    def test_deleting_archived_messages_keeps_the_counts(self, store: ChatStore) -> None:
        store.add_messages(KEY, say("a", "b", "c"))
        store.archive_messages(KEY, 2)
        store.delete_message(KEY, 0)
        assert store.count_messages(KEY, status="archived") == 1
        assert store.count_messages(KEY, status="active") == 1
        store.delete_last_message(KEY)
        store.delete_last_message(KEY)
        assert store.get_keys() == []
        store.add_message(KEY, ChatMessage("d"))
        assert statuses(store) == [("d", "active")]

    def test_windows_without_a_status_see_all(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*"abcd"))
        store.archive_messages(KEY, 3)
        assert held(store) == ["a", "b", "c", "d"]
        assert texts(store.get_messages(KEY, last=2)) == ["c", "d"]
        assert texts(list(store.iter_messages(KEY))) == ["a", "b", "c", "d"]
        assert texts(store.get_messages(KEY, last=2, status="archived")) == ["b", "c"]

    def test_many_are_archived_at_once(self, store: ChatStore) -> None:
        spoken = [f"{number}" for number in range(1500)]
        store.add_messages(KEY, say(*spoken))
        assert texts(store.archive_messages(KEY, 1200)) == spoken[:1200]
        assert store.count_messages(KEY, status="archived") == 1200
        assert texts(store.get_messages(KEY, status="active")) == spoken[1200:]
