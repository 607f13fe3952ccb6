"""What a store keeps and tells of a conversation, as values."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from chatstore import json_text
from chatstore.messages import ChatMessage

MADE = "~"
"""What the ids that a store makes begin with, and those of callers do not."""

Status = Literal["active", "archived"]
STATUSES: tuple[Status, ...] = ("active", "archived")


def made_id(conversation: int | str, serial: int) -> str:
    """The id of a record whose message came without one."""
    return f"{MADE}{conversation}-{serial}"


class Draft(NamedTuple):
    """A message, encoded, on its way into a store; `created_at` in microseconds since 1970."""

    id: str | None  # the caller's
    format: str
    payload: str  # JSON, ASCII only
    role: str
    kind: str | None  # None: an ordinary message
    tool_call_ids: str | None  # a JSON array
    archived: bool
    created_at: int


class Row(NamedTuple):
    """A message, encoded, on its way out of a store.

    The fields of `Draft` behind what the store added: `conversation` (a token of the
    conversation's incarnation), `ordinal`, and `serial`, which never recurs in a conversation.
    """

    conversation: int | str
    ordinal: int
    serial: int
    id: str | None
    format: str
    payload: str
    role: str
    kind: str | None
    tool_call_ids: str | None
    archived: bool | int
    created_at: int

    @property
    def record_id(self) -> str:
        """The caller's id, or else the one that the store made."""
        return made_id(self.conversation, self.serial) if self.id is None else self.id

    @property
    def draft(self) -> Draft:
        """The row as it would be written elsewhere."""
        return Draft(*self[3:9], bool(self.archived), self.created_at)


@dataclass(frozen=True, slots=True)
class Record:
    """A message as it is stored.

    Attributes:
        id: The caller's id, or one that the store made (it begins with `~`).
        ordinal: What orders the conversation; it rises strictly and means nothing else.
        format: Whose JSON the payload is.
        payload: The JSON text, exactly as it was encoded at the write.
        role: Who speaks, derived from the payload.
        text: The text of the message, derived from the payload.
        kind: "message", "tool_call", "tool_result" or "reasoning", derived from the payload.
        tool_call_ids: The tool calls that it makes or answers, derived from the payload.
        status: "active" or "archived".
        created_at: When it was stored, timezone-aware UTC.
        message: The view of it as a `ChatMessage`.
    """

    id: str
    ordinal: int
    format: str
    payload: str
    role: str
    text: str | None
    kind: str
    tool_call_ids: tuple[str, ...]
    status: Status
    created_at: datetime
    message: ChatMessage


@dataclass(frozen=True, slots=True)
class Conversation:
    """What is known of the ordered messages under one key.

    Attributes:
        key: The string that names it.
        count: How many messages it holds, archived ones included.
        created_at: When its first message was stored, timezone-aware UTC.
        updated_at: When it was last written.
        expires_at: When it will be gone unless it is written again; `None`: never.
        ttl: The seconds that it lives after a write; `None`: for ever.
        metadata: What `set_metadata` keeps beside it.
        revision: An opaque token that changes with every change and never recurs.
    """

    key: str
    count: int
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    ttl: float | None
    metadata: dict[str, Any]
    revision: str


class StateDraft(NamedTuple):
    """What an adapter keeps beside a conversation, on its way into a store.

    Attributes:
        body: JSON text, ASCII only.
        parted: The messages that the conversation has left, as JSON text, ASCII only; `""` if
            there are none, and `None` to keep what is stored.
        scope: What states are listed by; `None` for none.
        updated_at: When it changed, by the adapter's clock, in microseconds since 1970.
    """

    body: str
    parted: str | None
    scope: str | None
    updated_at: int


@dataclass(frozen=True, slots=True)
class State:
    """What an adapter keeps beside a conversation, and where the conversation is.

    It may exist without messages, and then there is no conversation. With them it goes when they
    go: it is deleted, erased and expires with the conversation.

    Attributes:
        key: The string that names the conversation.
        body: As it was written; `None`: there is a conversation, and nothing beside it.
        parted: As it was written; `""`: nothing.
        scope: As it was written.
        updated_at: As it was written; of a conversation with nothing beside it, its own.
        revision: An opaque token that changes with every change of the state or of the
            conversation, and never recurs. While there are messages, it is the conversation's.
        changed: Whether the conversation has changed since the state was written.
        head: The record id of the newest message; `None`: there are no messages.
    """

    key: str
    body: str | None
    parted: str
    scope: str | None
    updated_at: int
    revision: str
    changed: bool
    head: str | None


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check()` found.

    Attributes:
        conversations: How many conversations were read.
        messages: How many messages were read.
        problems: A sentence for each thing that is wrong.

    Example:
        >>> CheckReport(conversations=1, messages=2).ok
        True
    """

    conversations: int
    messages: int
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def quoted_entry(id: str) -> str:
    """An id as it stands in the JSON text of what a conversation has left."""
    return f'"entry":{json_text.quote(id)}'
