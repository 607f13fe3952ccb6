"""The ttl: what restarts it, and what an expired conversation is."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from chatstore import ABSENT, ChatMessage, ChatStore, ConflictError, KeyNotFoundError
from chatstore.testing.backend import Backend
from chatstore.testing.conformance.base import KEY, Base, OpenStore, describe, held, say
from chatstore.testing.conformance.calls import READS, WRITES

BAD = [0, -1, 0.0, -0.5, float("nan"), float("inf"), float("-inf"), 10**11, True, "5", b"5"]
TICK = timedelta(milliseconds=2)
"""The coarsest step that a store's times may take."""


def expire(store: ChatStore, key: str = KEY) -> None:
    """Let a conversation expire, as time does it."""
    assert store.set_ttl(key, 0.001)
    time.sleep(0.01)


def lifetime(store: ChatStore, key: str = KEY) -> timedelta:
    """From the last write to the end."""
    conversation = describe(store, key)
    assert conversation.expires_at is not None
    return conversation.expires_at - conversation.updated_at


class Living(Base):
    """While a conversation lives."""

    def test_without_a_ttl_it_lives_for_ever(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"))
        assert (describe(store).ttl, describe(store).expires_at) == (None, None)

    @pytest.mark.parametrize("ttl", [300, 0.5, 86_400 * 365, 10**10])
    def test_the_ttl_of_the_store_is_that_of_new_ones(
        self, open_store: OpenStore, ttl: float
    ) -> None:
        store = open_store(ttl=ttl)
        store.add_message(KEY, ChatMessage("a"))
        assert describe(store).ttl == ttl
        assert abs(lifetime(store) - timedelta(seconds=ttl)) <= TICK
        assert getattr(describe(store).expires_at, "tzinfo", None) is UTC

    @pytest.mark.parametrize("name", ["add_message", "insert", "add_messages", "set_messages"])
    def test_every_way_to_begin_gives_the_ttl(self, open_store: OpenStore, name: str) -> None:
        store = open_store(ttl=300)
        WRITES[name](store, KEY)
        assert abs(lifetime(store) - timedelta(seconds=300)) <= TICK

    @pytest.mark.parametrize("name", WRITES)
    def test_a_write_restarts_it(self, open_store: OpenStore, name: str) -> None:
        store = open_store(ttl=1000)
        store.add_messages(KEY, say("a", "b"))
        before = describe(store)
        time.sleep(0.005)
        WRITES[name](store, KEY)
        after = describe(store)
        assert before.expires_at is not None
        assert after.expires_at is not None
        assert after.expires_at > before.expires_at
        assert after.ttl == 1000
        assert abs(lifetime(store) - timedelta(seconds=1000)) <= TICK

    @pytest.mark.parametrize("name", READS)
    def test_a_read_does_not(self, open_store: OpenStore, name: str) -> None:
        store = open_store(ttl=1000)
        store.add_messages(KEY, say("a", "b"))
        before = describe(store).expires_at
        time.sleep(0.005)
        READS[name](store, KEY)
        store.get_conversations()
        assert describe(store).expires_at == before

    @pytest.mark.parametrize("n", [1, 2])
    def test_a_write_that_expects_something_does_too(self, open_store: OpenStore, n: int) -> None:
        store = open_store(ttl=1000)
        store.add_messages(KEY, say(*"ab"[:n]), expected_revision=ABSENT)
        first = describe(store)
        assert (first.ttl, first.expires_at is None) == (1000, False)
        time.sleep(0.01)
        store.add_messages(KEY, say(*"cd"[:n]), expected_revision=first.revision)
        second = describe(store)
        assert first.expires_at is not None
        assert second.expires_at is not None
        assert second.expires_at > first.expires_at

    def test_a_conversation_can_have_its_own(self, open_store: OpenStore) -> None:
        store = open_store(ttl=1000)
        store.add_message(KEY, ChatMessage("a"))
        assert store.set_ttl(KEY, 60.5) is True
        store.add_message(KEY, ChatMessage("b"))
        store.set_messages(KEY, say("c"))
        assert describe(store).ttl == 60.5
        assert abs(lifetime(store) - timedelta(seconds=60.5)) <= TICK
        assert store.set_ttl(KEY, None) is True
        store.add_message(KEY, ChatMessage("d"))
        assert (describe(store).ttl, describe(store).expires_at) == (None, None)

    def test_a_life_without_end_gets_one(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"))
        store.set_ttl(KEY, 60)
        assert abs(lifetime(store) - timedelta(seconds=60)) <= TICK

    def test_a_missing_conversation_gets_none(self, store: ChatStore) -> None:
        assert store.set_ttl(KEY, 60) is False
        assert store.set_ttl(KEY, None) is False
        assert store.get_keys() == []

    @pytest.mark.parametrize("ttl", BAD, ids=repr)
    def test_a_ttl_that_is_none_is_refused(
        self, store: ChatStore, backend: Backend, ttl: float
    ) -> None:
        store.add_message(KEY, ChatMessage("a"))
        with pytest.raises(ValueError, match="ttl"):
            store.set_ttl(KEY, ttl)
        assert describe(store).ttl is None
        with pytest.raises(ValueError, match="ttl"):
            backend.open(ttl=ttl)


class Expired(Base):
    """An expired conversation is absent from every call."""

    @pytest.fixture
    def store(self, open_store: OpenStore) -> ChatStore:
        store = open_store(ttl=1000)
        store.add_messages(KEY, [*say("a", "b"), ChatMessage("c", id="m1")])
        store.set_metadata(KEY, {"title": "Old"})
        store.add_message("other", ChatMessage("x"))
        expire(store)
        return store

    def test_to_readers(self, store: ChatStore) -> None:
        assert store.get_messages(KEY) == []
        assert store.get_messages(KEY, last=1) == []
        assert store.get_messages(KEY, status="active") == []
        assert store.get_records(KEY) == []
        assert store.get_message(KEY, 0) is None
        assert list(store.iter_messages(KEY)) == []
        assert store.count_messages(KEY) == 0
        assert store.count_messages(KEY, status="active") == 0

    def test_to_lists(self, store: ChatStore) -> None:
        assert store.get_keys() == ["other"]
        assert store.get_keys("user") == []
        assert store.get_conversation(KEY) is None
        assert [c.key for c in store.get_conversations()] == ["other"]
        assert [c.key for c in store.get_conversations(order="key", limit=1)] == ["other"]
        with pytest.raises(KeyNotFoundError):
            store.get_conversations(after=KEY)

    def test_to_edits(self, store: ChatStore) -> None:
        assert store.delete_message(KEY, 0) is None
        assert store.delete_last_message(KEY) is None
        assert store.update_message(KEY, 0, ChatMessage("new")) is None
        assert store.archive_messages(KEY, 1) == []
        assert store.set_metadata(KEY, {}) is False
        assert store.set_ttl(KEY, 60) is False
        assert store.set_ttl(KEY, None) is False
        assert store.get_keys() == ["other"]

    @pytest.mark.parametrize("call", ["delete_messages", "erase"])
    def test_to_removals(self, store: ChatStore, call: str) -> None:
        assert not getattr(store, call)(KEY)
        store.set_messages(KEY, [])
        assert store.get_keys() == ["other"]

    def test_to_copies(self, store: ChatStore) -> None:
        with pytest.raises(KeyNotFoundError):
            store.copy_conversation(KEY, "fork")
        assert store.copy_conversation("other", KEY) == 1
        assert held(store) == ["x"]
        assert describe(store).metadata == {}

    def test_to_those_who_expect_something(self, store: ChatStore) -> None:
        assert store.add_message(KEY, ChatMessage("new"), expected_revision=ABSENT)
        expire(store)
        with pytest.raises(ConflictError):
            store.add_message(KEY, ChatMessage("new"), expected_revision="1")
        assert store.get_keys() == ["other"]

    @pytest.mark.parametrize("name", ["add_message", "insert", "add_messages", "set_messages"])
    def test_a_write_begins_anew(self, store: ChatStore, name: str) -> None:
        before = datetime.now(UTC)
        WRITES[name](store, KEY)
        assert held(store) == ["new"]
        conversation = describe(store)
        assert (conversation.count, conversation.metadata, conversation.ttl) == (1, {}, 1000)
        assert conversation.created_at >= before - TICK
        store.add_message(KEY, ChatMessage("other content", id="m1"))
        assert store.count_messages(KEY, status="active") == 2

    def test_its_revision_does_not_come_back(self, open_store: OpenStore) -> None:
        store = open_store()
        known = set()
        for _ in range(3):
            store.add_message(KEY, ChatMessage("a"))
            known.add(describe(store).revision)
            expire(store)
        assert len(known) == 3

    def test_purging_frees_it(self, store: ChatStore, backend: Backend) -> None:
        store.add_message("third", ChatMessage("x"))
        expire(store, "third")
        store.get_messages(KEY)  # a read frees nothing
        assert store.purge_expired() == (0 if backend.frees_expired else 2)
        assert store.purge_expired() == 0
        assert store.get_keys() == ["other"]
        assert backend.raw_payloads(KEY) == []
        assert len(backend.raw_payloads("other")) == 1

    def test_erasing_makes_its_text_gone(self, store: ChatStore, backend: Backend) -> None:
        assert store.erase(KEY) is False
        assert backend.raw_payloads(KEY) == []

    def test_many_are_purged(self, open_store: OpenStore, backend: Backend) -> None:
        store = open_store(ttl=0.01)
        for number in range(50):
            store.add_message(f"key-{number}", ChatMessage("a"))
        time.sleep(0.02)
        assert store.get_keys() == []
        assert store.purge_expired() == (0 if backend.frees_expired else 50)
