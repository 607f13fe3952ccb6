"""Ids of callers, and writes that are sent twice."""

import pytest

from chatstore import (
    ChatMessage,
    ChatStore,
    ConflictError,
    DuplicateMessageError,
    InvalidMessageError,
    NativeMessage,
)
from chatstore.testing.conformance.base import KEY, Base, OpenStore, held, say, seen

BAD_IDS = ["", "\0", "a\0b", "\ud800", "~1", "~", "x" * 513, "é" * 257]
GOOD_IDS = ["x" * 512, "é" * 256, "É", " a", "a ", "a", "A", "%", "1", "01", "cafe\u0301", "café"]


class Retrying(Base):
    """The same message, sent again."""

    def test_a_retry_changes_nothing(self, store: ChatStore) -> None:
        message = ChatMessage("a", id="m1")
        store.add_message(KEY, message)
        store.add_message(KEY, ChatMessage("b"))
        before = seen(store)
        assert store.add_message(KEY, message) == "m1"
        assert store.add_message(KEY, message, 0) == "m1"
        assert store.add_messages(KEY, [message, message]) == ["m1", "m1"]
        assert seen(store) == before

    def test_equal_content_is_equal_as_json(self, store: ChatStore) -> None:
        extra = {"one": 1, "two": {"a": [], "b": None}}
        turned = {"two": {"b": None, "a": []}, "one": 1}
        store.add_message(KEY, ChatMessage("a", id="m1", additional_kwargs=extra))
        store.add_message(KEY, ChatMessage("a", id="m1", additional_kwargs=turned))
        assert store.count_messages(KEY) == 1

    def test_what_was_read_can_be_sent_again(self, store: ChatStore) -> None:
        store.add_messages(KEY, [ChatMessage("a", id="m1"), ChatMessage("b", id="m2")])
        before = seen(store)
        store.add_messages(KEY, store.get_messages(KEY))
        assert seen(store) == before

    @pytest.mark.parametrize(
        "other",
        [
            ChatMessage("b", id="m1"),
            ChatMessage("a", role="assistant", id="m1"),
            ChatMessage("a", id="m1", additional_kwargs={"n": 1}),
            ChatMessage(id="m1"),
            NativeMessage("openai.chat", {"role": "user", "content": "a"}, id="m1"),
        ],
        ids=["text", "role", "extra", "empty", "format"],
    )
    def test_other_content_under_an_id_is_refused(
        self, store: ChatStore, other: ChatMessage
    ) -> None:
        store.add_message(KEY, ChatMessage("a", id="m1"))
        before = seen(store)
        with pytest.raises(DuplicateMessageError, match="m1"):
            store.add_message(KEY, other)
        with pytest.raises(DuplicateMessageError):
            store.add_message(KEY, other, 0)
        with pytest.raises(DuplicateMessageError):
            store.add_messages(KEY, [ChatMessage("new"), other])
        assert seen(store) == before

    def test_numbers_and_booleans_are_not_one_content(self, store: ChatStore) -> None:
        values = [1, True, 1.0, "1"]
        for number, value in enumerate(values):
            key = f"key-{number}"
            store.add_message(key, ChatMessage(id="m1", additional_kwargs={"n": value}))
            for other in values[:number] + values[number + 1 :]:
                with pytest.raises(DuplicateMessageError):
                    store.add_message(key, ChatMessage(id="m1", additional_kwargs={"n": other}))

    def test_a_batch_that_is_there_in_part_is_completed(self, store: ChatStore) -> None:
        first, second, third = (ChatMessage(text, id=text) for text in "abc")
        store.add_messages(KEY, [first, second])
        ids = store.add_messages(KEY, [second, ChatMessage("x"), third, first])
        assert held(store) == ["a", "b", "x", "c"]
        assert [ids[0], ids[2], ids[3]] == ["b", "c", "a"]
        assert ids[1] == store.get_records(KEY)[2].id

    def test_a_batch_may_hold_a_message_twice(self, store: ChatStore) -> None:
        message = ChatMessage("a", id="m1")
        assert store.add_messages(KEY, [message, message]) == ["m1", "m1"]
        store.set_messages("other", [message, ChatMessage("b"), message])
        assert held(store) == ["a"]
        assert held(store, "other") == ["a", "b"]

    @pytest.mark.parametrize("call", ["add_messages", "set_messages"])
    def test_a_batch_may_not_hold_two_messages_under_an_id(
        self, store: ChatStore, call: str
    ) -> None:
        store.add_message(KEY, ChatMessage("old"))
        before = seen(store)
        with pytest.raises(DuplicateMessageError):
            getattr(store, call)(KEY, [ChatMessage("a", id="m1"), ChatMessage("b", id="m1")])
        assert seen(store) == before

    def test_messages_without_an_id_are_never_taken_for_one(self, store: ChatStore) -> None:
        store.add_messages(KEY, say("yes", "yes"))
        store.add_message(KEY, ChatMessage("yes"))
        store.add_message(KEY, ChatMessage("yes"))
        assert held(store) == ["yes"] * 4

    def test_a_retry_counts_whatever_revision_is_expected(self, store: ChatStore) -> None:
        message = ChatMessage("a", id="m1")
        store.add_message(KEY, message)
        assert store.add_message(KEY, message, expected_revision="stale") == "m1"
        with pytest.raises(ConflictError):
            store.add_messages(KEY, [message, ChatMessage("b")], expected_revision="stale")
        assert held(store) == ["a"]

    def test_a_retry_of_an_archived_message_leaves_it_archived(self, store: ChatStore) -> None:
        message = ChatMessage("a", id="m1")
        store.add_message(KEY, message)
        store.archive_messages(KEY, 1)
        store.add_message(KEY, message)
        assert [record.status for record in store.get_records(KEY)] == ["archived"]

    def test_a_long_batch_is_retried(self, store: ChatStore) -> None:
        batch = [ChatMessage(f"{number}", id=f"m{number}") for number in range(2500)]
        store.add_messages(KEY, batch[:1200])
        assert store.add_messages(KEY, batch) == [message.id for message in batch]
        assert held(store) == [message.content for message in batch]


