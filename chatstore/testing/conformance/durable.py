"""Stores whose data outlive them: opening again, several at once, namespaces."""

import time

import pytest

from chatstore import ChatMessage, ChatStore, DuplicateMessageError, InvalidKeyError
from chatstore.testing.backend import Backend
from chatstore.testing.conformance.archiving import statuses
from chatstore.testing.conformance.base import KEY, Base, OpenStore, describe, held, say, seen
from chatstore.testing.conformance.calls import REMOVALS, WRITES
from chatstore.testing.conformance.threads import WORKERS, together


class Durable(Base):
    """What one store wrote, the next one reads."""

    def test_everything_is_there_again(self, open_store: OpenStore) -> None:
        with open_store(ttl=5000) as store:
            store.add_messages(KEY, [ChatMessage("a\0\ud800", id="m1"), *say("b", "c")])
            store.add_message(KEY, ChatMessage("new"), 1)
            store.archive_messages(KEY, 1)
            store.set_metadata(KEY, {"title": "Greeting"})
            before = seen(store)
        again = open_store()
        assert seen(again) == before
        assert again.get_keys() == [KEY]

    @pytest.mark.parametrize(
        "call", [*WRITES.values(), *REMOVALS.values()], ids=[*WRITES, *REMOVALS]
    )
    def test_every_write_is_there_again(self, open_store: OpenStore, call: str) -> None:
        with open_store() as store:
            store.add_messages(KEY, say("a", "b"))
            call(store, KEY)  # type: ignore[operator]
            before = seen(store)
        assert seen(open_store()) == before

    def test_work_goes_on(self, open_store: OpenStore, backend: Backend) -> None:
        revisions = []
        for number in range(4):
            with open_store() as store:
                store.add_message(KEY, ChatMessage(f"{number}"))
                store.add_message(KEY, ChatMessage(f"front {number}"), 0)
                revisions.append(describe(store).revision)
        store = open_store()
        assert held(store) == ["front 3", "front 2", "front 1", "front 0", "0", "1", "2", "3"]
        assert len(set(revisions)) == 4
        assert backend.faults(KEY) == []

    def test_a_retry_is_known_again(self, open_store: OpenStore) -> None:
        with open_store() as store:
            store.add_message(KEY, ChatMessage("a", id="m1"))
        store = open_store()
        assert store.add_message(KEY, ChatMessage("a", id="m1")) == "m1"
        with pytest.raises(DuplicateMessageError):
            store.add_message(KEY, ChatMessage("b", id="m1"))
        assert held(store) == ["a"]

    def test_made_ids_and_revisions_do_not_recur(self, open_store: OpenStore) -> None:
        made, revisions = set(), set()
        for _ in range(4):
            with open_store() as store:
                made.add(store.add_message(KEY, ChatMessage("a")))
                revisions.add(describe(store).revision)
                store.delete_messages(KEY)
        assert (len(made), len(revisions)) == (4, 4)

    def test_what_was_never_written_is_not_there(self, open_store: OpenStore) -> None:
        with open_store() as store:
            assert store.get_messages(KEY) == []
        assert open_store().get_keys() == []


class Shared(Base):
    """Several stores at once over the same data."""

    def test_one_sees_what_the_other_writes(self, open_store: OpenStore) -> None:
        one, two = open_store(), open_store()
        one.add_message(KEY, ChatMessage("a"))
        assert held(two) == ["a"]
        two.add_message(KEY, ChatMessage("b"))
        two.archive_messages(KEY, 1)
        assert statuses(one) == [("a", "archived"), ("b", "active")]
        one.delete_messages(KEY)
        assert two.get_keys() == []

    def test_all_write_to_one_conversation(self, open_store: OpenStore, backend: Backend) -> None:
        stores = [open_store() for _ in range(4)]

        def work(number: int) -> None:
            for turn in range(10):
                stores[number % 4].add_message(KEY, ChatMessage(f"{number}:{turn}"))

        together(work)
        spoken = held(stores[0])
        assert len(spoken) == WORKERS * 10
        for number in range(WORKERS):
            mine = [text for text in spoken if text and text.startswith(f"{number}:")]
            assert mine == [f"{number}:{turn}" for turn in range(10)]
        assert backend.faults(KEY) == []

    def test_all_open_at_once(self, open_store: OpenStore) -> None:
        def work(number: int) -> None:
            open_store().add_message(KEY, ChatMessage(f"{number}"))

        together(work)
        assert len(held(open_store())) == WORKERS


class Namespaces(Base):
    """Stores with different namespaces never see each other."""

    @pytest.fixture
    def both(self, open_store: OpenStore) -> tuple[ChatStore, ChatStore]:
        """Two stores over the same data."""
        return open_store(namespace="one"), open_store(namespace="two")

    def test_they_share_nothing(self, both: tuple[ChatStore, ChatStore]) -> None:
        one, two = both
        one.add_messages(KEY, [ChatMessage("a", id="m1"), ChatMessage("b")])
        before = seen(one)
        assert seen(two) == (None, [])
        assert (two.get_keys(), two.get_conversations()) == ([], [])
        two.add_message(KEY, ChatMessage("other", id="m1"))
        for call in [*WRITES.values(), *REMOVALS.values()]:
            two.set_messages(KEY, say("x", "y"))
            call(two, KEY)
        two.copy_conversation(KEY, "fork") if two.get_keys() else None
        two.erase(KEY)
        assert seen(one) == before
        assert one.get_keys() == [KEY]
        assert one.check().messages == 2
        assert two.check().messages == 0

    def test_names_that_run_together_are_two(self, open_store: OpenStore) -> None:
        names = ["", "a", "a:", "a:b", "A", "b", "%", "a ", "é", "e\u0301", "{a}", "}{", "x" * 1024]
        for name in names:
            store = open_store(namespace=name)
            store.add_message("b:c", ChatMessage(name))
            store.add_message("c", ChatMessage(name))
        for name in names:
            store = open_store(namespace=name)
            assert store.get_keys() == ["b:c", "c"]
            assert held(store, "b:c") == held(store, "c") == [name]

    def test_expired_conversations_are_purged_by_their_own(
        self, both: tuple[ChatStore, ChatStore], backend: Backend
    ) -> None:
        for store in both:
            store.add_message(KEY, ChatMessage("a"))
            store.set_ttl(KEY, 0.001)
        time.sleep(0.01)
        assert [store.purge_expired() for store in both] == [0 if backend.frees_expired else 1] * 2

    @pytest.mark.parametrize("name", ["\0", "\ud800", "x" * 1025, None, 5, b"a"], ids=ascii)
    def test_a_namespace_is_like_a_key(self, backend: Backend, name: str) -> None:
        with pytest.raises(InvalidKeyError):
            backend.open(namespace=name)
