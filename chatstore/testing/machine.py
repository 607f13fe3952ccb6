"""The state machine: every call of a store in any order, against plain dicts and lists."""

from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from chatstore import ConflictError, KeyNotFoundError, codec
from chatstore.operations import DeleteOldest
from chatstore.records import STATUSES, Status
from chatstore.testing.backend import Backend
from chatstore.testing.beside import Beside, Expect, archived, message, plain
from chatstore.testing.blocking import stop
from chatstore.testing.oracle import Said

keys = st.sampled_from(["a", "a:b {%}", "é😀"])
texts = st.sampled_from(["x", "y", "\0z", "\ud800"])
messages = st.builds(Said, texts, st.none() | st.sampled_from(["m1", "m2", "m3"]))
batches = st.lists(messages, max_size=4) | st.just([Said("one of many")] * 260)
places = st.integers(-6, 6) | st.integers(-600, 600) | st.sampled_from([-(10**20), 10**20])
numbers = st.integers(0, 6) | st.integers(0, 600) | st.just(10**20)
statuses = st.sampled_from(STATUSES)
expects: st.SearchStrategy[Expect] = st.sampled_from(
    ["nothing", "nothing", "nothing", *get_args(Expect)]
)


class StoreMachine(Beside):
    """The calls of a store, as rules."""

    # Writes

    @rule(key=keys, one=messages, idx=st.none() | places, status=statuses, expect=expects)
    def add_message(
        self, key: str, one: Said, idx: int | None, status: Status, expect: Expect
    ) -> None:
        """Append or insert one, for the first time or again."""

        def add(expected: Any) -> None:
            id = self.store.add_message(
                key, message(one), idx, status=status, expected_revision=expected
            )
            self.stored(key, [one], [id])

        new = [one._replace(archived=status == "archived")]
        self.both(key, expect, add, lambda oracle: oracle.add(key, new, idx), idle_fits=True)

    @rule(key=keys, batch=batches, status=statuses, expect=expects)
    def add_messages(self, key: str, batch: list[Said], status: Status, expect: Expect) -> None:
        """Append some, in part perhaps again."""

        def add(expected: Any) -> None:
            ids = self.store.add_messages(
                key, [*map(message, batch)], status=status, expected_revision=expected
            )
            self.stored(key, batch, ids)

        new = [one._replace(archived=status == "archived") for one in batch]
        self.both(key, expect, add, lambda oracle: oracle.add(key, new), idle_fits=True)

    @rule(key=keys, idx=places, times=st.integers(20, 40))
    def crowd(self, key: str, idx: int, times: int) -> None:
        """Insert at one place until the ordinals around it are used up."""
        for number in range(times):
            one = Said(f"{number}")
            self.store.add_message(key, message(one), idx)
            self.oracle.add(key, [one], idx)

    @rule(key=keys, batch=batches, status=st.none() | statuses, expect=expects)
    def set_messages(
        self, key: str, batch: list[Said], status: Status | None, expect: Expect
    ) -> None:
        """Replace all, or those of a status."""
        new = [one._replace(archived=status == "archived") for one in batch]
        self.both(
            key,
            expect,
            lambda expected: self.store.set_messages(
                key, [*map(message, batch)], status=status, expected_revision=expected
            ),
            lambda oracle: oracle.set(key, new, archived(status)),
        )

    @rule(key=keys, idx=places, one=messages, expect=expects)
    def update_message(self, key: str, idx: int, one: Said, expect: Expect) -> None:
        """Replace one."""
        self.both(
            key,
            expect,
            lambda expected: self.store.update_message(
                key, idx, message(one), expected_revision=expected
            ),
            lambda oracle: oracle.update(key, idx, one),
        )

    @rule(key=keys, idx=places, expect=expects)
    def delete_message(self, key: str, idx: int, expect: Expect) -> None:
        """Remove one."""
        self.both(
            key,
            expect,
            lambda expected: self.store.delete_message(key, idx, expected_revision=expected),
            lambda oracle: oracle.delete(key, idx),
        )

    @rule(key=keys, expect=expects)
    def delete_last_message(self, key: str, expect: Expect) -> None:
        """Remove the newest."""
        self.both(
            key,
            expect,
            lambda expected: self.store.delete_last_message(key, expected_revision=expected),
            lambda oracle: oracle.delete(key, -1),
        )

    @rule(key=keys, status=st.none() | statuses, expect=expects)
    def delete_messages(self, key: str, status: Status | None, expect: Expect) -> None:
        """Remove all, or those of a status."""
        self.both(
            key,
            expect,
            lambda expected: self.store.delete_messages(
                key, status=status, expected_revision=expected
            ),
            lambda oracle: oracle.delete_all(key, archived(status)),
        )

    @rule(key=keys, n=numbers, expect=expects)
    def delete_oldest(self, key: str, n: int, expect: Expect) -> None:
        """Remove the oldest active ones."""
        self.both(
            key,
            expect,
            lambda expected: [
                codec.decode(row) for row in self.store._execute(DeleteOldest(key, n, expected))
            ],
            lambda oracle: oracle.delete_oldest(key, n),
        )

    @rule(key=keys, n=numbers, expect=expects)
    def archive_messages(self, key: str, n: int, expect: Expect) -> None:
        """Archive the oldest."""
        self.both(
            key,
            expect,
            lambda expected: self.store.archive_messages(key, n, expected_revision=expected),
            lambda oracle: oracle.archive(key, n),
        )

    @rule(key=keys, metadata=st.dictionaries(texts, texts, max_size=2), expect=expects)
    def set_metadata(self, key: str, metadata: dict[str, str], expect: Expect) -> None:
        """Replace the metadata."""
        self.both(
            key,
            expect,
            lambda expected: self.store.set_metadata(key, metadata, expected_revision=expected),
            lambda oracle: oracle.describe(key, metadata=metadata),
        )

    @rule(key=keys, ttl=st.sampled_from([None, 1000, 5000.5]), expect=expects)
    def set_ttl(self, key: str, ttl: float | None, expect: Expect) -> None:
        """Let it live for long, or for ever."""
        self.both(
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
        self.spend(to_key)

    @rule(key=keys)
    def erase(self, key: str) -> None:
        """Remove for good."""
        assert self.store.erase(key) == bool(self.oracle.delete_all(key, None))

    @rule()
    def reopen(self) -> None:
        """Close, and open again what outlives that."""
        if self.backend.durable:
            stop(self.store)
            self.store = self.open()

    # Reads

    @rule(key=keys, last=numbers, status=st.none() | statuses)
    def last(self, key: str, last: int, status: Status | None) -> None:
        """The newest."""
        said = self.oracle.said(key, archived(status))
        found = self.store.get_messages(key, last=last, status=status)
        assert plain(found) == plain(said[max(0, len(said) - last) :])

    @rule(
        key=keys,
        start=st.none() | places,
        stop=st.none() | places,
        status=st.none() | statuses,
    )
    def window(self, key: str, start: int | None, stop: int | None, status: Status | None) -> None:
        """A slice."""
        found = self.store.get_messages(key, start=start, stop=stop, status=status)
        assert plain(found) == plain(self.oracle.said(key, archived(status))[start:stop])

    @rule(key=keys, idx=places)
    def get_message(self, key: str, idx: int) -> None:
        """One."""
        said = self.oracle.said(key)
        wanted = said[idx] if -len(said) <= idx < len(said) else None
        assert plain(self.store.get_message(key, idx)) == plain(wanted)

    @rule(key=keys)
    def iter_messages(self, key: str) -> None:
        """All, in pages."""
        assert plain(list(self.store.iter_messages(key))) == plain(self.oracle.said(key))


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
                phases=[phase for phase in Phase if phase is not Phase.explain],
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        backend.close()
