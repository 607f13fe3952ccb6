"""What adapters keep beside conversations: operations without a public call of their own."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from chatstore import ABSENT, ChatMessage, ChatStore, ConflictError, DuplicateMessageError
from chatstore import operations as ops
from chatstore.records import Draft, State, StateDraft
from chatstore.testing.conformance.base import KEY, Base, describe, say
from chatstore.testing.conformance.calls import READS, WRITES

BODY = '{"text":"\\u0000 \\ud800 | \\\\ %"}'
PARTED = '[{"entry":"left","parent":null}]'


def entry(id: str | None, text: str = "x", format: str = "chatstore") -> Draft:
    """A message with an id, encoded."""
    payload = f'{{"role":"user","additional_kwargs":{{}},"blocks":[],"text":"{text}"}}'
    return Draft(id, format, payload, "user", None, None, False, 1_700_000_000_000_000)


def read(store: ChatStore, key: str = KEY) -> State:
    """The state, which must exist, or a conversation."""
    state = store._execute(ops.ReadState(key))
    assert state is not None
    return state


def absent(store: ChatStore, key: str = KEY) -> bool:
    """Whether there is neither a state nor a conversation."""
    return store._execute(ops.ReadState(key)) is None


def write(
    store: ChatStore,
    *ids: str,
    key: str = KEY,
    body: str = BODY,
    parted: str | None = "",
    scope: str | None = None,
    at: int = 1,
    replace: bool = False,
    expected: Any = None,
) -> str:
    """Write a state, with a message for each id."""
    drafts = [entry(id) for id in ids]
    state = StateDraft(body, parted, scope, at)
    return store._execute(ops.WriteState(key, state, drafts, replace, expected))


def scopes(store: ChatStore, scope: str | None = None, limit: int | None = None) -> list[str]:
    """The keys of states, as they are listed."""
    return [state.key for state in store._execute(ops.ListStates(scope, limit))]


def at_once(store: ChatStore, expected: Any, parted: str | None = "", of: str = "w") -> list[str]:
    """Four threads write, each a message, and a state that names it; the new revisions."""
    won: list[str] = []
    gate = threading.Barrier(4)

    def run(name: str) -> None:
        gate.wait()
        with suppress(ConflictError):
            won.append(write(store, name, body=f'"{name}"', parted=parted, expected=expected))

    threads = [threading.Thread(target=run, args=(f"{of}{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


BEGUN: dict[str, Callable[[ChatStore], object]] = {
    "with messages": lambda store: write(store, "a", "b", parted=PARTED, scope="s"),
    "without": lambda store: write(store, parted=PARTED, scope="s"),
    "adopted": lambda store: (
        write(store, parted=PARTED, scope="s"),
        store.add_messages(KEY, say("a", "b")),
    ),
}
"""Ways to come to a state."""

ENDS: dict[str, Callable[[ChatStore], object]] = {
    "delete_messages": lambda store: store.delete_messages(KEY),
    "erase": lambda store: store.erase(KEY),
    "delete_state": lambda store: store._execute(ops.DeleteState(KEY, None)),
}
"""What takes a state along, with messages or without."""


class States(Base):
    """Reading, writing and listing."""

    def test_there_is_none_at_first(self, store: ChatStore) -> None:
        assert absent(store)
        assert store._execute(ops.ListStates(None, None)) == []
        assert store._execute(ops.DeleteState(KEY, None)) is False

    def test_a_state_and_its_messages_are_written_together(self, store: ChatStore) -> None:
        revision = write(store, "a", "b", parted=PARTED, scope="s | \\ é", at=7, expected=ABSENT)
        state = read(store)
        assert state == State(KEY, BODY, PARTED, "s | \\ é", 7, revision, False, "b")
        assert revision == describe(store).revision
        assert [record.id for record in store.get_records(KEY)] == ["a", "b"]

    def test_without_messages_there_is_no_conversation(self, store: ChatStore) -> None:
        revision = write(store, parted=PARTED, scope="", at=7, expected=ABSENT)
        assert read(store) == State(KEY, BODY, PARTED, "", 7, revision, False, None)
        assert store.get_keys() == []
        assert store.get_conversations() == []
        assert store.get_conversation(KEY) is None
        assert store.count_messages(KEY) == 0
        assert store.get_messages(KEY) == []
        assert store.set_metadata(KEY, {}) is False
        assert store.set_ttl(KEY, 5) is False
        assert store.check().conversations == 0

    def test_a_conversation_of_others_has_a_revision_and_a_head(self, store: ChatStore) -> None:
        ids = store.add_messages(KEY, say("a", "b"))
        state = read(store)
        assert (state.body, state.parted, state.scope, state.changed) == (None, "", None, False)
        assert (state.revision, state.head) == (describe(store).revision, ids[-1])
        assert scopes(store) == []

    def test_messages_come_behind_others(self, store: ChatStore) -> None:
        first = store.add_message(KEY, ChatMessage("of another"))
        write(store, "a", expected=read(store).revision)
        write(store, "b", "c", expected=read(store).revision)
        assert [r.id for r in store.get_records(KEY)] == [first, "a", "b", "c"]
        assert read(store).head == "c"

    def test_messages_are_replaced(self, store: ChatStore) -> None:
        write(store, "a", "b", "c")
        store.set_metadata(KEY, {"kept": 1})
        created = describe(store).created_at
        write(store, "a", "d", replace=True, expected=read(store).revision)
        assert [record.id for record in store.get_records(KEY)] == ["a", "d"]
        assert read(store).head == "d"
        assert (describe(store).metadata, describe(store).created_at) == ({"kept": 1}, created)

    def test_replacing_by_nothing_leaves_the_state_alone(self, store: ChatStore) -> None:
        write(store, "a", parted=PARTED, scope="s")
        before = read(store).revision
        after = write(store, parted=None, scope="s", replace=True, expected=before)
        state = read(store)
        assert (state.head, state.parted, state.changed) == (None, PARTED, False)
        assert state.revision == after != before
        assert store.get_keys() == []
        assert scopes(store, "s") == [KEY]
        write(store, "a", parted=None, expected=after)
        assert (read(store).head, read(store).parted) == ("a", PARTED)
        assert store.check().problems == []

    def test_what_was_left_stays_until_it_is_written_anew(self, store: ChatStore) -> None:
        for name, begin in BEGUN.items():
            begin(store)
            write(store, parted=None)
            assert read(store).parted == PARTED, name
            write(store, parted="")
            assert read(store).parted == "", name
            store.erase(KEY)

    @pytest.mark.parametrize("begun", BEGUN)
    def test_every_write_has_a_new_revision(self, store: ChatStore, begun: str) -> None:
        BEGUN[begun](store)
        known = [read(store).revision]
        for ids in ((), ("x",), (), ("y", "z")):
            known.append(write(store, *ids, expected=known[-1]))
            assert read(store).revision == known[-1]
            assert read(store).changed is False
        assert len(set(known)) == len(known)

    @pytest.mark.parametrize("name", WRITES)
    def test_every_change_of_the_conversation_is_one(self, store: ChatStore, name: str) -> None:
        write(store, "a", "b", parted=PARTED)
        before = read(store)
        WRITES[name](store, KEY)
        after = read(store)
        assert after.revision != before.revision
        assert after.changed is True
        assert (after.body, after.parted) == (BODY, PARTED)
        assert after.head == store.get_records(KEY)[-1].id
        with pytest.raises(ConflictError):
            write(store, "c", expected=before.revision)

    def test_reads_change_nothing(self, store: ChatStore) -> None:
        for begin in BEGUN.values():
            begin(store)
            before = read(store)
            for call in READS.values():
                call(store, KEY)
            scopes(store)
            store._execute(ops.FindEntry("left"))
            store.purge_expired()
            assert store.check().problems == []
            assert read(store) == before
            store.erase(KEY)

    @pytest.mark.parametrize("begun", BEGUN)
    def test_a_conflict_writes_nothing(self, store: ChatStore, begun: str) -> None:
        BEGUN[begun](store)
        before, records = read(store), store.get_records(KEY)
        for expected in (ABSENT, "", "~", "~1-1-1", "0-0", before.revision + "0"):
            for replace in (False, True):
                with pytest.raises(ConflictError):
                    write(store, "new", replace=replace, expected=expected)
            with pytest.raises(ConflictError):
                store._execute(ops.DeleteState(KEY, expected))
        assert (read(store), store.get_records(KEY)) == (before, records)

    def test_what_is_absent_has_no_revision(self, store: ChatStore) -> None:
        write(store, "a")
        with pytest.raises(ConflictError):
            write(store, "b", key="other", expected=read(store).revision)
        assert absent(store, "other")

    def test_an_id_of_another_content_is_refused(self, store: ChatStore) -> None:
        write(store, "a")
        before = read(store)
        other = ops.WriteState(KEY, StateDraft("{}", "", None, 2), [entry("a", "y")], False, None)
        with pytest.raises(DuplicateMessageError):
            store._execute(other)
        assert read(store) == before

    def test_no_revision_recurs(self, store: ChatStore) -> None:
        known = []
        for _ in range(3):
            known += [write(store), write(store, "a"), write(store, replace=True)]
            store._execute(ops.DeleteState(KEY, known[-1]))
            known.append(write(store, "a", expected=ABSENT))
            store.delete_messages(KEY)
            assert absent(store)
        assert len(set(known)) == len(known)

    def test_states_are_listed_newest_first(self, store: ChatStore) -> None:
        write(store, "a", key="k1", scope="s", at=3)
        write(store, key="k2", scope="s", at=1)
        write(store, "a", key="k3", scope="S", at=5)
        write(store, "a", key="k4", at=4)
        store.add_message("k5", ChatMessage("of another"))
        assert scopes(store) == ["k3", "k4", "k1", "k2"]
        assert scopes(store, limit=2) == ["k3", "k4"]
        assert scopes(store, limit=0) == []
        assert scopes(store, "s") == ["k1", "k2"]
        assert scopes(store, "s", 1) == ["k1"]
        assert scopes(store, "") == scopes(store, "s ") == []
        store.add_message("k2", ChatMessage("of another"))
        listed = store._execute(ops.ListStates("s", None))
        assert listed == [read(store, "k1"), read(store, "k2")]

    def test_a_copy_has_none(self, store: ChatStore) -> None:
        write(store, "a", "b", parted=PARTED)
        store.copy_conversation(KEY, "copy")
        store.copy_conversation(KEY, "part", 1)
        for key in ("copy", "part"):
            assert (read(store, key).body, read(store, key).parted) == (None, "")
        assert scopes(store) == [KEY]
        assert store.check().problems == []

    def test_two_writers_and_one_wins(self, store: ChatStore) -> None:
        for begin in (lambda: None, lambda: write(store), lambda: write(store, "a")):
            begin()
            expected: Any = ABSENT if absent(store) else read(store).revision
            won = at_once(store, expected)
            assert len(won) == 1
            assert read(store).revision == won[0]
            assert f'"{read(store).head}"' == read(store).body
            store.erase(KEY)
