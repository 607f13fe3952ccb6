"""How a state goes with its conversation and lives with it, and how entries are found."""

import io
import time

import pytest

from chatstore import ABSENT, ChatMessage, ChatStore
from chatstore import operations as ops
from chatstore.records import StateDraft
from chatstore.testing.backend import Backend
from chatstore.testing.conformance.base import (
    KEY,
    Base,
    OpenStore,
    describe,
    held,
    in_time,
    say,
)
from chatstore.testing.conformance.calls import REMOVALS
from chatstore.testing.conformance.states import (
    BEGUN,
    BODY,
    ENDS,
    PARTED,
    absent,
    entry,
    read,
    scopes,
    write,
)


class StatesLiving(Base):
    """With the conversation a state goes, and lives."""

    @pytest.mark.parametrize("begun", BEGUN)
    @pytest.mark.parametrize("end", ENDS)
    def test_it_goes(self, store: ChatStore, begun: str, end: str) -> None:
        BEGUN[begun](store)
        ENDS[end](store)
        assert absent(store)
        assert scopes(store) == []
        assert store._execute(ops.FindEntry("left")) is None
        store.add_message(KEY, ChatMessage("anew"))
        assert read(store).body is None
        assert store.check().problems == []

    @pytest.mark.parametrize("begun", ["with messages", "adopted"])
    @pytest.mark.parametrize("removal", REMOVALS)
    def test_it_goes_with_the_messages(self, store: ChatStore, begun: str, removal: str) -> None:
        BEGUN[begun](store)
        REMOVALS[removal](store, KEY)
        assert absent(store)

    @pytest.mark.parametrize("begun", ["with messages", "adopted"])
    def test_it_goes_with_the_last_message(self, store: ChatStore, begun: str) -> None:
        BEGUN[begun](store)
        store.delete_last_message(KEY)
        assert read(store).body == BODY
        store.delete_message(KEY, 0)
        assert absent(store)
        store.add_message(KEY, ChatMessage("anew"))
        assert read(store).body is None

    @pytest.mark.parametrize("begun", BEGUN)
    def test_it_stays_when_messages_are_replaced(self, store: ChatStore, begun: str) -> None:
        BEGUN[begun](store)
        store.set_messages(KEY, say("c"))
        store.set_messages(KEY, say("d"), status="archived")
        store.delete_messages(KEY, status="archived")
        store.update_message(KEY, 0, ChatMessage("e"))
        assert (read(store).body, read(store).parted) == (BODY, PARTED)
        assert held(store) == ["e"]
        assert scopes(store, "s") == [KEY]

    def test_erasing_says_whether_anything_was_there(self, store: ChatStore) -> None:
        for begin in BEGUN.values():
            begin(store)
            assert store.erase(KEY) is True
            assert store.erase(KEY) is False

    @pytest.mark.parametrize("begun", BEGUN)
    def test_it_expires(self, open_store: OpenStore, begun: str) -> None:
        def story(ttl: float) -> bool:
            store = open_store(ttl=ttl)
            BEGUN[begun](store)
            time.sleep(ttl * 1.1)
            assert absent(store)
            assert scopes(store) == []
            assert store._execute(ops.FindEntry("left")) is None
            store.add_message(KEY, ChatMessage("anew"))
            if not store.set_ttl(KEY, 1000):
                return False
            assert read(store).body is None
            assert scopes(store) == []
            write(store, "a", expected=read(store).revision)
            assert read(store).parted == ""
            return True

        in_time(story)

    def test_what_expired_is_freed(self, open_store: OpenStore, backend: Backend) -> None:
        store = open_store(ttl=0.05)
        write(store, "a", parted=PARTED, key="k1")
        write(store, parted=PARTED, key="k2")
        time.sleep(0.06)
        assert store.purge_expired() == (0 if backend.frees_expired else 1)
        assert write(store, expected=ABSENT)
        assert absent(store, "k1")
        assert absent(store, "k2")

    def test_every_write_restarts_its_ttl(self, open_store: OpenStore) -> None:
        store = open_store(ttl=1000)
        write(store, "a")
        before = describe(store).expires_at
        time.sleep(0.005)
        write(store)
        assert before is not None
        assert describe(store).expires_at > before  # type: ignore[operator]
        time.sleep(0.005)
        before = describe(store).expires_at
        write(store, "a", "b", replace=True)
        assert describe(store).expires_at > before  # type: ignore[operator]

    def test_without_messages_it_keeps_the_ttl(self, open_store: OpenStore) -> None:
        def story(ttl: float) -> bool:
            store = open_store(ttl=ttl)
            write(store, "a", parted=PARTED)
            if not store.set_ttl(KEY, 1000):
                return False
            write(store, parted=None, replace=True)
            time.sleep(ttl * 1.1)
            write(store, "a", parted=None)
            assert read(store).parted == PARTED
            assert describe(store).ttl == 1000
            return True

        in_time(story)

    def test_a_conversation_begun_since_keeps_it_alive(self, open_store: OpenStore) -> None:
        def story(ttl: float) -> bool:
            store = open_store(ttl=ttl)
            store.erase(KEY)
            before = time.monotonic()
            write(store, parted=PARTED)
            steps = []
            for _ in range(3):
                time.sleep(ttl * 0.4)
                now = time.monotonic()
                store.add_message(KEY, ChatMessage("a"))
                steps.append(time.monotonic() - before)
                before = now
            found = [store._execute(ops.ReadState(KEY))]
            store.purge_expired()
            found.append(store._execute(ops.ReadState(KEY)))
            steps.append(time.monotonic() - before)
            if max(steps) >= ttl:
                return False
            assert [state and state.parted for state in found] == [PARTED, PARTED]
            return True

        in_time(story)

    @pytest.mark.parametrize("begun", BEGUN)
    def test_it_goes_when_an_import_replaces(self, store: ChatStore, begun: str) -> None:
        file = io.BytesIO()
        store.add_message(KEY, ChatMessage("from a file"))
        store.export_json(file, format="jsonl")
        store.delete_messages(KEY)
        BEGUN[begun](store)
        file.seek(0)
        store.import_json(file, format="jsonl", on_conflict="replace")
        assert held(store) == ["from a file"]
        assert read(store).body is None
        store.delete_messages(KEY)
        assert absent(store)


class FindingEntries(Base):
    """From an id to the conversation."""

    def test_an_entry_is_found_by_its_id(self, store: ChatStore) -> None:
        state = StateDraft(BODY, PARTED, None, 1)
        mine = entry("mine", format=ops.ENTRIES)._replace(payload='{"kind":"request","parts":[]}')
        store.add_message("other", ChatMessage("b", id="of another format"))
        store._execute(ops.WriteState(KEY, state, [mine], False, None))
        assert store._execute(ops.FindEntry("mine")) == KEY
        assert store._execute(ops.FindEntry("left")) == KEY
        for id in ("of another format", "min", "mine ", "lef", "", "\ud800", "\0"):
            assert store._execute(ops.FindEntry(id)) is None, id
        store.delete_messages(KEY)
        assert store._execute(ops.FindEntry("mine")) is None

    def test_what_was_left_is_found_without_messages(self, store: ChatStore) -> None:
        write(store, parted='[{"entry":"\\ud800\\" %","parent":null}]')
        assert store._execute(ops.FindEntry('\ud800" %')) == KEY
