"""`archive_messages`, and what archived messages are to the other calls."""

from typing import Any

import pytest

from chatstore import ChatMessage, ChatStore, DuplicateMessageError
from chatstore.testing.conformance.base import (
    HUGE,
    KEY,
    Base,
    OpenStore,
    describe,
    held,
    say,
    seen,
    texts,
)


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


class Statuses(Base):
    """Writes that name a status."""

    @pytest.fixture
    def store(self, open_store: OpenStore) -> ChatStore:
        store = open_store()
        store.add_messages(KEY, say(*"abcd"))
        store.archive_messages(KEY, 2)
        return store

    def test_messages_can_be_archived_from_the_first(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("e"), status="archived")
        store.add_message(KEY, ChatMessage("front"), 0, status="archived")
        store.add_messages(KEY, say("f", "g"), status="archived")
        store.add_messages("other", say("x"), status="archived")
        assert [text for text, status in statuses(store) if status == "archived"] == [
            "front", "a", "b", "e", "f", "g",
        ]  # fmt: skip
        assert texts(store.get_messages(KEY, status="active")) == ["c", "d"]
        assert store.count_messages(KEY, status="archived") == 6
        assert statuses(store, "other") == [("x", "archived")]
        assert texts(store.archive_messages(KEY, 1)) == ["c"]

    def test_the_active_ones_are_replaced(self, store: ChatStore) -> None:
        store.set_metadata(KEY, {"title": "Greeting"})
        store.set_messages(KEY, say("C", "D", "E"), status="active")
        archived, active = [("a", "archived"), ("b", "archived")], "CDE"
        assert statuses(store) == [*archived, *((text, "active") for text in active)]
        assert describe(store).count == 5
        assert describe(store).metadata == {"title": "Greeting"}
        store.set_messages(KEY, [], status="active")
        assert statuses(store) == archived

    def test_the_archived_ones_are_replaced_behind_the_others(self, store: ChatStore) -> None:
        store.set_messages(KEY, say("A"), status="archived")
        assert statuses(store) == [("c", "active"), ("d", "active"), ("A", "archived")]
        assert store.count_messages(KEY, status="archived") == 1

    def test_the_others_are_not_touched(self, store: ChatStore) -> None:
        before = store.get_records(KEY, status="archived")
        store.set_messages(KEY, say("C"), status="active")
        store.delete_messages(KEY, status="active")
        assert store.get_records(KEY) == before

    def test_those_of_a_status_are_deleted_and_returned(self, store: ChatStore) -> None:
        assert store.delete_messages(KEY, status="archived") == say("a", "b")
        assert held(store) == ["c", "d"]
        before = seen(store)
        assert store.delete_messages(KEY, status="archived") == []
        assert seen(store) == before
        assert store.delete_messages(KEY, status="active") == say("c", "d")
        assert store.get_keys() == []
        assert store.delete_messages(KEY, status="active") is None

    def test_a_conversation_that_is_emptied_goes(self, store: ChatStore) -> None:
        store.delete_messages(KEY, status="archived")
        store.set_messages(KEY, [], status="active")
        assert store.get_keys() == []
        store.set_messages(KEY, [], status="active")
        store.set_messages("other", say("a"), status="archived")
        assert store.get_keys() == ["other"]
        assert statuses(store, "other") == [("a", "archived")]

    def test_an_id_that_stays_is_known(self, store: ChatStore) -> None:
        store.update_message(KEY, 0, ChatMessage("a", id="m1"))
        store.set_messages(KEY, [ChatMessage("C"), ChatMessage("a", id="m1")], status="active")
        assert held(store) == ["a", "b", "C"]
        before = seen(store)
        assert store.add_message(KEY, ChatMessage("a", id="m1"), status="active") == "m1"
        with pytest.raises(DuplicateMessageError):
            store.set_messages(KEY, [ChatMessage("other", id="m1")], status="active")
        assert seen(store) == before
        store.set_messages(KEY, [ChatMessage("other", id="m1")], status="archived")
        assert held(store) == ["C", "other"]

    def test_an_id_that_goes_is_free(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("e", id="m1"))
        store.delete_messages(KEY, status="active")
        store.add_message(KEY, ChatMessage("other", id="m1"))
        assert held(store) == ["a", "b", "other"]

    def test_a_batch_is_written_between_archived_ones(self, store: ChatStore) -> None:
        spoken = [f"{number}" for number in range(600)]
        store.add_messages(KEY, say(*spoken), status="archived")
        store.set_messages(KEY, say("new"), status="active")
        assert held(store) == ["a", "b", *spoken, "new"]
        assert texts(store.get_messages(KEY, start=300, stop=303)) == spoken[298:301]
        store.delete_messages(KEY, status="archived")
        assert held(store) == ["new"]
        assert store.check().ok

    @pytest.mark.parametrize("status", ["gone", "", 5])
    def test_there_are_two(self, store: ChatStore, status: Any) -> None:
        before = seen(store)
        for call in (
            lambda: store.add_message(KEY, ChatMessage("a"), status=status),
            lambda: store.add_messages(KEY, say("a"), status=status),
            lambda: store.set_messages(KEY, say("a"), status=status),
            lambda: store.delete_messages(KEY, status=status),
        ):
            with pytest.raises(ValueError, match="status"):
                call()
        assert seen(store) == before

    def test_a_new_message_has_one(self, store: ChatStore) -> None:
        none: Any = None
        with pytest.raises(ValueError, match="status"):
            store.add_message(KEY, ChatMessage("a"), status=none)
        with pytest.raises(ValueError, match="status"):
            store.add_messages(KEY, say("a"), status=none)
        assert describe(store).count == 4
