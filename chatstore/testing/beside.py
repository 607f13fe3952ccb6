"""A store beside its oracle: doing something in both, and comparing what can be seen."""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import count, pairwise
from typing import Any, Literal

from hypothesis.stateful import RuleBasedStateMachine, invariant

from chatstore import (
    ABSENT,
    ChatMessage,
    ChatStore,
    ChatStoreError,
    ConflictError,
    DuplicateMessageError,
)
from chatstore.records import STATUSES, Status
from chatstore.testing.backend import Backend
from chatstore.testing.blocking import blocking, stop
from chatstore.testing.oracle import Duplicate, Oracle, Said

Expect = Literal["nothing", "right", "wrong", "absent"]
"""The revision that a call expects."""

_examples = count()


@lru_cache(maxsize=1000)  # a story looks at the same payloads after each of its steps
def _text_of(payload: str) -> str:
    text: str = json.loads(payload)["blocks"][0]["text"]
    return text


class Beside(RuleBasedStateMachine):
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
        self.store = self.open()

    def open(self) -> ChatStore:
        """The store, again where that means something."""
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
                said = self.oracle.said(key, archived(status))
                assert self.store.count_messages(key, status=status) == len(said)
            payloads = self.backend.raw_payloads(key, self.namespace)
            assert [*map(_text_of, payloads)] == [one.text for one in talk.said]
            assert self.backend.faults(key, self.namespace) == []

    def both(
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
        expected, fits = {
            "nothing": (None, True),
            "right": (revision or ABSENT, True),
            "wrong": (self._stale(key), False),
            "absent": (ABSENT, revision is None),
        }[expect]
        if not fits and (written or refusals or not idle_fits):
            refusals.add(ConflictError)
        try:
            result = of_store(expected)
        except tuple(refusals):
            assert self._revision(key) == revision
            return
        assert not refusals
        assert plain(result) == plain(wanted)
        self.oracle = trial
        if written:
            self.spend(key)
        else:
            assert self._revision(key) == revision

    def _revision(self, key: str) -> str | None:
        conversation = self.store.get_conversation(key)
        return None if conversation is None else conversation.revision

    def _stale(self, key: str) -> str:
        """A revision that the conversation has not, though it may have had it."""
        now = (key, self._revision(key))
        return next((old for of, old in sorted(self.spent - {now}) if of == key), "never")

    def spend(self, key: str) -> None:
        """A new revision was given out."""
        if revision := self._revision(key):
            assert (key, revision) not in self.spent
            self.spent.add((key, revision))

    def stored(self, key: str, batch: Sequence[Said], ids: Sequence[str]) -> None:
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


def message(one: Said) -> ChatMessage:
    return ChatMessage(one.text, id=one.id)


def archived(status: Status | None) -> bool | None:
    return None if status is None else status == "archived"


def plain(value: object) -> object:
    """Messages of either side as texts and ids; all else as it is."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, ChatMessage):
        return value.content, value.id
    return (value.text, value.id) if isinstance(value, Said) else value
