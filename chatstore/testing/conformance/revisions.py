"""`revision` and `expected_revision`."""

import pytest

from chatstore import ABSENT, ChatMessage, ChatStore, ConflictError
from chatstore.testing.conformance.base import KEY, Base, describe, held, say, seen
from chatstore.testing.conformance.calls import IDLE, READS, REMOVALS, WRITES

STRANGE = [
    "",
    "0",
    "-",
    "1-",
    "-1",
    "1-2-3",
    "x",
    "9" * 40,
    "1-" + "9" * 40,
    "\u0661-\u0661",
    "\0",
    "\ud800",
]


class Revisions(Base):
    """When a revision changes, and when it does not."""

    @pytest.mark.parametrize("name", WRITES)
    def test_a_write_changes_it(self, store: ChatStore, name: str) -> None:
        store.add_messages(KEY, say("a", "b"))
        before = describe(store)
        WRITES[name](store, KEY)
        after = describe(store)
        assert after.revision != before.revision
        assert after.updated_at >= before.updated_at
        assert after.created_at == before.created_at

    @pytest.mark.parametrize("call", [*READS.values(), *IDLE.values()], ids=[*READS, *IDLE])
    def test_what_writes_nothing_leaves_it(self, store: ChatStore, call: str) -> None:
        store.add_messages(KEY, say("a", "b"))
        before = seen(store)
        call(store, KEY)  # type: ignore[operator]
        store.purge_expired()
        assert seen(store) == before

    def test_other_conversations_keep_theirs(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"))
        before = seen(store)
        for call in [*WRITES.values(), *REMOVALS.values()]:
            store.set_messages("other", say("a", "b"))
            call(store, "other")
        assert seen(store) == before

    def test_none_ever_recurs(self, store: ChatStore) -> None:
        known: list[str] = []
        for _ in range(3):
            for call in ("add_message", "insert", "update_message", "set_messages"):
                WRITES[call](store, KEY)
                if store.get_conversation(KEY):
                    known.append(describe(store).revision)
            store.add_messages(KEY, say("a", "b"))
            known.append(describe(store).revision)
            store.delete_last_message(KEY)
            known.append(describe(store).revision)
            store.delete_messages(KEY)
        assert len(set(known)) == len(known) == 18


class Expecting(Base):
    """Writes that take place only if nobody wrote before."""

    @pytest.mark.parametrize(
        "call", [*WRITES.values(), *REMOVALS.values()], ids=[*WRITES, *REMOVALS]
    )
    def test_the_revision_that_was_seen_lets_a_write_through(
        self, store: ChatStore, call: str
    ) -> None:
        store.add_messages(KEY, say("a", "b"))
        before = describe(store)
        call(store, KEY, expected_revision=before.revision)  # type: ignore[operator]
        after = store.get_conversation(KEY)
        assert after is None or after.revision != before.revision

    @pytest.mark.parametrize(
        "call", [*WRITES.values(), *REMOVALS.values()], ids=[*WRITES, *REMOVALS]
    )
    def test_a_stale_revision_stops_it(self, store: ChatStore, call: str) -> None:
        store.add_messages(KEY, say("a", "b"))
        stale = describe(store).revision
        store.add_message(KEY, ChatMessage("c"))
        before = seen(store)
        for expected in (stale, ABSENT):
            with pytest.raises(ConflictError, match=KEY):
                call(store, KEY, expected_revision=expected)  # type: ignore[operator]
        assert seen(store) == before

    @pytest.mark.parametrize("name", ["add_message", "insert", "add_messages", "set_messages"])
    def test_absent_lets_a_conversation_begin(self, store: ChatStore, name: str) -> None:
        WRITES[name](store, KEY, expected_revision=ABSENT)
        assert held(store) == ["new"]

    @pytest.mark.parametrize(
        "call", [*WRITES.values(), *REMOVALS.values()], ids=[*WRITES, *REMOVALS]
    )
    def test_a_missing_conversation_has_no_revision(self, store: ChatStore, call: str) -> None:
        store.add_message(KEY, ChatMessage("a"))
        gone = describe(store).revision
        store.delete_messages(KEY)
        with pytest.raises(ConflictError):
            call(store, KEY, expected_revision=gone)  # type: ignore[operator]
        assert store.get_keys() == []

    def test_what_is_absent_can_be_expected_to_be(self, store: ChatStore) -> None:
        assert store.delete_messages(KEY, expected_revision=ABSENT) is None
        assert store.delete_message(KEY, 0, expected_revision=ABSENT) is None
        assert store.archive_messages(KEY, 1, expected_revision=ABSENT) == []
        assert store.set_metadata(KEY, {}, expected_revision=ABSENT) is False
        assert store.set_ttl(KEY, 5, expected_revision=ABSENT) is False
        store.set_messages(KEY, [], expected_revision=ABSENT)
        assert store.get_keys() == []

    def test_an_old_life_is_not_the_new_one(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"))
        old = describe(store).revision
        store.delete_messages(KEY)
        store.add_message(KEY, ChatMessage("a"))
        with pytest.raises(ConflictError):
            store.add_message(KEY, ChatMessage("b"), expected_revision=old)
        assert held(store) == ["a"]

    def test_the_revision_of_another_conversation_is_wrong(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"))
        store.add_message("other", ChatMessage("a"))
        with pytest.raises(ConflictError):
            store.add_message(
                KEY, ChatMessage("b"), expected_revision=describe(store, "other").revision
            )
        assert held(store) == ["a"]

    @pytest.mark.parametrize("strange", STRANGE, ids=ascii)
    def test_what_never_was_a_revision_is_a_conflict(self, store: ChatStore, strange: str) -> None:
        with pytest.raises(ConflictError):
            store.add_message(KEY, ChatMessage("a"), expected_revision=strange)
        store.add_message(KEY, ChatMessage("a"))
        before = seen(store)
        for call in (WRITES["add_message"], WRITES["update_message"], WRITES["set_ttl"]):
            with pytest.raises(ConflictError):
                call(store, KEY, expected_revision=strange)
        assert seen(store) == before

    @pytest.mark.parametrize("value", [0, 1, True, b"1", [], {}], ids=repr)
    def test_what_cannot_be_a_revision_is_refused(self, store: ChatStore, value: str) -> None:
        with pytest.raises(ValueError, match="expected_revision"):
            store.add_message(KEY, ChatMessage("a"), expected_revision=value)
        assert store.get_keys() == []

    def test_a_conflict_comes_before_nothing_to_do(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"))
        with pytest.raises(ConflictError):
            store.delete_message(KEY, 9, expected_revision="stale")
        with pytest.raises(ConflictError):
            store.update_message(KEY, 9, ChatMessage("b"), expected_revision="stale")
        with pytest.raises(ConflictError):
            store.archive_messages(KEY, 0, expected_revision="stale")
