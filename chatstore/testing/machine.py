"""The state machine: every call of a store in any order, against plain dicts and lists."""

import json
from collections.abc import Callable, Sequence
from itertools import count, pairwise
from typing import Any, Literal, get_args

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from chatstore import (
    ABSENT,
    ChatMessage,
    ChatStore,
    ChatStoreError,
    ConflictError,
    DuplicateMessageError,
    KeyNotFoundError,
)
from chatstore.records import STATUSES, Status
from chatstore.testing.backend import Backend
from chatstore.testing.blocking import blocking, stop
from chatstore.testing.oracle import Duplicate, Oracle, Said

Expect = Literal["nothing", "right", "wrong", "absent"]

keys = st.sampled_from(["a", "a:b {%}", "é😀"])
texts = st.sampled_from(["x", "y", "\0z", "\ud800"])
messages = st.builds(Said, texts, st.none() | st.sampled_from(["m1", "m2", "m3"]))
batches = st.lists(messages, max_size=4) | st.just([Said("one of many")] * 300)
places = st.integers(-6, 6) | st.integers(-600, 600) | st.sampled_from([-(10**20), 10**20])
numbers = st.integers(0, 6) | st.integers(0, 600) | st.just(10**20)
statuses = st.sampled_from(STATUSES)
expects: st.SearchStrategy[Expect] = st.sampled_from(
    ["nothing", "nothing", "nothing", *get_args(Expect)]
)

_examples = count()


