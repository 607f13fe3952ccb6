"""What a store can be asked to do: one value per atomic operation, the same for both faces.

A face checks what it was given and makes an operation of it; a store carries it out, whole or not
at all, and says what came of it. Every operation is written once here and once per store.

`expected` is the revision that the conversation must have (`ABSENT`: none at all), else
`ConflictError`. An expired conversation is absent. A write restarts the ttl of its conversation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from chatstore.arguments import Expected, Window
from chatstore.records import CheckReport, Conversation, Draft, Row, State, StateDraft, Status

T_co = TypeVar("T_co", covariant=True)

Order = Literal["updated", "key"]

ENTRIES = "pydantic_ai"
"""The format whose messages are found by their ids alone."""


class Operation(Generic[T_co]):
    """Something atomic that results in a `T_co`."""

    __slots__ = ()

    @property
    def repeatable(self) -> bool:
        """Whether carrying it out again does no harm, when nobody knows whether it was."""
        return False


@dataclass(slots=True)
class Append(Operation[list[str]]):
    """Store the drafts behind all others, contiguous; the ids of their records.

    A draft whose id the conversation holds already, with the same content, is stored already:
    its id is returned and nothing changes for it; if all are, nothing changes at all, whatever is
    expected. With other content: `DuplicateMessageError`. No draft: nothing happens.
    """

    key: str
    drafts: Sequence[Draft]
    expected: Expected

    @property
    def repeatable(self) -> bool:
        """All have ids, by which they are known again."""
        return all(draft.id is not None for draft in self.drafts)


@dataclass(slots=True)
class Insert(Operation[list[str]]):
    """Store the draft where `list.insert(idx, …)` would; as in `Append`, a list of one id."""

    key: str
    idx: int
    draft: Draft
    expected: Expected

    @property
    def repeatable(self) -> bool:
        """It has an id, by which it is known again."""
        return self.draft.id is not None


@dataclass(slots=True)
class Replace(Operation[None]):
    """Put the drafts in the place of all messages, or of those of a status, behind the others.

    Metadata and the conversation's own ttl stay. If no message is left, the conversation goes.
    Ids: as in `Append`, among the drafts and those that stay.
    """

    key: str
    drafts: Sequence[Draft]
    expected: Expected
    status: Status | None = None


@dataclass(slots=True)
class Update(Operation[Row | None]):
    """Put the draft in the place of the message at `idx`, and keep that one's status.

    The old row, or `None` out of range. An id that another message has: `DuplicateMessageError`.
    """

    key: str
    idx: int
    draft: Draft
    expected: Expected


@dataclass(slots=True)
class DeleteAt(Operation[Row | None]):
    """Remove the message at `idx` among all, or among those of a status; its row.

    `None` out of range. The last one takes the key.
    """

    key: str
    idx: int
    expected: Expected
    status: Status | None = None


@dataclass(slots=True)
class Delete(Operation[list[Row] | None]):
    """Remove all messages, or those of a status; their rows, oldest first.

    `None` if there is no conversation. If no message is left, the conversation goes. A state
    without messages goes, too, unless a status is given.
    """

    key: str
    expected: Expected
    status: Status | None = None


@dataclass(slots=True)
class DeleteOldest(Operation[list[Row]]):
    """Remove the oldest `n` active messages; their rows. If none is left, the conversation goes."""

    key: str
    n: int
    expected: Expected


@dataclass(slots=True)
class Archive(Operation[list[Row]]):
    """Make the oldest `n` active messages archived; their rows."""

    key: str
    n: int
    expected: Expected


@dataclass(slots=True)
class Read(Operation[list[Row]]):
    """The rows of a window, oldest first. Of a status: the window counts only those."""

    key: str
    window: Window


@dataclass(slots=True)
class ReadAfter(Operation[list[Row]]):
    """The first rows behind a row (`None`: from the oldest on), wherever it is by now.

    They are at most `limit`, and fewer if they are large; none only if there is none. A row that is
    gone still marks its place by its ordinal. What was stored since otherwise than by `Insert` is
    behind it, `Replace` included; another conversation under the key has nothing behind it.
    """

    key: str
    after: Row | None
    limit: int


@dataclass(slots=True)
class Count(Operation[int]):
    """How many messages of a status, or of all."""

    key: str
    status: Status | None


@dataclass(slots=True)
class ListKeys(Operation[list[str]]):
    """Keys with a prefix, by code point, behind `after`."""

    prefix: str
    after: str | None
    limit: int | None


@dataclass(slots=True)
class ListConversations(Operation[list[Conversation]]):
    """Conversations: by key, or by (updated_at, key) from the newest on; behind `after`.

    With order "updated", `after` may be a key: `KeyNotFoundError` if it is absent.
    """

    order: Order
    prefix: str
    after: Conversation | str | None
    limit: int | None


@dataclass(slots=True)
class Describe(Operation[Conversation | None]):
    """The conversation under a key."""

    key: str


@dataclass(slots=True)
class SetMetadata(Operation[bool]):
    """Replace the metadata (JSON text) of a conversation; whether it exists."""

    key: str
    metadata: str
    expected: Expected


@dataclass(slots=True)
class SetTTL(Operation[bool]):
    """Give a conversation its own ttl in microseconds, from now on; whether it exists."""

    key: str
    ttl: int | None
    expected: Expected


@dataclass(slots=True)
class PurgeExpired(Operation[int]):
    """Free what expired conversations take; how many there were."""


@dataclass(slots=True)
class Copy(Operation[int]):
    """Store the messages `[:stop]` under another key, with metadata and ttl; how many.

    Source absent: `KeyNotFoundError`. Target present: `ConflictError`. None to copy: `ValueError`.
    """

    key: str
    to_key: str
    stop: int | None


@dataclass(slots=True)
class Erase(Operation[bool]):
    """Remove a conversation, and a state, and make the text gone; whether any existed."""

    key: str


@dataclass(slots=True)
class ReadState(Operation[State | None]):
    """What an adapter keeps beside a conversation; `None`: neither that nor a conversation."""

    key: str


@dataclass(slots=True)
class ListStates(Operation[list[State]]):
    """The states of a scope, or all, newest `updated_at` first."""

    scope: str | None
    limit: int | None


@dataclass(slots=True)
class WriteState(Operation[str]):
    """Write a state and messages together; the state's new revision.

    The drafts come behind all others, as in `Append`; with `replace` they take the place of all
    messages, and without drafts the conversation goes, but the state stays. The conversation's
    ttl is restarted, and is the state's own while there are no messages.

    `expected` is a revision of the state; `ABSENT`: neither a state nor a conversation.
    """

    key: str
    state: StateDraft
    drafts: Sequence[Draft]
    replace: bool
    expected: Expected


@dataclass(slots=True)
class DeleteState(Operation[bool]):
    """Remove a state with its conversation; whether there was one. `expected` as in `WriteState`.

    Where there are no messages, this is what `Delete` cannot expect anything of.
    """

    key: str
    expected: Expected


@dataclass(slots=True)
class FindEntry(Operation[str | None]):
    """The key of a conversation that holds a message of Pydantic AI under an id, or left it."""

    id: str


@dataclass(slots=True)
class Check(Operation[CheckReport]):
    """Look for what is damaged, and repair nothing."""
