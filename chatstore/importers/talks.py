"""What an importer finds, and how it becomes the stream that a store takes in."""

from collections.abc import Collection, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from chatstore import arguments, clock, codec
from chatstore.errors import (
    DuplicateMessageError,
    InvalidKeyError,
    InvalidMessageError,
    TransferError,
)
from chatstore.messages import Message
from chatstore.records import Conversation, Draft
from chatstore.transfer import NEW, Progress, Stream

_REPORT_EVERY = 500  # messages


@dataclass(slots=True)
class Talk:
    """A conversation as a foreign file holds it.

    Attributes:
        place: Where it stands: "line 3", "item 3".
        key: The key that it gets.
        messages: In their order.
        metadata: What is kept beside them.
        created_at: When it began, where the file says so.
        updated_at: When it was last written, where the file says so.
        archived: The places of the messages that are archived.
    """

    place: str
    key: str
    messages: Sequence[Message]
    metadata: dict[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    archived: Collection[int] = ()


Talks = Generator[Talk, None, None]
"""What an importer reads; closing it closes the file."""


def moment(value: Any) -> datetime | None:
    """A time: ISO 8601 text, seconds since 1970 or a `datetime`; without a time zone it is UTC.

    Raises:
        ValueError: It is none, or out of every calendar.
    """
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            found = found.replace(tzinfo=UTC) if found.tzinfo is None else found
            return found.astimezone(UTC)
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return clock.show(round(value * 1_000_000))
    except (ValueError, OverflowError):
        pass
    raise ValueError("has a time that is no time")


def counted(stream: Stream, progress: Progress | None) -> Stream:
    """The stream, with its messages told to `progress` as they pass."""
    done = 0
    with closing(stream):
        for conversation, drafts in stream:
            yield conversation, drafts
            done += conversation.count
            if progress:
                progress(done, None)


class Taker:
    """Encodes talks for a store, and counts.

    Args:
        path: The file, for errors.
        progress: As in `import_json`.
        total: How many messages there are, where that is known.

    Attributes:
        empty: How many conversations held no message, and so were left out.
    """

    def __init__(self, path: str, progress: Progress | None, total: int | None) -> None:
        self.path = path
        self.empty = 0
        self._talk: Talk | None = None
        self._progress = progress
        self._total = total
        self._now = clock.now()

    def stream(self, talks: Talks) -> Stream:
        """The talks as a store takes them in; `talks` is closed with it."""
        with closing(talks):
            yield from self._taken(talks)

    def _taken(self, talks: Talks) -> Stream:
        self.empty = done = shown = 0
        places: dict[str, str] = {}
        for talk in talks:
            if not talk.messages:
                self.empty += 1
                continue
            self._talk = talk
            self._check_key(talk, places)
            drafts = self._encode(talk)
            yield self._describe(talk, drafts), drafts
            done += len(drafts)
            if self._progress and done - shown >= _REPORT_EVERY:
                shown = done
                self._progress(done, self._total)
        if self._progress:
            self._progress(done, self._total)

    def clash(self, error: DuplicateMessageError) -> TransferError:
        """For a message of the talk that was taken last, whose id the store has for another."""
        place = ""
        if self._talk is not None:
            ids = [message.id for message in self._talk.messages]
            place = f"{self._talk.place}: message {ids.index(error.id) + 1}: "
        return TransferError(f"{self.path}: {place}{error}; nothing was imported")

    def _check_key(self, talk: Talk, places: dict[str, str]) -> None:
        try:
            arguments.check_key(talk.key)
        except InvalidKeyError as error:
            raise TransferError(f"{self.path}: {talk.place}: {error}") from None
        first = places.setdefault(talk.key, talk.place)
        if first is not talk.place:
            raise TransferError(
                f"{self.path}: {talk.place} has the key {talk.key!r} of {first}; give each "
                "conversation its own id; nothing was imported"
            )

    def _encode(self, talk: Talk) -> list[Draft]:
        drafts = []
        ids: set[str] = set()
        for number, message in enumerate(talk.messages, 1):
            path = f"{self.path}: {talk.place}: message {number}"
            try:
                drafts.append(codec.encode(message, self._now, path))
            except InvalidMessageError as error:
                raise TransferError(f"{error}; nothing was imported") from None
            if message.id is not None:
                if message.id in ids:
                    raise TransferError(f"{path} has the id of one before it; nothing was imported")
                ids.add(message.id)
        for place in talk.archived:
            drafts[place] = drafts[place]._replace(archived=True)
        return drafts

    def _describe(self, talk: Talk, drafts: list[Draft]) -> Conversation:
        times = [draft.created_at for draft in drafts]
        created_at = talk.created_at or clock.show(min(times))
        updated_at = talk.updated_at or max(created_at, clock.show(max(times)))
        try:
            codec.encode_metadata(talk.metadata)
        except InvalidMessageError as error:
            raise TransferError(f"{self.path}: {talk.place}: {error}") from None
        return Conversation(
            key=talk.key,
            count=len(drafts),
            created_at=created_at,
            updated_at=updated_at,
            expires_at=None,
            ttl=None,
            metadata=talk.metadata,
            revision=NEW,
        )
