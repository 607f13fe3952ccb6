"""Removing at a place among the messages of a status: an operation without a public call."""

import random
from itertools import groupby
from operator import itemgetter
from typing import Any

import pytest

from chatstore import ABSENT, ChatMessage, ChatStore, ConflictError, codec
from chatstore import operations as ops
from chatstore.testing.conformance.archiving import statuses
from chatstore.testing.conformance.base import HUGE, KEY, Base, describe, held, say, seen
from chatstore.testing.conformance.threads import together


class DeletingByStatus(Base):
    """A place that counts the active messages only, as adapters need it, or the archived ones."""

    @pytest.mark.parametrize("edge", [0, 7])
    def test_a_place_is_counted_as_in_a_list(self, store: ChatStore, edge: int) -> None:
        rng = random.Random(edge)
        model: list[tuple[str | None, str]] = []
        for number in range(150):
            archived = number < 40 if edge == 0 else rng.random() < 0.5
            model.append((str(number), "archived" if archived else "active"))
        for status, pairs in groupby(model, itemgetter(1)):
            store.add_messages(KEY, say(*(str(text) for text, _ in pairs)), status=status)
        for _ in range(130):
            status = rng.choice(["active", "archived"])
            there = [pair for pair in model if pair[1] == status]
            idx = rng.randrange(-len(there) - 1, len(there) + 1)
            expected = there[idx][0] if -len(there) <= idx < len(there) else None
            assert take(store, idx, status) == expected
            if expected is not None:
                model.remove((expected, status))
            if rng.random() < 0.1:
                store.add_message(KEY, ChatMessage("in front"), 0)
                model.insert(0, ("in front", "active"))
        assert statuses(store) == model
        assert store.check().problems == []

    @pytest.mark.parametrize("idx", [-1, 0, 5, 700, -700, -698])
    def test_in_a_long_conversation(self, store: ChatStore, idx: int) -> None:
        spoken = [str(number) for number in range(1000)]
        store.add_messages(KEY, say(*spoken))
        store.archive_messages(KEY, 299)
        expected = spoken[299:][idx]
        assert take(store, idx) == expected
        spoken.remove(expected)
        assert held(store) == spoken
        assert take(store, idx, "archived") == (spoken[:299][idx] if abs(idx) < 299 else None)
        assert store.check().problems == []

    def test_out_of_range_changes_nothing(self, store: ChatStore) -> None:
        assert take(store, 0) is None
        store.add_messages(KEY, say("a", "b", "c"))
        store.archive_messages(KEY, 1)
        before = seen(store)
        for idx, status in ((2, "active"), (-3, "active"), (1, "archived"), (-2, "archived")):
            assert take(store, idx, status) is None
        assert take(store, HUGE) is take(store, -HUGE) is None
        assert seen(store) == before

    def test_the_last_one_takes_the_conversation_along(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a", id="m1"))
        store.set_metadata(KEY, {"title": "t"})
        assert take(store, -1) == "a"
        assert store.get_keys() == []
        store.add_message(KEY, ChatMessage("other", id="m1"))
        assert describe(store).metadata == {}

    def test_the_last_one_of_a_status_leaves_the_others(self, store: ChatStore) -> None:
        store.add_messages(KEY, [ChatMessage("a", id="m1"), ChatMessage("b", id="m2")])
        store.archive_messages(KEY, 1)
        assert take(store, 0) == "b"
        assert statuses(store) == [("a", "archived")]
        store.add_message(KEY, ChatMessage("the id is free", id="m2"))
        assert take(store, 0, "archived") == "a"
        assert statuses(store) == [("the id is free", "active")]
        assert store.check().problems == []

    def test_a_conflict_removes_nothing(self, store: ChatStore) -> None:
        store.add_messages(KEY, say("a", "b"))
        before = seen(store)
        for expected in ("other", ABSENT):
            with pytest.raises(ConflictError):
                store._execute(ops.DeleteAt(KEY, 0, expected, "active"))
        assert seen(store) == before
        store._execute(ops.DeleteAt(KEY, 0, describe(store).revision, "active"))
        assert held(store) == ["b"]

    def test_of_many_at_once_each_gets_another(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*map(str, range(80))))
        store.archive_messages(KEY, 8)
        gone = together(lambda number: [take(store, -(number % 2)) for _ in range(8)])
        flat = [str(text) for mine in gone for text in mine]
        assert len(set(flat)) == len(flat)
        assert sorted([*flat, *map(str, held(store))], key=int) == [str(n) for n in range(80)]
        assert store.count_messages(KEY, status="archived") == 8


def take(store: ChatStore, idx: int, status: Any = "active") -> str | None:
    """Remove the message at a place among those of a status; what it said."""
    row = store._execute(ops.DeleteAt(KEY, idx, None, status))
    return None if row is None else codec.record(row).text