class Ids(Base):
    """What an id may be, and where it is unique."""

    def test_the_store_invents_no_id(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"))
        store.add_message(KEY, ChatMessage("b", id="m1"))
        assert [message.id for message in store.get_messages(KEY)] == [None, "m1"]

    def test_made_ids_never_recur(self, store: ChatStore) -> None:
        made = set()
        for turn in range(3):
            for _ in range(3):
                made.add(store.add_message(KEY, ChatMessage("a")))
                store.delete_last_message(KEY)
            made.update(store.add_messages(KEY, say("a", "b")))
            store.set_messages(KEY, say("c"))
            made.add(store.get_records(KEY)[0].id)
            store.delete_messages(KEY)
            assert len(made) == 6 * (turn + 1)

    @pytest.mark.parametrize("id", BAD_IDS, ids=ascii)
    def test_an_id_that_cannot_be_kept_is_refused(self, store: ChatStore, id: str) -> None:
        with pytest.raises(InvalidMessageError, match="id"):
            store.add_message(KEY, ChatMessage("a", id=id))
        with pytest.raises(InvalidMessageError, match=r"messages\[1\]\.id"):
            store.set_messages(KEY, [ChatMessage("a"), ChatMessage("b", id=id)])
        assert store.get_keys() == []

    def test_an_id_that_is_no_str_is_refused(self, store: ChatStore) -> None:
        message = ChatMessage("a")
        message.id = 5  # type: ignore[assignment]
        with pytest.raises(InvalidMessageError, match="id"):
            store.add_message(KEY, message)

    def test_ids_are_told_apart_to_the_byte(self, store: ChatStore) -> None:
        for id in GOOD_IDS:
            assert store.add_message(KEY, ChatMessage(id, id=id)) == id
        assert [message.id for message in store.get_messages(KEY)] == GOOD_IDS

    def test_each_conversation_has_its_own_ids(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a", id="m1"))
        store.add_message("other", ChatMessage("b", id="m1"))
        assert (held(store), held(store, "other")) == (["a"], ["b"])

    def test_an_id_is_free_again_once_its_message_is_gone(self, store: ChatStore) -> None:
        def remove() -> None:
            store.delete_message(KEY, 1)

        def unname() -> None:
            store.update_message(KEY, 1, ChatMessage("unnamed"))

        def rename() -> None:
            store.update_message(KEY, 1, ChatMessage("renamed", id="m2"))

        def replace() -> None:
            store.set_messages(KEY, say("replaced"))

        def forget() -> None:
            store.delete_messages(KEY)

        for number, free in enumerate((remove, unname, rename, replace, forget)):
            store.set_messages(KEY, [ChatMessage("a"), ChatMessage(f"{number}", id="m1")])
            free()
            store.add_message(KEY, ChatMessage("other", id="m1"))
            assert store.get_messages(KEY, last=1) == [ChatMessage("other", id="m1")]

    def test_a_message_is_updated_under_its_own_id(self, store: ChatStore) -> None:
        store.add_messages(KEY, [ChatMessage("a", id="m1"), ChatMessage("b", id="m2")])
        assert store.update_message(KEY, 0, ChatMessage("c", id="m1")) == ChatMessage("a", id="m1")
        assert held(store) == ["c", "b"]
        assert store.add_message(KEY, ChatMessage("c", id="m1")) == "m1"
        with pytest.raises(DuplicateMessageError):
            store.add_message(KEY, ChatMessage("a", id="m1"))

    @pytest.mark.parametrize("text", ["new", "b"])
    def test_no_message_is_updated_under_the_id_of_another(
        self, store: ChatStore, text: str
    ) -> None:
        store.add_messages(KEY, [ChatMessage("a", id="m1"), ChatMessage("b", id="m2")])
        before = seen(store)
        with pytest.raises(DuplicateMessageError, match="m2"):
            store.update_message(KEY, 0, ChatMessage(text, id="m2"))
        assert store.update_message(KEY, 9, ChatMessage(text, id="m2")) is None
        assert seen(store) == before

    def test_ids_come_back_from_every_call(self, store: ChatStore, open_store: OpenStore) -> None:
        message = ChatMessage("a", id="m1")
        store.add_message(KEY, message)
        assert store.get_message(KEY, 0) == message
        assert list(store.iter_messages(KEY)) == [message]
        assert store.archive_messages(KEY, 1) == [message]
        assert store.update_message(KEY, 0, message) == message
        assert store.delete_message(KEY, 0) == message
