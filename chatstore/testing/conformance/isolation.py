"""What you get is yours; what you gave stays yours."""

from collections.abc import Callable
from typing import Any

from chatstore import ChatMessage, ChatStore
from chatstore.messages import text_block
from chatstore.testing.conformance.base import KEY, Base, describe, held, say, seen


def rich() -> ChatMessage:
    """A message with something to change at every depth."""
    return ChatMessage([text_block("a")], id="m1", additional_kwargs={"deep": {"list": [1]}})


def spoil(message: ChatMessage) -> None:
    """Change all that a message has."""
    message.role = "assistant"
    message.blocks[0]["text"] = "changed"
    message.blocks.append(text_block("more"))
    message.additional_kwargs["deep"]["list"].append(2)
    message.additional_kwargs["new"] = 1
    message.id = "other"


class Isolation(Base):
    """No list, dict or message is shared between the store and its callers."""

    def test_a_message_that_was_stored_can_be_changed(self, store: ChatStore) -> None:
        writes: list[Callable[[ChatMessage], object]] = [
            lambda message: store.add_message(KEY, message),
            lambda message: store.add_messages(KEY, [message]),
            lambda message: store.set_messages(KEY, [message]),
            lambda message: store.update_message(KEY, 0, message),
        ]
        for write in writes:
            message = rich()
            write(message)
            spoil(message)
            assert store.get_messages(KEY) == [rich()]

    def test_a_list_that_was_stored_can_be_changed(self, store: ChatStore) -> None:
        messages = say("a", "b")
        store.set_messages(KEY, messages)
        messages.pop()
        assert held(store) == ["a", "b"]
        messages = say("c")
        store.add_messages(KEY, messages)
        messages.append(ChatMessage("d"))
        assert held(store) == ["a", "b", "c"]

    def test_what_was_read_can_be_changed(self, store: ChatStore) -> None:
        store.add_message(KEY, rich())
        before = seen(store)
        reads: list[Callable[[], ChatMessage]] = [
            lambda: store.get_messages(KEY)[0],
            lambda: store.get_messages(KEY, last=1)[0],
            lambda: store.get_message(KEY, 0) or rich(),
            lambda: store.get_records(KEY)[0].message,
            lambda: next(iter(store.iter_messages(KEY))),
        ]
        for read in reads:
            spoil(read())
            assert seen(store) == before
        store.get_messages(KEY).clear()
        store.get_records(KEY).clear()
        store.get_keys().clear()
        store.get_conversations().clear()
        assert seen(store) == before

    def test_a_list_from_a_missing_key_is_no_way_in(self, store: ChatStore) -> None:
        store.get_messages(KEY).append(ChatMessage("a"))
        assert held(store) == []
        assert store.get_keys() == []

    def test_what_was_returned_by_a_write_can_be_changed(self, store: ChatStore) -> None:
        store.add_messages(KEY, [rich(), *say("b", "c")])
        spoil(store.archive_messages(KEY, 1)[0])
        assert store.get_messages(KEY)[0] == rich()
        spoil(store.update_message(KEY, 0, rich()) or rich())
        assert store.get_messages(KEY)[0] == rich()

    def test_metadata_is_not_shared(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"))
        metadata: dict[str, Any] = {"deep": {"list": [1]}}
        store.set_metadata(KEY, metadata)
        metadata["deep"]["list"].append(2)
        describe(store).metadata["deep"]["list"].append(3)
        store.get_conversations()[0].metadata.clear()
        assert describe(store).metadata == {"deep": {"list": [1]}}

    def test_a_copy_shares_nothing(self, store: ChatStore) -> None:
        store.add_message(KEY, rich())
        store.set_metadata(KEY, {"a": [1]})
        store.copy_conversation(KEY, "fork")
        describe(store, "fork").metadata["a"].append(2)
        spoil(store.get_messages("fork")[0])
        assert store.get_messages(KEY) == store.get_messages("fork") == [rich()]
        assert describe(store).metadata == {"a": [1]}
