"""Appending, inserting, replacing, updating and deleting."""

import time
from itertools import count

import pytest

from chatstore import ChatMessage, ChatStore, InvalidMessageError
from chatstore.testing.conformance.base import HUGE, KEY, Base, describe, held, say, seen, texts

PLACES = [*range(-6, 7), HUGE, -HUGE]


class Appending(Base):
    """`add_message` and `add_messages` at the end."""

    def test_messages_come_back_in_the_order_of_storing(self, store: ChatStore) -> None:
        for text in "dbca":
            store.add_message(KEY, ChatMessage(text))
        assert held(store) == ["d", "b", "c", "a"]

    @pytest.mark.parametrize("step", [0, -3_600_000_000_000], ids=["stands still", "goes back"])
    def test_the_order_does_not_come_from_the_clock(
        self, store: ChatStore, monkeypatch: pytest.MonkeyPatch, step: int
    ) -> None:
        ticks = count(time.time_ns(), step)
        monkeypatch.setattr(time, "time_ns", lambda: next(ticks))
        for number in range(12):
            store.add_message(KEY, ChatMessage(f"{number}"))
        store.add_messages(KEY, say("12", "13", "14"))
        assert held(store) == [f"{number}" for number in range(15)]
        assert texts(store.get_messages(KEY, last=2)) == ["13", "14"]

    def test_conversations_do_not_mix(self, store: ChatStore) -> None:
        for text in "abc":
            store.add_message(f"key-{text}", ChatMessage(text))
            store.add_message(KEY, ChatMessage(text))
        assert held(store, "key-b") == ["b"]
        assert held(store) == ["a", "b", "c"]

    def test_the_id_of_the_record_is_returned(self, store: ChatStore) -> None:
        ids = [store.add_message(KEY, ChatMessage("a")), store.add_message(KEY, ChatMessage("a"))]
        ids += store.add_messages(KEY, say("a", "a"))
        ids.append(store.add_message(KEY, ChatMessage("a"), 4))
        assert ids == [record.id for record in store.get_records(KEY)]
        assert len(set(ids)) == 5

    def test_a_batch_is_stored_whole_and_in_order(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("first"))
        store.add_messages(KEY, (ChatMessage("a"), ChatMessage("b", role="assistant")))
        assert held(store) == ["first", "a", "b"]

    def test_a_long_batch_is_stored(self, store: ChatStore) -> None:
        spoken = [f"{number}" for number in range(3000)]
        ids = store.add_messages(KEY, say(*spoken))
        assert len(set(ids)) == 3000
        assert held(store) == spoken
        assert store.count_messages(KEY) == 3000

    def test_an_empty_batch_does_nothing(self, store: ChatStore) -> None:
        assert store.add_messages(KEY, []) == []
        assert store.get_keys() == []
        store.add_message(KEY, ChatMessage("a"))
        before = seen(store)
        assert store.add_messages(KEY, []) == []
        assert seen(store) == before

    def test_a_batch_with_a_bad_message_stores_nothing(self, store: ChatStore) -> None:
        bad = ChatMessage("bad", additional_kwargs={"n": float("nan")})
        with pytest.raises(InvalidMessageError, match=r"messages\[1\].*additional_kwargs\.n"):
            store.add_messages(KEY, [ChatMessage("a"), bad, ChatMessage("c")])
        assert store.get_keys() == []

    @pytest.mark.parametrize("call", ["add_messages", "set_messages"])
    def test_one_message_is_no_batch(self, store: ChatStore, call: str) -> None:
        with pytest.raises(InvalidMessageError, match="list"):
            getattr(store, call)(KEY, ChatMessage("a"))
        assert store.get_keys() == []

    @pytest.mark.parametrize("value", ["text", {"role": "user"}, None, 5])
    def test_only_messages_are_stored(self, store: ChatStore, value: object) -> None:
        with pytest.raises(InvalidMessageError, match="ChatMessage"):
            store.add_message(KEY, value)  # type: ignore[arg-type]
        with pytest.raises(InvalidMessageError, match="ChatMessage"):
            store.add_messages(KEY, [ChatMessage("a"), value])  # type: ignore[list-item]
        assert store.get_keys() == []

    def test_a_failed_write_leaves_the_store_usable(self, store: ChatStore) -> None:
        with pytest.raises(InvalidMessageError):
            store.add_message(KEY, ChatMessage("a", additional_kwargs={"bad": object()}))
        store.add_message(KEY, ChatMessage("b"))
        assert held(store) == ["b"]


