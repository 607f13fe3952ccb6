"""What flows between stores and files: conversations, each with its messages."""

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from chatstore.records import Conversation, Draft, Row

Format = Literal["json", "jsonl"]
OnConflict = Literal["error", "skip", "replace", "append"]
Progress = Callable[[int, int | None], None]
"""Called with the messages done, and the messages in all where that is known."""

NEW = ""
"""As `Conversation.revision` in a `Stream`: the file tells no ttl, so that the conversation gets
the store's own, as new ones do."""

VERSION = 1
"""Of our files. Whatever an older version could not read raises it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All conversations of a store by key, each with its rows, to be read once and in order.

    Attributes:
        messages: How many messages there are, for a progress bar.
        consistent: Whether all is from one moment; else each conversation is, for itself.
        conversations: Each with the iterator of its rows, which must be used up before the next.
    """

    messages: int
    consistent: bool
    conversations: Iterator[tuple[Conversation, Iterable[Row]]]


Stream = Generator[tuple[Conversation, Iterable[Draft]], None, None]
"""Conversations on their way into a store, each with at least one message.

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
        conversations: How many conversations.
        messages: How many messages.
        skipped: How many conversations an import left alone, for their keys exist.
    """

    conversations: int
    messages: int
    skipped: int = 0
