"""States in files: out of a store, and into it, with their conversations and alone."""

import io
import time
from typing import Any

import pytest

from chatstore import ChatMessage, ChatStore, SimpleChatStore, TransferError
from chatstore import operations as ops
from chatstore.records import State
from chatstore.testing.conformance.base import (
    KEY,
    Base,
    OpenStore,
    describe,
    held,
    in_time,
    say,
)
from chatstore.testing.conformance.states import BEGUN, BODY, PARTED, absent, read, scopes, write

FORMATS: list[Any] = ["json", "jsonl"]
THEIRS = '{"of":"the file"}'


def fill(store: ChatStore) -> None:
    """States of each kind, and what has none."""
    write(store, parted=PARTED, scope="s | \\ é", at=1_700_000_000_000_001, key="a alone")
    write(store, "x", "y", parted=PARTED, scope="", at=7, key="b with messages")
    write(store, key="c left behind")
    store.add_message("c left behind", ChatMessage("without an id"))
    store.add_messages("d plain", say("a", "b"))
    write(store, "x", key="e bare")
    write(store, key="f alone")


def known(store: ChatStore) -> list[tuple[Any, ...]]:
    """All that is known of states, but for their revisions."""
    states = [read(store, key) for key in sorted(scopes(store))]
    return [(s.key, s.body, s.parted, s.scope, s.updated_at, s.changed) for s in states]


def out(store: ChatStore, format: Any = "jsonl") -> bytes:
    """The export of a store."""
    file = io.BytesIO()
    store.export_json(file, format=format)
    return file.getvalue()


def take(store: ChatStore, data: bytes, on_conflict: Any = "error", format: Any = "jsonl") -> Any:
    """The report of an import."""
    return store.import_json(io.BytesIO(data), format=format, on_conflict=on_conflict)


def theirs(*texts: str, state: bool = True) -> bytes:
    """A file that holds the key, with messages and a state."""
    with SimpleChatStore() as other:
        if state:
            write(other, body=THEIRS, at=9, scope="theirs")
        other.add_messages(KEY, say(*texts))
        if state and texts:
            write(other, body=THEIRS, at=9, scope="theirs")
        return out(other)


def without_source(data: bytes, format: str = "jsonl") -> list[bytes]:
    """The lines of a file, but for those that say how it came about."""
    return data.splitlines()[1 if format == "jsonl" else 3 :]


class StatesTransfers(Base):
    """Out and in again."""

    @pytest.mark.parametrize("format", FORMATS)
    def test_states_come_back(self, store: ChatStore, format: Any) -> None:
        fill(store)
        before, data = known(store), out(store, format)
        assert len(before) == 5
        assert [state[-1] for state in before] == [False, False, True, False, False]
        revisions = [read(store, state[0]).revision for state in before]
        for key in [*scopes(store), *store.get_keys()]:
            store._execute(ops.DeleteState(key, None))
        assert (scopes(store), store.get_keys()) == ([], [])
        report = take(store, data, format=format)
        assert (report.conversations, report.messages, report.skipped) == (4, 6, 0)
        assert known(store) == before
        assert store.check().problems == []
        assert without_source(out(store, format), format) == without_source(data, format)
        again = [read(store, state[0]).revision for state in before]
        assert not set(revisions) & set(again)
        assert (
            read(store, "b with messages").revision == describe(store, "b with messages").revision
        )

    @pytest.mark.parametrize("format", FORMATS)
    def test_a_store_in_memory_understands_them(self, store: ChatStore, format: Any) -> None:
        fill(store)
        with SimpleChatStore() as other:
            take(other, out(store, format), format=format)
            assert known(other) == known(store)
            assert without_source(out(other, format), format) == (
                without_source(out(store, format), format)
            )

    def test_they_go_on_after_an_import(self, store: ChatStore) -> None:
        fill(store)
        data = out(store)
        for key in ("a alone", "b with messages"):
            write(store, "new", key=key, expected=read(store, key).revision)
        take(store, data, "replace")
        for key in ("a alone", "b with messages"):
            revision = write(store, "z", parted=None, key=key, expected=read(store, key).revision)
            assert (read(store, key).revision, read(store, key).changed) == (revision, False)
            assert read(store, key).parted == PARTED
            assert describe(store, key).revision == revision
        store.add_message("f alone", ChatMessage("adopts"))
        assert read(store, "f alone").body == BODY
        for key in ("a alone", "b with messages", "f alone"):
            store.delete_messages(key)
            assert absent(store, key)

    def test_the_ttl_comes_along(self, open_store: OpenStore) -> None:
        store = open_store(ttl=1000)
        write(store, key="alone")
        write(store, "a", key="with messages")
        data = out(store)
        assert data.count(b'"expires_at"') == 2
        for key in ("alone", "with messages"):
            store._execute(ops.DeleteState(key, None))
        forever = open_store()
        take(forever, data)
        assert without_source(out(forever)) == without_source(data)
        write(forever, "b", key="alone")
        assert describe(forever, "alone").ttl == 1000
        write(forever, replace=True, key="with messages")
        write(forever, "b", key="with messages")
        assert describe(forever, "with messages").ttl == 1000

    def test_what_has_expired_since_is_not_there(self, store: ChatStore) -> None:
        def story(ttl: float) -> bool:
            with SimpleChatStore(ttl=ttl) as other:
                write(other, key="alone")
                write(other, "a", key="with messages")
                data = out(other)
            if data.count(b'"state"') < 2:
                return False
            time.sleep(ttl * 1.1)
            take(store, data)
            assert scopes(store) == []
            assert absent(store, "alone")
            store.add_message("alone", ChatMessage("anew"))
            assert read(store, "alone").body is None
            assert absent(store, "with messages")
            return True

        in_time(story)


