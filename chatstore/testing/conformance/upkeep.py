"""Closing, truth, check, and what errors do not tell."""

import io
import traceback
from contextlib import suppress
from typing import Any

import pytest

from chatstore import ChatMessage, ChatStore, ChatStoreError, StoreClosedError
from chatstore.testing.conformance.base import KEY, Base, OpenStore, say
from chatstore.testing.conformance.calls import EVERY

SECRET = "s3cr3t-of-a-user"


class Closing(Base):
    """A closed store, and an empty one."""

    def test_closing_twice_is_fine(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"))
        store.close()
        store.close()

    def test_with_closes(self, open_store: OpenStore) -> None:
        with open_store() as store:
            store.add_message(KEY, ChatMessage("a"))
        with pytest.raises(StoreClosedError):
            store.get_messages(KEY)

    def test_with_closes_after_an_error(self, open_store: OpenStore) -> None:
        with pytest.raises(ZeroDivisionError), open_store() as store:
            raise ZeroDivisionError
        with pytest.raises(StoreClosedError):
            store.get_keys()

    @pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
    def test_a_closed_store_says_so(self, store: ChatStore, used: bool) -> None:
        if used:
            store.add_message(KEY, ChatMessage("a"))
        store.close()
        silent = []
        for name, call in EVERY.items():
            with suppress(StoreClosedError):
                call(store, "elsewhere" if name == "copy_to" else KEY)
                silent.append(name)
        assert silent == []

    def test_a_closed_store_says_so_to_files(self, store: ChatStore) -> None:
        store.close()
        with pytest.raises(StoreClosedError):
            store.export_json(io.BytesIO(), format="jsonl")
        with pytest.raises(StoreClosedError):
            store.import_json(io.StringIO('{"store": {"a": []}}'), format="json")

    def test_an_iteration_ends_with_its_store(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*map(str, range(600))))
        left = store.iter_messages(KEY)
        next(left)
        store.close()
        with pytest.raises(StoreClosedError):
            list(left)

    def test_a_store_is_true(self, store: ChatStore) -> None:
        assert bool(store) is True
        store.add_message(KEY, ChatMessage("a"))
        assert bool(store) is True
        store.close()
        assert bool(store) is True


class Checking(Base):
    """`check` of what is sound; damage is in `Undecodable`."""

    def test_what_is_sound_is_ok(self, store: ChatStore) -> None:
        assert store.check().ok
        store.add_messages(KEY, say(*map(str, range(300))))
        for number in range(30):
            store.add_message(KEY, ChatMessage(f"new {number}"), 5)
            store.delete_message(KEY, 200)
        store.archive_messages(KEY, 10)
        store.copy_conversation(KEY, "fork", 7)
        store.set_messages("other", say("a"))
        store.delete_messages("other")
        report = store.check()
        assert report.problems == []
        assert report.ok
        assert (report.conversations, report.messages) == (2, 307)


class Privacy(Base):
    """No error and no repr holds what users said."""

    def test_a_repr_tells_nothing(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage(SECRET))
        assert SECRET not in repr(store)
        assert SECRET not in str(store)
        assert SECRET not in repr(store.check())

    def test_an_error_tells_nothing(self, store: ChatStore) -> None:
        secret: Any = ChatMessage(SECRET, id="m1", additional_kwargs={"a": SECRET})
        bad = ChatMessage(SECRET, additional_kwargs={"a": SECRET, "b": {SECRET}, "c": float("nan")})
        store.add_message(KEY, secret)
        store.add_message("other", ChatMessage("a"))
        other = ChatMessage(SECRET + "!", id="m1")
        for call in (
            lambda: store.add_message(KEY, bad),
            lambda: store.add_messages(KEY, [secret, bad]),
            lambda: store.set_messages(KEY, SECRET),  # type: ignore[arg-type]
            lambda: store.add_message(KEY, SECRET),  # type: ignore[arg-type]
            lambda: store.add_message(KEY, other),
            lambda: store.add_message(KEY, other, 0),
            lambda: store.update_message(KEY, 0, bad),
            lambda: store.set_metadata(KEY, {"a": SECRET, "b": object()}),
            lambda: store.add_message(KEY, other, expected_revision="stale"),
            lambda: store.copy_conversation(KEY, "other"),
        ):
            with pytest.raises(ChatStoreError) as caught:
                call()
            told = "".join(traceback.format_exception(caught.value))
            assert SECRET not in told.replace(f"ChatMessage({SECRET!r}", "")
            assert len(str(caught.value)) > 20
