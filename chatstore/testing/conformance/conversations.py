"""What is known of a conversation, its metadata, its copies and its erasure."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chatstore import (
    ChatMessage,
    ChatStore,
    ConflictError,
    InvalidMessageError,
    KeyNotFoundError,
)
from chatstore.testing.backend import Backend
from chatstore.testing.conformance.archiving import statuses
from chatstore.testing.conformance.base import HUGE, KEY, Base, OpenStore, describe, held, say, seen
from chatstore.testing.conformance.refusing import REFUSED
from chatstore.testing.conformance.values import ODD_TEXTS

SECOND = timedelta(seconds=1)


class Describing(Base):
    """`get_conversation`."""

    def test_a_conversation_is_described(self, store: ChatStore) -> None:
        before = datetime.now(UTC)
        store.add_messages(KEY, say("a", "b"))
        conversation = describe(store)
        assert (conversation.key, conversation.count) == (KEY, 2)
        assert conversation.metadata == {}
        assert conversation.revision
        assert before - SECOND < conversation.created_at <= conversation.updated_at
        assert conversation.updated_at < datetime.now(UTC) + SECOND
        assert conversation.created_at.tzinfo is UTC
        assert conversation.updated_at.tzinfo is UTC

    def test_a_write_changes_only_the_time_of_the_last_write(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"))
        first = describe(store)
        time.sleep(0.02)
        store.add_message(KEY, ChatMessage("b"))
        then = describe(store)
        assert then.created_at == first.created_at < then.updated_at > first.updated_at

    def test_the_time_of_a_message_is_not_that_of_the_conversation(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a", created_at=datetime(2001, 1, 1, tzinfo=UTC)))
        assert describe(store).created_at > datetime(2020, 1, 1, tzinfo=UTC)

    def test_listing_tells_the_same(self, store: ChatStore) -> None:
        store.add_messages(KEY, say("a", "b"))
        store.set_metadata(KEY, {"title": "Greeting"})
        store.set_ttl(KEY, 500)
        assert store.get_conversations() == [describe(store)]
        assert store.get_conversations(order="key") == [describe(store)]


class Metadata(Base):
    """`set_metadata`."""

    def test_it_is_replaced_whole(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"))
        assert store.set_metadata(KEY, {"a": 1, "b": {"c": [None, True, 1.5]}}) is True
        assert describe(store).metadata == {"a": 1, "b": {"c": [None, True, 1.5]}}
        assert store.set_metadata(KEY, {"d": "e"}) is True
        assert describe(store).metadata == {"d": "e"}
        assert store.set_metadata(KEY, {}) is True
        assert describe(store).metadata == {}

    def test_a_missing_conversation_has_none(self, store: ChatStore) -> None:
        assert store.set_metadata(KEY, {"a": 1}) is False
        assert store.get_keys() == []

    def test_odd_texts_come_back(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"))
        metadata = {text: [text] for text in ODD_TEXTS.values()}
        store.set_metadata(KEY, metadata)
        assert describe(store).metadata == metadata

    @pytest.mark.parametrize(("value", "where"), REFUSED.values(), ids=REFUSED)
    def test_what_json_cannot_hold_is_refused(
        self, store: ChatStore, value: object, where: str
    ) -> None:
        store.add_message(KEY, ChatMessage("a"))
        store.set_metadata(KEY, {"old": 1})
        before = seen(store)
        with pytest.raises(InvalidMessageError, match=rf"metadata\.x{where}"):
            store.set_metadata(KEY, {"x": value})
        assert seen(store) == before

    @pytest.mark.parametrize("value", [None, [], "{}", 5, [("a", 1)]], ids=repr)
    def test_it_is_a_dict(self, store: ChatStore, value: Any) -> None:
        store.add_message(KEY, ChatMessage("a"))
        with pytest.raises(InvalidMessageError, match="metadata"):
            store.set_metadata(KEY, value)

    def test_writes_leave_it(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"))
        store.set_metadata(KEY, {"title": "Greeting"})
        store.add_message(KEY, ChatMessage("b"), 0)
        store.update_message(KEY, 0, ChatMessage("c"))
        store.archive_messages(KEY, 1)
        store.delete_message(KEY, 0)
        store.set_messages(KEY, say("d", "e"))
        store.set_ttl(KEY, 1000)
        assert describe(store).metadata == {"title": "Greeting"}


class Copying(Base):
    """`copy_conversation`."""

    def test_a_copy_lives_on_its_own(self, store: ChatStore) -> None:
        store.add_messages(KEY, say("a", "b"))
        before = seen(store)
        assert store.copy_conversation(KEY, "fork") == 2
        assert seen(store) == before
        store.add_message("fork", ChatMessage("c"))
        store.update_message("fork", 0, ChatMessage("A"))
        store.delete_message(KEY, 1)
        assert (held(store), held(store, "fork")) == (["a"], ["A", "b", "c"])

    @pytest.mark.parametrize("stop", [None, *range(1, 6), -1, -2, HUGE])
    def test_the_messages_before_stop_are_copied(self, store: ChatStore, stop: int | None) -> None:
        store.add_messages(KEY, say(*"abcd"))
        expected = list("abcd")[:stop]
        assert store.copy_conversation(KEY, "fork", stop) == len(expected)
        assert held(store, "fork") == expected
        assert describe(store, "fork").count == len(expected)

    @pytest.mark.parametrize("stop", [0, -4, -5, -HUGE])
    def test_a_copy_of_nothing_is_refused(self, store: ChatStore, stop: int) -> None:
        store.add_messages(KEY, say(*"abcd"))
        with pytest.raises(ValueError, match="stop"):
            store.copy_conversation(KEY, "fork", stop)
        assert store.get_keys() == [KEY]

    def test_stop_is_an_integer(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"))
        with pytest.raises(TypeError):
            store.copy_conversation(KEY, "fork", "1")  # type: ignore[arg-type]
        assert store.get_keys() == [KEY]

    def test_everything_comes_along(self, store: ChatStore) -> None:
        moment = datetime(2001, 1, 1, tzinfo=UTC)
        extra = {"nested": {"list": [1, "\0"]}}
        store.add_messages(
            KEY,
            [
                ChatMessage("a", id="m1", created_at=moment, additional_kwargs=extra),
                ChatMessage("b", role="assistant"),
            ],
        )
        store.archive_messages(KEY, 1)
        store.set_metadata(KEY, {"title": "Greeting"})
        store.set_ttl(KEY, 500)
        store.copy_conversation(KEY, "fork")
        assert store.get_messages("fork") == store.get_messages(KEY)
        assert statuses(store, "fork") == [("a", "archived"), ("b", "active")]
        assert store.count_messages("fork", status="archived") == 1
        assert store.get_messages("fork")[0].created_at == moment
        copy, source = describe(store, "fork"), describe(store)
        assert (copy.metadata, copy.ttl) == ({"title": "Greeting"}, 500)
        assert copy.revision != source.revision
        assert copy.expires_at is not None
        assert source.expires_at is not None
        assert copy.expires_at >= source.expires_at
        payloads = [[r.payload for r in store.get_records(key)] for key in (KEY, "fork")]
        assert payloads[0] == payloads[1]
        assert store.add_message("fork", ChatMessage("a", id="m1", additional_kwargs=extra)) == "m1"
        assert store.count_messages("fork") == 2

    def test_without_a_ttl_stays_without(self, store: ChatStore, open_store: OpenStore) -> None:
        hurried = open_store(ttl=500)
        hurried.add_message(KEY, ChatMessage("a"))
        hurried.set_ttl(KEY, None)
        hurried.copy_conversation(KEY, "fork")
        assert (describe(hurried, "fork").ttl, describe(hurried, "fork").expires_at) == (None, None)

    def test_an_edited_conversation_is_copied_in_order(self, store: ChatStore) -> None:
        expected = [f"{number}" for number in range(300)]
        store.add_messages(KEY, say(*expected))
        for number in range(40):
            store.add_message(KEY, ChatMessage(f"new {number}"), 3)
            expected.insert(3, f"new {number}")
            store.delete_message(KEY, 100)
            del expected[100]
        store.copy_conversation(KEY, "fork", 250)
        assert held(store, "fork") == expected[:250]
        store.add_message("fork", ChatMessage("end"))
        store.add_message("fork", ChatMessage("inserted"), 200)
        assert held(store, "fork") == [*expected[:200], "inserted", *expected[200:250], "end"]

    def test_the_source_must_exist(self, store: ChatStore) -> None:
        with pytest.raises(KeyNotFoundError, match=KEY):
            store.copy_conversation(KEY, "fork")
        assert store.get_keys() == []

    @pytest.mark.parametrize("to_key", ["other", KEY])
    def test_the_target_must_not(self, store: ChatStore, to_key: str) -> None:
        store.add_message(KEY, ChatMessage("a"))
        store.add_message("other", ChatMessage("b"))
        before = seen(store, to_key)
        with pytest.raises(ConflictError, match=to_key):
            store.copy_conversation(KEY, to_key)
        assert seen(store, to_key) == before


class Erasing(Base):
    """`erase`. That the text is gone from the files is tested where there are files."""

    def test_a_conversation_is_gone(self, store: ChatStore, backend: Backend) -> None:
        store.add_messages(KEY, say("a", "b"))
        store.add_message("other", ChatMessage("c"))
        assert store.erase(KEY) is True
        assert store.get_keys() == ["other"]
        assert backend.raw_payloads(KEY) == []
        assert held(store, "other") == ["c"]
        store.add_message(KEY, ChatMessage("d"))
        assert held(store) == ["d"]

    def test_what_is_missing_cannot_be_erased(self, store: ChatStore) -> None:
        assert store.erase(KEY) is False
        store.add_message(KEY, ChatMessage("a"))
        store.delete_messages(KEY)
        assert store.erase(KEY) is False
