"""`archive_messages`, and what archived messages are to the other calls."""

import time

import pytest

from chatstore import ABSENT, ChatMessage, ChatStore, ConflictError, codec
from chatstore import operations as ops
from chatstore.records import Status
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
from chatstore.testing.conformance.threads import together


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

    def test_many_are_inserted_where_archived_ones_were(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*"abc"))
        store.archive_messages(KEY, 1)
        store.delete_message(KEY, 0)
        for number in range(60):
            store.add_message(KEY, ChatMessage(f"{number}"), 1)
        spoken = ["b", *(f"{number}" for number in reversed(range(60))), "c"]
        assert texts(store.get_messages(KEY, status="active")) == spoken
        assert store.get_messages(KEY, status="archived") == []
        assert store.check().problems == []
        assert texts(store.archive_messages(KEY, 3)) == spoken[:3]
        assert held(store) == spoken

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


class DeletingOldest(Base):
    """The oldest active messages go; an operation without a public call of its own."""

    def test_the_oldest_active_ones_go_and_are_returned(self, store: ChatStore) -> None:
        store.add_messages(KEY, [*say("a", "b"), ChatMessage("c", id="m1"), *say("d", "e")])
        store.archive_messages(KEY, 1)
        before = store.get_records(KEY)
        revision = describe(store).revision
        rows = store._execute(ops.DeleteOldest(KEY, 2, revision))
        assert [codec.record(row) for row in rows] == before[1:3]
        assert store.get_records(KEY) == [before[0], *before[3:]]
        assert describe(store).count == 3
        assert describe(store).revision != revision
        store.add_message(KEY, ChatMessage("another", id="m1"))  # the id is free
        assert statuses(store)[1:] == [("d", "active"), ("e", "active"), ("another", "active")]
        assert texts(store.archive_messages(KEY, 1)) == ["d"]
        assert store.check().problems == []

    def test_archived_ones_stay_wherever_they_are(self, store: ChatStore) -> None:
        for number in range(60):
            status: Status = "archived" if number % 3 else "active"
            store.add_message(KEY, ChatMessage(str(number)), status=status)
        gone = oldest(store, 7)
        assert gone == [str(number) for number in range(0, 21, 3)]
        kept = [str(n) for n in range(60) if n % 3 or n >= 21]
        assert held(store) == kept
        assert texts([m for n in range(len(kept)) if (m := store.get_message(KEY, n))]) == kept
        assert store.count_messages(KEY, status="archived") == 40
        assert store.check().problems == []
        store.add_message(KEY, ChatMessage("before them"), 0)
        assert oldest(store, 1) == ["before them"]
        assert oldest(store, HUGE) == [str(number) for number in range(21, 60, 3)]
        assert oldest(store, 1) == []
        assert store.count_messages(KEY) == 40

    def test_the_last_ones_take_the_conversation_along(self, store: ChatStore) -> None:
        store.add_messages(KEY, say("a", "b"))
        store.set_metadata(KEY, {"title": "t"})
        assert oldest(store, 3) == ["a", "b"]
        assert store.get_keys() == []
        store.add_message(KEY, ChatMessage("anew"))
        assert describe(store).metadata == {}
        assert store.check().problems == []

    def test_nothing_to_remove_changes_nothing(self, store: ChatStore) -> None:
        assert oldest(store, 5) == []
        store.add_messages(KEY, say("a", "b"))
        before = seen(store)
        assert oldest(store, 0) == []
        store.archive_messages(KEY, 2)
        before = seen(store)
        assert oldest(store, 5) == []
        assert seen(store) == before

    def test_a_conflict_removes_nothing(self, store: ChatStore) -> None:
        store.add_messages(KEY, say("a", "b"))
        before = seen(store)
        for expected in ("other", ABSENT):
            with pytest.raises(ConflictError):
                store._execute(ops.DeleteOldest(KEY, 1, expected))
        assert seen(store) == before

    def test_it_restarts_the_ttl(self, open_store: OpenStore) -> None:
        store = open_store(ttl=1000)
        store.add_messages(KEY, say("a", "b"))
        before = describe(store).expires_at
        time.sleep(0.005)
        oldest(store, 1)
        now = describe(store).expires_at
        assert before is not None
        assert now is not None
        assert now > before

    def test_a_conversation_is_cut_for_ever(self, store: ChatStore) -> None:
        spoken = [f"{number}" for number in range(2400)]
        gone: list[str | None] = []
        for start in range(0, len(spoken), 400):
            store.add_messages(KEY, say(*spoken[start : start + 400]))
            gone += oldest(store, store.count_messages(KEY) - 100)
        assert gone == spoken[:-100]
        assert held(store) == spoken[-100:]
        assert store.get_message(KEY, 50) == ChatMessage(spoken[-50])
        assert store.check().problems == []

    def test_of_many_at_once_each_gets_others(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*map(str, range(80))))
        gone = together(lambda _: [oldest(store, 3) for _ in range(3)])
        flat = [text for mine in gone for some in mine for text in some]
        assert sorted(flat, key=lambda text: int(str(text))) == [str(n) for n in range(72)]
        assert held(store) == [str(n) for n in range(72, 80)]


def oldest(store: ChatStore, n: int) -> list[str | None]:
    """Remove the oldest active messages; what they said."""
    rows = store._execute(ops.DeleteOldest(KEY, n, None))
    return [codec.record(row).text for row in rows]