class StoreMachine(RuleBasedStateMachine):
    """A store that is empty at first, beside its oracle.

    Args:
        backend: Where the store keeps its data: each example in a namespace of its own.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self.backend = backend
        self.namespace = f"example {next(_examples)}"
        self.oracle = Oracle()
        self.spent: set[tuple[str, str]] = set()  # revisions and ids that must not come again
        self.store = self._open()

    def _open(self) -> ChatStore:
        return blocking(self.backend.open(namespace=self.namespace))

    def teardown(self) -> None:
        """Look for damage at the end."""
        try:
            report = self.store.check()
            assert report.problems == []
            talks = self.oracle.talks.values()
            assert report.messages == sum(len(talk.said) for talk in talks)
        finally:
            stop(self.store)

    # Writes

    @rule(key=keys, one=messages, idx=st.none() | places, status=statuses, expect=expects)
    def add_message(
        self, key: str, one: Said, idx: int | None, status: Status, expect: Expect
    ) -> None:
        """Append or insert one, for the first time or again."""

        def add(expected: Any) -> None:
            id = self.store.add_message(
                key, _message(one), idx, status=status, expected_revision=expected
            )
            self._stored(key, [one], [id])

        new = [one._replace(archived=status == "archived")]
        self._both(key, expect, add, lambda oracle: oracle.add(key, new, idx), idle_fits=True)

    @rule(key=keys, batch=batches, status=statuses, expect=expects)
    def add_messages(self, key: str, batch: list[Said], status: Status, expect: Expect) -> None:
        """Append some, in part perhaps again."""

        def add(expected: Any) -> None:
            ids = self.store.add_messages(
                key, [*map(_message, batch)], status=status, expected_revision=expected
            )
            self._stored(key, batch, ids)

        new = [one._replace(archived=status == "archived") for one in batch]
        self._both(key, expect, add, lambda oracle: oracle.add(key, new), idle_fits=True)

    @rule(key=keys, idx=places, times=st.integers(20, 40))
    def crowd(self, key: str, idx: int, times: int) -> None:
        """Insert at one place until the ordinals around it are used up."""
        for number in range(times):
            one = Said(f"{number}")
            self.store.add_message(key, _message(one), idx)
            self.oracle.add(key, [one], idx)

    @rule(key=keys, batch=batches, status=st.none() | statuses, expect=expects)
    def set_messages(
        self, key: str, batch: list[Said], status: Status | None, expect: Expect
    ) -> None:
        """Replace all, or those of a status."""
        new = [one._replace(archived=status == "archived") for one in batch]
        self._both(
            key,
            expect,
            lambda expected: self.store.set_messages(
                key, [*map(_message, batch)], status=status, expected_revision=expected
            ),
            lambda oracle: oracle.set(key, new, _archived(status)),
        )

    @rule(key=keys, idx=places, one=messages, expect=expects)
    def update_message(self, key: str, idx: int, one: Said, expect: Expect) -> None:
        """Replace one."""
        self._both(
            key,
            expect,
            lambda expected: self.store.update_message(
                key, idx, _message(one), expected_revision=expected
            ),
            lambda oracle: oracle.update(key, idx, one),
        )

    @rule(key=keys, idx=places, expect=expects)
    def delete_message(self, key: str, idx: int, expect: Expect) -> None:
        """Remove one."""
        self._both(
            key,
            expect,
            lambda expected: self.store.delete_message(key, idx, expected_revision=expected),
            lambda oracle: oracle.delete(key, idx),
        )

    @rule(key=keys, expect=expects)
    def delete_last_message(self, key: str, expect: Expect) -> None:
        """Remove the newest."""
        self._both(
            key,
            expect,
            lambda expected: self.store.delete_last_message(key, expected_revision=expected),
            lambda oracle: oracle.delete(key, -1),
        )

    @rule(key=keys, status=st.none() | statuses, expect=expects)
    def delete_messages(self, key: str, status: Status | None, expect: Expect) -> None:
        """Remove all, or those of a status."""
        self._both(
            key,
            expect,
            lambda expected: self.store.delete_messages(
                key, status=status, expected_revision=expected
            ),
            lambda oracle: oracle.delete_all(key, _archived(status)),
        )

    @rule(key=keys, n=numbers, expect=expects)
    def archive_messages(self, key: str, n: int, expect: Expect) -> None:
        """Archive the oldest."""
        self._both(
            key,
            expect,
            lambda expected: self.store.archive_messages(key, n, expected_revision=expected),
            lambda oracle: oracle.archive(key, n),
        )

    @rule(key=keys, metadata=st.dictionaries(texts, texts, max_size=2), expect=expects)
    def set_metadata(self, key: str, metadata: dict[str, str], expect: Expect) -> None:
        """Replace the metadata."""
        self._both(
            key,
            expect,
            lambda expected: self.store.set_metadata(key, metadata, expected_revision=expected),
            lambda oracle: oracle.describe(key, metadata=metadata),
        )

    @rule(key=keys, ttl=st.sampled_from([None, 1000, 5000.5]), expect=expects)
    def set_ttl(self, key: str, ttl: float | None, expect: Expect) -> None:
        """Let it live for long, or for ever."""
        self._both(
            key,
            expect,
            lambda expected: self.store.set_ttl(key, ttl, expected_revision=expected),
            lambda oracle: oracle.describe(key, ttl=ttl),
        )

    @rule(key=keys, to_key=keys, stop=st.none() | places.filter(bool))
    def copy_conversation(self, key: str, to_key: str, stop: int | None) -> None:
        """Fork, where that is possible."""
        fault: type[Exception] | None = None
        if key not in self.oracle.talks:
            fault = KeyNotFoundError
        elif to_key in self.oracle.talks:
            fault = ConflictError
        elif not self.oracle.said(key)[:stop]:
            fault = ValueError
        if fault:
            with pytest.raises(fault):
                self.store.copy_conversation(key, to_key, stop)
            return
        copied = self.store.copy_conversation(key, to_key, stop)
        assert copied == self.oracle.copy(key, to_key, stop)
        self._spend(to_key)

    @rule(key=keys)
    def erase(self, key: str) -> None:
        """Remove for good."""
        assert self.store.erase(key) == bool(self.oracle.delete_all(key, None))

    @rule()
    def reopen(self) -> None:
        """Close, and open again what outlives that."""
        if self.backend.durable:
            stop(self.store)
            self.store = self._open()

    # Reads

    @rule(key=keys, last=numbers, status=st.none() | statuses)
    def last(self, key: str, last: int, status: Status | None) -> None:
        """The newest."""
        said = self.oracle.said(key, _archived(status))
        found = self.store.get_messages(key, last=last, status=status)
        assert _plain(found) == _plain(said[max(0, len(said) - last) :])

    @rule(
        key=keys,
        start=st.none() | places,
        stop=st.none() | places,
        status=st.none() | statuses,
    )
    def window(self, key: str, start: int | None, stop: int | None, status: Status | None) -> None:
        """A slice."""
        found = self.store.get_messages(key, start=start, stop=stop, status=status)
        assert _plain(found) == _plain(self.oracle.said(key, _archived(status))[start:stop])

    @rule(key=keys, idx=places)
    def get_message(self, key: str, idx: int) -> None:
        """One."""
        said = self.oracle.said(key)
        wanted = said[idx] if -len(said) <= idx < len(said) else None
        assert _plain(self.store.get_message(key, idx)) == _plain(wanted)

    @rule(key=keys)
    def iter_messages(self, key: str) -> None:
        """All, in pages."""
        assert _plain(list(self.store.iter_messages(key))) == _plain(self.oracle.said(key))

    @invariant()
    def the_store_is_as_the_oracle_says(self) -> None:
        """In front, and through the back door."""
        talks = self.oracle.talks
        assert self.store.get_keys() == sorted(talks)
        for conversation in self.store.get_conversations():
            talk = talks[conversation.key]
            assert conversation.count == len(talk.said)
            assert (conversation.metadata, conversation.ttl) == (talk.metadata, talk.ttl)
            assert (conversation.expires_at is None) == (talk.ttl is None)
        for key, talk in talks.items():
            records = self.store.get_records(key)
            assert [(r.text, r.message.id, r.status) for r in records] == [
                (one.text, one.id, "archived" if one.archived else "active") for one in talk.said
            ]
            assert all(one.ordinal < two.ordinal for one, two in pairwise(records))
            for status in STATUSES:
                said = self.oracle.said(key, _archived(status))
                assert self.store.count_messages(key, status=status) == len(said)
            payloads = self.backend.raw_payloads(key, self.namespace)
            raw = [json.loads(payload)["blocks"][0]["text"] for payload in payloads]
            assert raw == [one.text for one in talk.said]
            assert self.backend.faults(key, self.namespace) == []

    # How the two are compared

    def _both(
        self,
        key: str,
        expect: Expect,
        of_store: Callable[[Any], object],
        of_oracle: Callable[[Oracle], object],
        *,
        idle_fits: bool = False,
    ) -> None:
        """Do something in both: the same comes of it.

        `idle_fits`: the revision does not matter when there is nothing to write.
        """
        revision, wanted = self._revision(key), None
        trial, refusals = self.oracle.fork(), set[type[ChatStoreError]]()
        try:
            wanted = of_oracle(trial)
        except Duplicate:
            refusals.add(DuplicateMessageError)
        written = trial.writes != self.oracle.writes
        right = expect in {"nothing", "right"} or (expect == "absent" and revision is None)
        if not right and (written or refusals or not idle_fits):
            refusals.add(ConflictError)
        if expect == "right" or (expect == "absent" and revision is None):
            expected: Any = revision or ABSENT
        else:
            expected = {"nothing": None, "absent": ABSENT, "wrong": self._stale(key)}[expect]
        try:
            result = of_store(expected)
        except tuple(refusals):
            assert self._revision(key) == revision
            return
        assert not refusals
        assert _plain(result) == _plain(wanted)
        self.oracle = trial
        if written:
            self._spend(key)
        else:
            assert self._revision(key) == revision

    def _revision(self, key: str) -> str | None:
        conversation = self.store.get_conversation(key)
        return None if conversation is None else conversation.revision

    def _stale(self, key: str) -> str:
        """A revision that the conversation has not, though it may have had it."""
        now = (key, self._revision(key))
        return next((old for of, old in sorted(self.spent - {now}) if of == key), "never")

    def _spend(self, key: str) -> None:
        """A new revision was given out."""
        if revision := self._revision(key):
            assert (key, revision) not in self.spent
            self.spent.add((key, revision))

    def _stored(self, key: str, batch: Sequence[Said], ids: Sequence[str]) -> None:
        """Ids were given out for messages."""
        assert len(ids) == len(batch)
        known = {record.id: record.text for record in self.store.get_records(key)}
        for one, id in zip(batch, ids, strict=True):
            assert known[id] == one.text
            if one.id is None:
                assert ("id", id) not in self.spent
                self.spent.add(("id", id))
            else:
                assert id == one.id


def _message(one: Said) -> ChatMessage:
    return ChatMessage(one.text, id=one.id)


def _archived(status: Status | None) -> bool | None:
    return None if status is None else status == "archived"


def _plain(value: object) -> object:
    """Messages of either side as texts and ids; all else as it is."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, ChatMessage):
        return value.content, value.id
    return (value.text, value.id) if isinstance(value, Said) else value


def run_machine(backend: Backend, *, examples: int = 20, steps: int = 30) -> None:
    """Run the state machine over a backend, and close it.

    Args:
        backend: As for the conformance suite.
        examples: How many stories are told.
        steps: How many calls a story takes at most.
    """

    class Here(StoreMachine):
        def __init__(self) -> None:
            super().__init__(backend)

    try:
        run_state_machine_as_test(
            Here,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        backend.close()
