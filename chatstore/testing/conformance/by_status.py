"""Writes that name a status: messages stored as archived, and one status replaced or removed."""

import pytest

from chatstore import ChatMessage, ChatStore, ConflictError, DuplicateMessageError
from chatstore.testing.conformance.archiving import statuses
from chatstore.testing.conformance.base import KEY, Base, describe, say, seen, texts


class ByStatus(Base):
    """A status on a write."""

    @pytest.fixture
    def mixed(self, store: ChatStore) -> ChatStore:
        """Archived a and b, active c and d, with metadata."""
        store.add_messages(KEY, say(*"abcd"))
        store.archive_messages(KEY, 2)
        store.set_metadata(KEY, {"title": "mixed"})
        return store

    def test_messages_can_be_stored_as_archived(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"), status="archived")
        store.add_messages(KEY, say("b", "c"), status="archived")
        store.add_message(KEY, ChatMessage("d"))
        store.add_message(KEY, ChatMessage("first"), 0, status="archived")
        assert statuses(store) == [
            ("first", "archived"),
            ("a", "archived"),
            ("b", "archived"),
            ("c", "archived"),
            ("d", "active"),
        ]
        assert store.count_messages(KEY, status="archived") == 4
        assert store.archive_messages(KEY, 9) == say("d")
        assert store.check().ok

    def test_archived_ones_behind_active_ones(self, store: ChatStore) -> None:
        store.add_messages(KEY, say("a", "b"))
        ids = store.add_messages(KEY, say("c", "d"), status="archived")
        assert [record.id for record in store.get_records(KEY, last=2)] == ids
        assert texts(store.get_messages(KEY, status="active", last=5)) == ["a", "b"]
        assert texts(store.get_messages(KEY, status="archived", start=1)) == ["d"]
        assert store.archive_messages(KEY, 1) == say("a")
        assert texts(store.get_messages(KEY, status="active")) == ["b"]
        assert store.check().ok

    def test_a_retry_as_archived_changes_nothing(self, store: ChatStore) -> None:
        message = ChatMessage("a", id="m1")
        store.add_message(KEY, message)
        before = seen(store)
        assert store.add_message(KEY, message, status="archived") == "m1"
        assert seen(store) == before

    def test_one_status_is_replaced(self, mixed: ChatStore) -> None:
        mixed.set_messages(KEY, say("e", "f", "g"), status="active")
        assert statuses(mixed) == [
            ("a", "archived"),
            ("b", "archived"),
            ("e", "active"),
            ("f", "active"),
            ("g", "active"),
        ]
        mixed.set_messages(KEY, say("h"), status="archived")
        assert statuses(mixed)[-1] == ("h", "archived")
        assert texts(mixed.get_messages(KEY)) == ["e", "f", "g", "h"]
        assert describe(mixed).metadata == {"title": "mixed"}
        assert mixed.count_messages(KEY, status="archived") == 1
        assert mixed.check().ok

    def test_one_status_is_replaced_by_nothing(self, mixed: ChatStore) -> None:
        mixed.set_messages(KEY, [], status="active")
        assert statuses(mixed) == [("a", "archived"), ("b", "archived")]
        mixed.set_messages(KEY, [], status="archived")
        assert mixed.get_keys() == []

    def test_replacing_what_does_not_exist_stores(self, store: ChatStore) -> None:
        store.set_messages(KEY, [], status="archived")
        assert store.get_keys() == []
        store.set_messages(KEY, say("a"), status="archived")
        assert statuses(store) == [("a", "archived")]
        store.set_messages(KEY, say("b"), status="active")
        assert statuses(store) == [("a", "archived"), ("b", "active")]

    def test_replacing_keeps_ids_unique(self, store: ChatStore) -> None:
        old, kept = ChatMessage("old", id="m1"), ChatMessage("kept", id="m2")
        store.add_message(KEY, kept, status="archived")
        store.add_message(KEY, old)
        store.set_messages(KEY, [ChatMessage("new", id="m1"), kept], status="active")
        assert statuses(store) == [("kept", "archived"), ("new", "active")]
        before = seen(store)
        with pytest.raises(DuplicateMessageError):
            store.set_messages(KEY, [ChatMessage("other", id="m2")], status="active")
        assert seen(store) == before

    def test_replacing_nothing_by_what_stays_changes_nothing(self, store: ChatStore) -> None:
        kept = ChatMessage("kept", id="m1")
        store.add_message(KEY, kept, status="archived")
        before = seen(store)
        store.set_messages(KEY, [kept], status="active")
        assert seen(store) == before

    def test_one_status_is_removed(self, mixed: ChatStore) -> None:
        assert mixed.delete_messages(KEY, status="archived") == say("a", "b")
        assert statuses(mixed) == [("c", "active"), ("d", "active")]
        before = seen(mixed)
        assert mixed.delete_messages(KEY, status="archived") == []
        assert seen(mixed) == before
        assert mixed.get_message(KEY, 0) == ChatMessage("c")
        assert mixed.check().ok
        assert mixed.delete_messages(KEY, status="active") == say("c", "d")
        assert mixed.get_keys() == []
        assert mixed.delete_messages(KEY, status="active") is None

    def test_the_others_are_not_touched(self, mixed: ChatStore) -> None:
        before = mixed.get_records(KEY, status="archived")
        mixed.set_messages(KEY, say("e"), status="active")
        mixed.delete_messages(KEY, status="active")
        assert mixed.get_records(KEY) == before

    def test_an_id_that_is_removed_is_free(self, mixed: ChatStore) -> None:
        mixed.add_message(KEY, ChatMessage("e", id="m1"))
        mixed.delete_messages(KEY, status="active")
        mixed.add_message(KEY, ChatMessage("other", id="m1"))
        assert texts(mixed.get_messages(KEY)) == ["a", "b", "other"]

    def test_many_of_one_status_between_others(self, mixed: ChatStore) -> None:
        spoken = [f"{number}" for number in range(600)]
        mixed.add_messages(KEY, say(*spoken), status="archived")
        mixed.set_messages(KEY, say("new"), status="active")
        assert texts(mixed.get_messages(KEY)) == ["a", "b", *spoken, "new"]
        assert texts(mixed.get_messages(KEY, start=300, stop=303)) == spoken[298:301]
        assert len(mixed.delete_messages(KEY, status="archived") or []) == 602
        assert texts(mixed.get_messages(KEY)) == ["new"]
        assert mixed.check().ok

    def test_removing_from_among_others(self, store: ChatStore) -> None:
        for number in range(60):
            status = "archived" if number % 3 else "active"
            store.add_message(KEY, ChatMessage(str(number)), status=status)  # type: ignore[arg-type]
        removed = store.delete_messages(KEY, status="archived")
        assert removed == say(*(str(number) for number in range(60) if number % 3))
        left = [str(number) for number in range(0, 60, 3)]
        assert texts(store.get_messages(KEY)) == left
        assert [store.get_message(KEY, place) for place in range(20)] == say(*left)
        assert store.check().ok

    def test_the_revision_is_minded(self, mixed: ChatStore) -> None:
        before = seen(mixed)
        with pytest.raises(ConflictError):
            mixed.set_messages(KEY, say("e"), status="active", expected_revision="other")
        with pytest.raises(ConflictError):
            mixed.delete_messages(KEY, status="active", expected_revision="other")
        with pytest.raises(ConflictError):
            mixed.add_message(KEY, ChatMessage("e"), status="archived", expected_revision="other")
        assert seen(mixed) == before
        revision = describe(mixed).revision
        mixed.set_messages(KEY, say("e"), status="active", expected_revision=revision)
        assert texts(mixed.get_messages(KEY)) == ["a", "b", "e"]

    def test_other_statuses_are_refused(self, mixed: ChatStore) -> None:
        before = seen(mixed)
        for write in (
            lambda: mixed.add_message(KEY, ChatMessage("e"), status="gone"),  # type: ignore[arg-type]
            lambda: mixed.add_messages(KEY, say("e"), status="gone"),  # type: ignore[arg-type]
            lambda: mixed.set_messages(KEY, say("e"), status="gone"),  # type: ignore[arg-type]
            lambda: mixed.delete_messages(KEY, status="gone"),  # type: ignore[arg-type]
        ):
            with pytest.raises(ValueError, match="status is one of active, archived"):
                write()
        assert seen(mixed) == before

    def test_a_new_message_has_a_status(self, store: ChatStore) -> None:
        with pytest.raises(ValueError, match="status"):
            store.add_message(KEY, ChatMessage("a"), status=None)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="status"):
            store.add_messages(KEY, say("a"), status=None)  # type: ignore[arg-type]
        assert store.get_keys() == []
