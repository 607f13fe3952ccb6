"""What flows between stores and files: conversations, each with its messages."""

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Literal

from chatstore import clock
from chatstore.records import Conversation, Draft, Row, StateDraft

Format = Literal["json", "jsonl"]
OnConflict = Literal["error", "skip", "replace", "append"]
Progress = Callable[[int, int | None], None]
"""Called with the messages done, and the messages in all where that is known."""

NEW = ""
"""As `Conversation.revision` in a `Stream`: the file tells no ttl, so that the conversation gets
the store's own, as new ones do."""

_KNOWN = "state"  # not `NEW`: its ttl is told

VERSION = 1
"""Of our files. Whatever an older version could not read raises it."""


@dataclass(frozen=True, slots=True)
class Accompanied(Conversation):
    """A conversation, and the state that an adapter keeps beside it.

    Without messages it is that state alone: there is no conversation, `count` is 0, both times are
    that of the state, and ttl and expiry are its own.

    Attributes:
        state: It; what is parted is never `None` here.
        changed: Whether the conversation has changed since the state was written.
    """

    state: StateDraft
    changed: bool


def accompanied(told: Conversation, state: StateDraft, *, changed: bool) -> Accompanied:
    """The conversation with a state beside it."""
    known = {field.name: getattr(told, field.name) for field in fields(Conversation)}
    return Accompanied(**known, state=state, changed=changed)


def alone(key: str, state: StateDraft, ttl: int | None, expires_at: int | None) -> Accompanied:
    """A state without messages; ttl and expiry in microseconds."""
    at = clock.show(clock.nearest(state.updated_at))
    return Accompanied(
        key=key,
        count=0,
        created_at=at,
        updated_at=at,
        expires_at=None if expires_at is None else clock.show(clock.nearest(expires_at)),
        ttl=None if ttl is None else ttl / 1_000_000,
        metadata={},
        revision=_KNOWN,
        state=state,
        changed=False,
    )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All conversations of a store by key, each with its rows, to be read once and in order.

    Those with a state beside them are `Accompanied`; a state without messages has no rows.

    Attributes:
        messages: How many messages there are, for a progress bar.
        consistent: Whether all is from one moment; else each conversation is, for itself.
        conversations: Each with the iterator of its rows, which must be used up before the next.
    """

    messages: int
    consistent: bool
    conversations: Iterator[tuple[Conversation, Iterable[Row]]]


Stream = Generator[tuple[Conversation, Iterable[Draft]], None, None]
"""Conversations on their way into a store, each with at least one message, or `Accompanied`.

Their `count` means nothing, and their `revision` nothing unless it is `NEW`. Drafts that a store
leaves unread are passed over. What is wrong with a file is raised out of the iteration as a
`TransferError`, by its end at the latest: a store keeps nothing before that.

A stream may hold files and connections, and a traceback holds a stream: a store closes each one
that it began, in the thread that read it, also when it stops halfway.
"""


@dataclass(frozen=True, slots=True)
class TransferReport:
    """What an export wrote, or an import stored.

    Attributes:
        conversations: How many conversations; a state without messages is none.
        messages: How many messages.
        skipped: How many conversations an import left alone, for their keys exist.
    """

    conversations: int
    messages: int
    skipped: int = 0
