"""What savers do all day: a state with new messages, at the revision that was seen last.

Stores have shorter ways for it; what comes of it is the same.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from chatstore import ABSENT, ChatMessage, ChatStore, ConflictError, DuplicateMessageError
from chatstore import operations as ops
from chatstore.records import StateDraft
from chatstore.testing.conformance.base import (
    KEY,
    Base,
    OpenStore,
    describe,
    in_time,
    say,
    seen,
)
from chatstore.testing.conformance.states import (
    BEGUN,
    BODY,
    PARTED,
    absent,
    at_once,
    entry,
    read,
    scopes,
    write,
)
from chatstore.testing.conformance.threads import together

_STARTS: dict[str, Callable[[ChatStore], object]] = {
    **BEGUN,
    "of others": lambda store: store.add_messages(KEY, say("a", "b")),
    "with archived": lambda store: (write(store, "a", "b"), store.archive_messages(KEY, 1)),
    "trimmed": lambda store: (write(store, "a", "b", "c"), store.delete_message(KEY, 0)),
    "changed by others": lambda store: (write(store, "a"), store.add_message(KEY, _other())),
    "emptied": lambda store: (write(store, "a", parted=PARTED), write(store, replace=True)),
}
"""Ways to come to what is saved upon."""


def _other() -> ChatMessage:
    return ChatMessage("of another")


def save(store: ChatStore, *ids: str, key: str = KEY, **options: Any) -> str:
    """Write a state, with a message for each id; what was left stays."""
    options.setdefault("expected", ABSENT if absent(store, key) else read(store, key).revision)
    return write(store, *ids, key=key, parted=None, **options)


class StatesSaving(Base):
    """New messages behind what was seen."""

    @pytest.mark.parametrize("start", _STARTS)
    def test_messages_come_behind(self, store: ChatStore, start: str) -> None:
        _STARTS[start](store)
        before, records = read(store), store.get_records(KEY)
        known = [before.revision]
        for number in range(3):
            known.append(save(store, f"x{number}", f"y{number}", body=f"[{number}]", scope="new"))
            state = read(store)
            assert (state.body, state.scope, state.parted) == (f"[{number}]", "new", before.parted)
            assert (state.revision, state.changed) == (known[-1], False)
            assert state.head == f"y{number}"
        now = store.get_records(KEY)
        assert now[: len(records)] == records
        assert [r.id for r in now[len(records) :]] == ["x0", "y0", "x1", "y1", "x2", "y2"]
        assert len(set(known)) == len(known)
        assert scopes(store, "new") == [KEY]
        assert scopes(store, "s") == []
        assert describe(store).count == len(now)
        assert store.count_messages(KEY, status="active") == len(
            store.get_records(KEY, status="active")
        )
        assert store.check().problems == []

    def test_the_first_begin_a_conversation(self, open_store: OpenStore) -> None:
        store = open_store(ttl=1000)
        revision = save(store, "a", "b", scope="s", at=7)
        state = read(store)
        assert (state.body, state.parted, state.scope, state.updated_at) == (BODY, "", "s", 7)
        assert (state.revision, state.head) == (revision, "b")
        assert [record.ordinal for record in store.get_records(KEY)] == sorted(
            {record.ordinal for record in store.get_records(KEY)}
        )
        assert (describe(store).count, describe(store).ttl) == (2, 1000)
        assert describe(store).expires_at is not None
        store.delete_messages(KEY)
        assert absent(store)
        assert save(store, "a") != revision
        assert store.check().problems == []

    @pytest.mark.parametrize("start", _STARTS)
    def test_a_conflict_writes_nothing(self, store: ChatStore, start: str) -> None:
        _STARTS[start](store)
        before, all_before = read(store), seen(store)
        wrong = (ABSENT, "", "~", "~1-1-1", "0-0", "1", "-", "a-b", "1-99999999999999999999")
        for expected in (*wrong, before.revision + "0", "0" + before.revision):
            with pytest.raises(ConflictError):
                save(store, "new", expected=expected)
        assert (read(store), seen(store)) == (before, all_before)

    def test_what_is_absent_has_no_revision(self, store: ChatStore) -> None:
        revision = save(store, "a")
        with pytest.raises(ConflictError):
            save(store, "b", key="other", expected=revision)
        assert absent(store, "other")
        store.delete_messages(KEY)
        with pytest.raises(ConflictError):
            save(store, "b", expected=revision)
        assert absent(store)

    def test_what_is_stored_already_is_not_stored_again(self, store: ChatStore) -> None:
        first = save(store, "a", "b")
        second = save(store, "b", "c", "c", body="[2]")
        assert [record.id for record in store.get_records(KEY)] == ["a", "b", "c"]
        third = save(store, "a", "b", body="[3]")
        assert [record.id for record in store.get_records(KEY)] == ["a", "b", "c"]
        assert (read(store).body, read(store).changed) == ("[3]", False)
        assert len({first, second, third}) == 3
        assert store.check().problems == []

    def test_an_id_of_another_content_is_refused(self, store: ChatStore) -> None:
        save(store, "a")
        before, all_before = read(store), seen(store)
        state = StateDraft("{}", None, None, 2)
        for drafts in ([entry("n"), entry("a", "y")], [entry("n"), entry("n", "y")]):
            with pytest.raises(DuplicateMessageError):
                store._execute(ops.WriteState(KEY, state, drafts, False, before.revision))
        with pytest.raises(DuplicateMessageError):
            store._execute(ops.WriteState("new", state, drafts, False, ABSENT))
        assert (read(store), seen(store)) == (before, all_before)
        assert absent(store, "new")

    def test_messages_without_ids_are_stored(self, store: ChatStore) -> None:
        revision = save(store, "a")
        state = StateDraft("{}", None, None, 2)
        drafts = [entry(None), entry(None)]
        revision = store._execute(ops.WriteState(KEY, state, drafts, False, revision))
        records = store.get_records(KEY)
        assert len({record.id for record in records}) == 3
        assert (read(store).head, read(store).revision) == (records[-1].id, revision)

    def test_it_restarts_the_ttl(self, open_store: OpenStore) -> None:
        store = open_store(ttl=1000)
        save(store, "a")
        store.set_ttl(KEY, 50)
        before = describe(store)
        time.sleep(0.005)
        save(store, "b")
        now = describe(store)
        assert before.expires_at is not None
        assert now.expires_at is not None
        assert now.expires_at > before.expires_at
        assert (now.ttl, now.updated_at > before.updated_at) == (50, True)

    def test_what_has_expired_is_absent(self, open_store: OpenStore) -> None:
        def story(ttl: float) -> bool:
            store = open_store(ttl=ttl)
            for key in (KEY, "alone"):
                store.erase(key)
            revision = save(store, "a", scope="s")
            write(store, key="alone", parted=PARTED)
            time.sleep(ttl * 1.1)
            for key in (KEY, "alone"):
                with pytest.raises(ConflictError):
                    save(store, "b", key=key, expected=revision)
            begun = time.monotonic()
            save(store, "b", expected=ABSENT)
            save(store, "c", key="alone", expected=ABSENT)
            ids = [record.id for record in store.get_records(KEY)]
            parted, report = store._execute(ops.ReadState("alone")), store.check()
            if time.monotonic() - begun >= ttl:
                return False
            assert ids == ["b"]
            assert parted is not None
            assert parted.parted == ""
            assert report.problems == []
            return True

        in_time(story)

    def test_many_at_once(self, store: ChatStore) -> None:
        ids = [f"m{number}" for number in range(1500)]
        save(store, *ids)
        save(store, *(f"n{id}" for id in ids))
        assert describe(store).count == 3000
        assert read(store).head == "nm1499"
        assert store.get_records(KEY, start=1499, stop=1501)[1].id == "nm0"

    def test_of_many_savers_one_wins_each_time(self, store: ChatStore) -> None:
        for turn in range(5):
            expected: Any = ABSENT if absent(store) else read(store).revision
            won = at_once(store, expected, parted=None, of=f"turn {turn}, ")
            assert won == [read(store).revision]
            assert f'"{read(store).head}"' == read(store).body
            assert describe(store).count == turn + 1

    def test_savers_and_others_lose_nothing(self, store: ChatStore) -> None:
        def others() -> None:
            for number in range(10):
                store.add_message(KEY, ChatMessage(f"other {number}"))

        def saver() -> None:
            number = 0
            while number < 10:
                with suppress(ConflictError):
                    save(store, f"s{number}")
                    number += 1

        together(lambda number: (saver, others)[number](), 2)
        ids = [record.id for record in store.get_records(KEY)]
        assert [id for id in ids if id[0] == "s"] == [f"s{number}" for number in range(10)]
        assert len(ids) == 20
        assert store.check().problems == []