class StatesConflicts(Base):
    """A key that is there, as a conversation or as a state."""

    @pytest.mark.parametrize("begun", BEGUN)
    @pytest.mark.parametrize("brings", ["both", "messages", "a state"])
    def test_it_is_refused_or_skipped(self, store: ChatStore, begun: str, brings: str) -> None:
        BEGUN[begun](store)
        write(store, key="another", parted=PARTED)
        data = theirs(*([] if brings == "a state" else ["t"]), state=brings != "messages")
        before, state = out(store), read(store)
        with pytest.raises(TransferError, match=KEY):
            take(store, data)
        assert without_source(out(store)) == without_source(before)
        report = take(store, data, "skip")
        assert (report.conversations, report.messages) == (0, 0)
        assert report.skipped == (brings != "a state")
        assert without_source(out(store)) == without_source(before)
        assert read(store) == state

    def test_a_conversation_is_in_the_way_of_a_state(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"))
        data = theirs()
        with pytest.raises(TransferError, match=KEY):
            take(store, data)
        take(store, data, "skip")
        take(store, data, "append")
        assert (held(store), read(store).body) == (["a"], None)
        assert take(store, data, "replace").conversations == 0
        assert (held(store), read(store).body) == ([], THEIRS)
        assert store.get_keys() == []
        assert store.check().problems == []

    @pytest.mark.parametrize("begun", BEGUN)
    @pytest.mark.parametrize("brings", ["both", "messages", "a state"])
    def test_it_is_replaced(self, store: ChatStore, begun: str, brings: str) -> None:
        BEGUN[begun](store)
        texts = [] if brings == "a state" else ["t"]
        take(store, theirs(*texts, state=brings != "messages"), "replace")
        state = read(store)
        assert held(store) == texts
        if brings == "messages":
            assert (state.body, state.parted) == (None, "")
        else:
            assert (state.body, state.parted, state.scope) == (THEIRS, "", "theirs")
            assert (state.updated_at, state.changed) == (9, False)
        assert scopes(store, "s") == []
        assert store.check().problems == []
        store._execute(ops.DeleteState(KEY, None))
        assert absent(store)

    @pytest.mark.parametrize("begun", BEGUN)
    @pytest.mark.parametrize("brings", ["both", "messages", "a state"])
    def test_what_is_appended_to_keeps_its_own(
        self, store: ChatStore, begun: str, brings: str
    ) -> None:
        BEGUN[begun](store)
        before, old = held(store), read(store)
        texts = [] if brings == "a state" else ["t"]
        report = take(store, theirs(*texts, state=brings != "messages"), "append")
        assert (report.conversations, report.messages) == (len(texts), len(texts))
        state = read(store)
        assert held(store) == [*before, *texts]
        assert (state.body, state.parted, state.scope) == (BODY, PARTED, "s")
        assert state.changed is bool(texts or old.changed)
        if not texts:
            assert state == old
        assert store.check().problems == []
        store._execute(ops.DeleteState(KEY, None))
        assert absent(store)

    def test_what_is_appended_to_takes_none(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("a"))
        take(store, theirs("t"), "append")
        assert (held(store), read(store).body) == (["a", "t"], None)
        for texts in ([], ["t"]):
            store._execute(ops.DeleteState(KEY, None))
            take(store, theirs(*texts), "append")
            state = read(store)
            assert (held(store), state.body, state.changed) == (texts, THEIRS, False)

    @pytest.mark.parametrize("on_conflict", ["error", "replace", "append"])
    def test_a_failure_leaves_the_old(self, store: ChatStore, on_conflict: Any) -> None:
        write(store, parted=PARTED, scope="s")
        fill(store)
        before: list[State | None] = [store._execute(ops.ReadState(key)) for key in scopes(store)]
        keys = scopes(store)
        with SimpleChatStore() as other:
            write(other, "q", body=THEIRS, key="0 new")
            write(other, body=THEIRS, key="1 new")
            write(other, "q", body=THEIRS, key=KEY)
            data = out(other)
        lines = data.splitlines(keepends=True)
        broken = b"".join([*lines[:-2], b'{"payload":1}\n', lines[-1]])
        with pytest.raises(TransferError):
            take(store, broken, on_conflict)
        assert scopes(store) == keys
        assert [store._execute(ops.ReadState(key)) for key in keys] == before