class Inserting(Base):
    """`add_message` with `idx`."""

    @pytest.mark.parametrize("idx", PLACES)
    def test_a_message_goes_where_list_insert_would_put_it(
        self, store: ChatStore, idx: int
    ) -> None:
        store.add_messages(KEY, say(*"abcd"))
        store.add_message(KEY, ChatMessage("new"), idx)
        expected = list("abcd")
        expected.insert(max(-99, min(idx, 99)), "new")
        assert held(store) == expected

    @pytest.mark.parametrize("idx", [0, -1, 5])
    def test_a_missing_conversation_begins(self, store: ChatStore, idx: int) -> None:
        store.add_message(KEY, ChatMessage("a"), idx=idx)
        assert held(store) == ["a"]

    @pytest.mark.parametrize("idx", [0, 1, -1])
    def test_one_place_takes_any_number(self, store: ChatStore, idx: int) -> None:
        expected = ["a", "z"]
        store.add_messages(KEY, say(*expected))
        for number in range(80):  # more than the gap between two integers can be halved
            store.add_message(KEY, ChatMessage(f"{number}"), idx)
            expected.insert(idx, f"{number}")
        store.add_message(KEY, ChatMessage("end"))
        assert held(store) == [*expected, "end"]

    def test_a_place_is_an_integer(self, store: ChatStore) -> None:
        with pytest.raises(TypeError):
            store.add_message(KEY, ChatMessage("a"), "0")  # type: ignore[arg-type]
        assert store.get_keys() == []


