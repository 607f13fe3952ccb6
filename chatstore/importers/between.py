"""From one store to another, and the proof that nothing changed on the way."""

import hashlib
import json
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field

from chatstore import clock
from chatstore import operations as ops
from chatstore.records import Conversation, Draft, Row
from chatstore.store import ChatStore
from chatstore.transfer import Accompanied, OnConflict, Progress, Stream

_REPORT_EVERY = 500  # messages


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What `copy_store` did, and what it saw when it looked again.

    Attributes:
        conversations: How many conversations were stored.
        messages: How many messages were stored.
        skipped: How many conversations were left alone, for their keys exist.
        verified: How many conversations were read back and compared.
        digest: Of the source, as it was read; `content_digest` of a target that was empty.
        problems: A sentence for each conversation that is not in the target as it was read.
    """

    conversations: int
    messages: int
    skipped: int
    verified: int
    digest: str
    problems: list[str] = field(default_factory=list)


def copy_store(
    source: ChatStore,
    target: ChatStore,
    *,
    on_conflict: OnConflict = "error",
    progress: Progress | None = None,
    verifying: Progress | None = None,
) -> CopyReport:
    """Store all conversations of one store in another, all or none, and compare them there.

    Ids, times, statuses, metadata, formats, ttls and what adapters keep beside conversations come
    along. Stores may be of any kinds.

    Args:
        source: It is read from one snapshot, where its kind can give one, and never changed.
        target: Where the conversations go.
        on_conflict: As in `ChatStore.import_json`.
        progress: Called with the messages copied and the messages in all.
        verifying: The same, while the target is read back.

    Raises:
        TransferError: A key exists in the target. Nothing was stored.

    Example:
        >>> from chatstore import ChatMessage, open_store
        >>> with open_store("memory://") as one, open_store("memory://") as other:
        ...     _ = one.add_message("user1", ChatMessage("Hello"))
        ...     report = copy_store(one, other)
        ...     report.messages, report.digest == content_digest(other)
        (1, True)
    """
    # Existing keys are of another making, and cannot be compared.
    known = _known(target) if on_conflict in ("skip", "append") else set()
    reader = _Reader(source, progress)
    report = target._restore(reader.stream, on_conflict)
    compared = {key: mark for key, mark in reader.marks.items() if key not in known}
    problems = _compare(target, compared, verifying)
    return CopyReport(
        report.conversations,
        report.messages,
        report.skipped,
        sum(mark.count > 0 for mark in compared.values()),
        _sum(reader.marks),
        problems,
    )


def _known(store: ChatStore) -> set[str]:
    """The keys of all conversations, and of all states."""
    states = store._execute(ops.ListStates(None, None))
    return {*store.get_keys(), *(state.key for state in states)}


def content_digest(store: ChatStore, progress: Progress | None = None) -> str:
    """A SHA-256 of all that a store holds: equal in two stores exactly if they hold the same.

    Keys, metadata, ttls and messages count, with ids, payloads, statuses and times, and what
    adapters keep beside conversations; revisions and the time of the last write do not.
    """
    return _sum(_read(store, progress))


@dataclass(slots=True)
class _Mark:
    count: int
    digest: bytes
    expires_at: int | None


class _Reader:
    """Streams a store, and marks what it saw."""

    def __init__(self, store: ChatStore, progress: Progress | None) -> None:
        self.marks: dict[str, _Mark] = {}
        self._store = store
        self._progress = progress

    def stream(self) -> Stream:
        """All conversations, from the beginning each time it is called."""
        self.marks.clear()
        done = shown = 0
        with self._store._snapshot() as snapshot:
            for conversation, rows in snapshot.conversations:
                with closing(self._mark(conversation, rows)) as drafts:
                    yield conversation, drafts
                    # A conversation that is skipped must be read all the same: rows come in order.
                    for _ in drafts:
                        pass
                done += self.marks[conversation.key].count
                if self._progress and done - shown >= _REPORT_EVERY:
                    shown = done
                    self._progress(done, snapshot.messages)
            if self._progress:
                self._progress(done, snapshot.messages)

    def _mark(
        self, conversation: Conversation, rows: Iterable[Row]
    ) -> Generator[Draft, None, None]:
        facts = (
            conversation.key,
            clock.read(conversation.created_at),
            conversation.ttl,
            json.dumps(conversation.metadata, sort_keys=True),
        )
        digest = hashlib.sha256(repr(facts).encode())
        if isinstance(conversation, Accompanied):
            beside = (*conversation.state, conversation.changed)
            digest.update(repr(beside).encode())
        count = 0
        for row in rows:
            draft = row.draft
            digest.update(repr(tuple(draft)).encode())
            count += 1
            yield draft
        expires_at = conversation.expires_at
        self.marks[conversation.key] = _Mark(
            count, digest.digest(), None if expires_at is None else clock.read(expires_at)
        )


def _read(store: ChatStore, progress: Progress | None) -> dict[str, _Mark]:
    reader = _Reader(store, progress)
    with closing(reader.stream()) as conversations:
        for _, drafts in conversations:
            for _ in drafts:
                pass
    return reader.marks


def _compare(target: ChatStore, wanted: dict[str, _Mark], progress: Progress | None) -> list[str]:
    marks = _read(target, progress)
    problems = []
    for key, mark in wanted.items():
        found = marks.get(key)
        if found is None:
            if mark.expires_at is None or mark.expires_at > clock.now():
                problems.append(f"{key!r} is missing in the target")
        elif found.count != mark.count:
            problems.append(f"{key!r} has {found.count} messages in the target, not {mark.count}")
        elif found.digest != mark.digest:
            problems.append(f"{key!r} has other content in the target")
    return problems


def _sum(marks: dict[str, _Mark]) -> str:
    total = hashlib.sha256()
    for key in sorted(marks):
        total.update(marks[key].digest)
    return total.hexdigest()
