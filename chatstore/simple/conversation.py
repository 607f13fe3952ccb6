"""One conversation in memory: its rows in order, and what is known of it."""

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from chatstore import clock, codec, errors
from chatstore.arguments import Window
from chatstore.records import Conversation, Draft, Row, Status

GAP = 1 << 20
"""Between the ordinals of neighbours, so that an insert seldom moves others."""


@dataclass(slots=True)
class Held:
    """A conversation; `ttl` and times are in microseconds."""

    key: str
    incarnation: int
    ttl: int | None
    created_at: int
    updated_at: int
    metadata: str = "{}"
    expires_at: int | None = None
    changes: int = 0
    serial: int = 0
    next_ordinal: int = 0
    """Above those of all messages that ever were: what is appended is behind them, too."""
    rows: list[Row] = field(default_factory=list)
    known: dict[str, tuple[str, str]] | None = None
    """Format and payload by a caller's id, made when first asked for. It goes when messages go or
    change, which the methods below see to."""

    @property
    def revision(self) -> str:
        """The token that changes with every write."""
        return f"{self.incarnation}-{self.changes}"

    def touched(self, now: int) -> None:
        """Note a write."""
        self.changes += 1
        self.updated_at = now
        self.expires_at = None if self.ttl is None else now + self.ttl

    def describe(self) -> Conversation:
        """The conversation as callers see it."""
        return Conversation(
            key=self.key,
            count=len(self.rows),
            created_at=clock.show(self.created_at),
            updated_at=clock.show(self.updated_at),
            expires_at=None if self.expires_at is None else clock.show(self.expires_at),
            ttl=None if self.ttl is None else self.ttl / 1_000_000,
            metadata=json.loads(self.metadata),
            revision=self.revision,
        )

    def unknown(self, drafts: Sequence[Draft]) -> list[Draft]:
        """The drafts that are not stored yet.

        Raises:
            DuplicateMessageError: Another message has the id of one.
        """
        if all(draft.id is None for draft in drafts):
            return list(drafts)
        if self.known is None:
            rows = (row for row in self.rows if row.id is not None)
            self.known = {str(row.id): (row.format, row.payload) for row in rows}
        new: list[Draft] = []
        seen: dict[str, tuple[str, str]] = {}
        for draft in drafts:
            stored = None
            if draft.id is not None:
                stored = self.known.get(draft.id) or seen.get(draft.id)
            if stored is None:
                new.append(draft)
                if draft.id is not None:
                    seen[draft.id] = (draft.format, draft.payload)
            elif not codec.same_content(draft, *stored):
                raise errors.duplicate(self.key, draft.id)
        return new

    def row(self, draft: Draft, ordinal: int) -> Row:
        """A new row."""
        self.serial += 1
        if self.known is not None and draft.id is not None:
            self.known[draft.id] = (draft.format, draft.payload)
        return Row(self.incarnation, ordinal, self.serial, *draft)

    def append(self, drafts: Sequence[Draft]) -> list[Row]:
        """Store drafts at the end."""
        first = self.next_ordinal
        new = [self.row(draft, first + place * GAP) for place, draft in enumerate(drafts)]
        self.next_ordinal += len(new) * GAP
        self.rows.extend(new)
        return new

    def insert(self, idx: int, draft: Draft) -> Row:
        """Store a draft where `list.insert` would."""
        place = slice(idx, None).indices(len(self.rows))[0]
        if place == len(self.rows):
            return self.append([draft])[0]
        behind = self.rows[place].ordinal
        before = self.rows[place - 1].ordinal if place else behind - 2 * GAP
        if behind - before < 2:
            self.rows[:] = [row._replace(ordinal=i * GAP) for i, row in enumerate(self.rows)]
            self.next_ordinal = max(self.next_ordinal, len(self.rows) * GAP)
            before, behind = self.rows[place - 1].ordinal, self.rows[place].ordinal
        row = self.row(draft, (before + behind) // 2)
        self.rows.insert(place, row)
        return row

    def place(self, idx: int, status: Status | None = None) -> int | None:
        """Where `idx`, of all or of a status, is counted from the front; `None` out of range."""
        places: Sequence[int] = range(len(self.rows))
        if status is not None:
            archived = status == "archived"
            places = [place for place in places if self.rows[place].archived == archived]
        return places[idx] if -len(places) <= idx < len(places) else None

    def window(self, window: Window) -> list[Row]:
        """The rows of a window."""
        rows = self.rows
        if window.status is not None:
            archived = window.status == "archived"
            rows = [row for row in rows if row.archived == archived]
        if window.last is not None:
            return rows[max(0, len(rows) - window.last) :]
        return rows[window.start : window.stop]

    def change(self, place: int, row: Row) -> None:
        """Put a row in the place of another."""
        self.known = None
        self.rows[place] = row

    def remove(self, place: int) -> Row:
        """Remove a row."""
        self.known = None
        return self.rows.pop(place)

    def take(self, status: Status | None) -> list[Row]:
        """Remove the rows of a status, or all. The list that held them stays as it was."""
        gone, rest = self.rows, list[Row]()
        if status is not None:
            gone = self.window(Window(status=status))
            rest = self.window(Window(status="active" if status == "archived" else "archived"))
        self.rows, self.known = rest, None
        return gone

    def after(self, row: Row | None, limit: int) -> list[Row]:
        """The rows behind a row, wherever it is by now."""
        if row is None:
            return self.rows[:limit]
        if row.conversation != self.incarnation:
            return []
        place = bisect_right(self.rows, row.ordinal, key=attrgetter("ordinal"))
        if not place or self.rows[place - 1].serial != row.serial:  # it was renumbered, or is gone
            there = (at for at, other in enumerate(self.rows, 1) if other.serial == row.serial)
            place = next(there, place)
        return self.rows[place : place + limit]

    def delete_oldest(self, n: int) -> list[Row]:
        """Remove the oldest active rows."""
        places = self._oldest(n)
        return [self.remove(place) for place in reversed(places)][::-1]

    def archive(self, n: int) -> list[Row]:
        """Make the oldest active rows archived."""
        places = self._oldest(n)
        for place in places:
            self.rows[place] = self.rows[place]._replace(archived=True)
        return [self.rows[place] for place in places]

    def _oldest(self, n: int) -> list[int]:
        """The places of the oldest active rows."""
        return [place for place, row in enumerate(self.rows) if not row.archived][:n]