class Replacing(Base):
    """`set_messages`."""

    def test_the_new_messages_are_the_conversation(self, store: ChatStore) -> None:
        store.set_messages(KEY, say("a", "b", "c"))
        assert held(store) == ["a", "b", "c"]
        store.set_messages(KEY, say("d"))
        assert held(store) == ["d"]
        assert describe(store).count == 1
        store.add_message(KEY, ChatMessage("e"))
        assert held(store) == ["d", "e"]

    def test_no_messages_remove_the_conversation(self, store: ChatStore) -> None:
        store.set_messages(KEY, [])
        assert store.get_keys() == []
        store.add_message(KEY, ChatMessage("a"))
        store.set_messages(KEY, [])
        assert store.get_keys() == []
        assert store.get_conversation(KEY) is None

    def test_a_failure_leaves_the_old_messages(self, store: ChatStore) -> None:
        store.add_messages(KEY, say("a", "b"))
        before = seen(store)
        with pytest.raises(InvalidMessageError, match=r"messages\[1\]"):
            store.set_messages(KEY, [*say("c"), ChatMessage("d", additional_kwargs={"x": {1, 2}})])
        assert seen(store) == before

    def test_metadata_ttl_and_birth_stay(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"))
        store.set_metadata(KEY, {"title": "Greeting"})
        store.set_ttl(KEY, 500)
        before = describe(store)
        store.set_messages(KEY, say("b", "c"))
        after = describe(store)
        assert (after.metadata, after.ttl) == ({"title": "Greeting"}, 500)
        assert after.created_at == before.created_at

    def test_archived_messages_are_replaced_too(self, store: ChatStore) -> None:
        store.add_messages(KEY, say("a", "b"))
        store.archive_messages(KEY, 1)
        store.set_messages(KEY, say("c"))
        assert [(r.text, r.status) for r in store.get_records(KEY)] == [("c", "active")]
        assert store.count_messages(KEY, status="archived") == 0

    def test_a_conversation_can_be_put_back_into_itself(self, store: ChatStore) -> None:
        store.add_messages(KEY, [*say("a", "b"), ChatMessage("c", id="m3")])
        store.set_messages(KEY, store.get_messages(KEY)[1:])
        assert held(store) == ["b", "c"]
        assert store.get_messages(KEY)[1].id == "m3"


class Updating(Base):
    """`update_message`."""

    @pytest.mark.parametrize("idx", PLACES)
    def test_the_message_at_a_place_is_replaced(self, store: ChatStore, idx: int) -> None:
        store.add_messages(KEY, say(*"abcd"))
        before, expected = seen(store), list("abcd")
        old = store.update_message(KEY, idx, ChatMessage("new", role="assistant"))
        if -4 <= idx < 4:
            assert old is not None
            assert old.content == expected[idx]
            expected[idx] = "new"
            assert store.get_messages(KEY)[idx].role == "assistant"
        else:
            assert old is None
            assert seen(store) == before
        assert held(store) == expected

    def test_a_missing_conversation_stays_missing(self, store: ChatStore) -> None:
        assert store.update_message(KEY, 0, ChatMessage("a")) is None
        assert store.get_keys() == []

    def test_a_bad_message_changes_nothing(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"))
        before = seen(store)
        with pytest.raises(InvalidMessageError):
            store.update_message(KEY, 0, ChatMessage("b", additional_kwargs={"x": b"bytes"}))
        assert seen(store) == before

    def test_the_neighbours_keep_their_records(self, store: ChatStore) -> None:
        store.add_messages(KEY, say("a", "b", "c"))
        before = store.get_records(KEY)
        store.update_message(KEY, 1, ChatMessage("new"))
        after = store.get_records(KEY)
        assert (after[0], after[2]) == (before[0], before[2])
        assert after[1].ordinal == before[1].ordinal


class Deleting(Base):
    """`delete_message`, `delete_last_message`, `delete_messages`."""

    @pytest.mark.parametrize("idx", PLACES)
    def test_the_message_at_a_place_is_removed(self, store: ChatStore, idx: int) -> None:
        store.add_messages(KEY, say(*"abcd"))
        before, expected = seen(store), list("abcd")
        removed = store.delete_message(KEY, idx)
        if -4 <= idx < 4:
            assert type(removed) is ChatMessage
            assert removed.content == expected.pop(idx)
        else:
            assert removed is None
            assert seen(store) == before
        assert held(store) == expected
        assert describe(store).count == len(expected)

    @pytest.mark.parametrize("idx", [0, -1])
    def test_the_last_message_takes_the_key_along(self, store: ChatStore, idx: int) -> None:
        store.add_message(KEY, ChatMessage("a"))
        store.add_message("other", ChatMessage("b"))
        assert store.delete_message(KEY, idx) == ChatMessage("a")
        assert store.get_keys() == ["other"]
        assert store.get_conversation(KEY) is None
        assert [c.key for c in store.get_conversations()] == ["other"]
        assert store.count_messages(KEY) == 0
        assert store.delete_message(KEY, idx) is None

    def test_the_newest_message_is_popped(self, store: ChatStore) -> None:
        store.add_messages(KEY, say("a", "b"))
        assert store.delete_last_message(KEY) == ChatMessage("b")
        assert store.delete_last_message(KEY) == ChatMessage("a")
        assert store.delete_last_message(KEY) is None
        assert store.get_keys() == []

    def test_a_conversation_is_removed_and_returned(self, store: ChatStore) -> None:
        store.add_messages(KEY, say("a", "b"))
        store.add_message("other", ChatMessage("c"))
        assert store.delete_messages(KEY) == say("a", "b")
        assert store.get_keys() == ["other"]
        assert store.delete_messages(KEY) is None

    def test_nothing_is_removed_from_what_is_missing(self, store: ChatStore) -> None:
        assert store.delete_message(KEY, 0) is None
        assert store.delete_last_message(KEY) is None
        assert store.delete_messages(KEY) is None
        assert store.get_keys() == []

    def test_a_removed_conversation_can_begin_anew(self, store: ChatStore) -> None:
        store.add_messages(KEY, say("a", "b"))
        store.set_metadata(KEY, {"title": "Old"})
        store.delete_messages(KEY)
        store.add_message(KEY, ChatMessage("c"))
        assert held(store) == ["c"]
        assert describe(store).metadata == {}

    def test_appending_goes_on_behind_what_was_removed(self, store: ChatStore) -> None:
        store.add_messages(KEY, say("a", "b", "c"))
        store.delete_last_message(KEY)
        store.delete_message(KEY, 0)
        store.add_messages(KEY, say("d", "e"))
        assert held(store) == ["b", "d", "e"]
