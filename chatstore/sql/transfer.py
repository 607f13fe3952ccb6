"""Whole stores: out of a snapshot, and in, in one transaction."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from chatstore import arguments, clock, codec, errors
from chatstore.records import Conversation, Draft, Row
from chatstore.sql.appending import extend, unknown
from chatstore.sql.clauses import EVERYTHING, PAGE_BYTES
from chatstore.sql.mended import exported, is_key
from chatstore.sql.models import GAP
from chatstore.sql.reading import bounds
from chatstore.sql.states_transfer import Taking, all_states, beside
from chatstore.sql.turn import Turn
from chatstore.transfer import NEW, Accompanied, OnConflict, Snapshot, Stream, TransferReport

PAGE = 1000
"""Conversations, or messages, that are in memory at a time; of long messages fewer."""


def snapshot(turn: Turn) -> Snapshot:
    """All live conversations; the turn must see one state for as long as it is read."""
    named = {"namespace": turn.namespace, "now": turn.now}
    _, messages = turn.row(turn.sql.totals, **named)
    return Snapshot(int(messages), True, _conversations(turn))


def _conversations(turn: Turn) -> Iterator[tuple[Conversation, Iterable[Row]]]:
    """The conversations, and between them, by key, the states without messages."""
    states = all_states(turn)
    state = next(states, None)
    for told, rows in _with_messages(turn):
        while state is not None and str(state.key) < told.key:
            yield beside(state, None), ()
            state = next(states, None)
        if state is not None and state.key == told.key:
            yield beside(state, told), rows
            state = next(states, None)
        else:
            yield told, rows
    while state is not None:
        yield beside(state, None), ()
        state = next(states, None)


def _with_messages(turn: Turn) -> Iterator[tuple[Conversation, Iterable[Row]]]:
    after = ""
    while True:
        before = after
        low, high = bounds("", after or None)
        named = {"namespace": turn.namespace, "now": turn.now, "low": low, "high": high}
        page = turn.rows(turn.sql.by_key, n=PAGE, **named)
        for row in page:
            if is_key(row[0]) and row[0] > after:  # else it is damaged, and no import would take it
                after = row[0]
                yield exported(row), rows_of(turn, row[7])
        if len(page) < PAGE or after == before:
            return


def rows_of(turn: Turn, conversation_id: int) -> Iterator[Row]:
    """The rows of a conversation, oldest first, read in pages."""
    ordinal, more = -EVERYTHING, True
    while more:
        page, more = turn.page(
            turn.sql.page, PAGE, conversation_id=conversation_id, ordinal=ordinal
        )
        if page:
            ordinal = page[-1][1] + 1
        yield from map(Row._make, page)


def restore(turn: Turn, stream: Stream, on_conflict: OnConflict) -> TransferReport:
    """Store conversations as they were elsewhere."""
    stored = skipped = messages = 0
    later, taking = _Later(turn), Taking(turn)
    for told, drafts in stream:
        rest = iter(drafts)
        first = _taken(rest)
        state = told if isinstance(told, Accompanied) else None
        if taking.is_alone(told.key):
            if on_conflict == "skip":
                skipped += bool(first)
                continue
            if taking.stays(told.key, on_conflict, beside_messages=bool(first)):
                state = None
        here = _create(turn, told, first) if first else None
        if here is None:
            # It is there already. Its messages may be among those that are to be stored.
            later.store()
            held = turn.lock(told.key)
            if held is not None and on_conflict == "error":
                raise errors.occupied(told.key)
            if held is not None and on_conflict == "skip":
                skipped += bool(first)
                continue
            if held is not None and on_conflict == "append":
                stored += bool(first)
                while first:
                    new = unknown(turn, told.key, held, first)
                    extend(turn, held, new)
                    messages += len(new)
                    first = _taken(rest)
                continue
            if held is not None:
                turn.remove(held.conversation_id)
            here = _create(turn, told, first) if first else None
        count = 0 if here is None else _fill(turn, told.key, here, first, rest, later)
        if state is not None:
            taking.add(state, here, count)
        messages += count
        stored += bool(first)
    later.store()
    return TransferReport(stored, messages, skipped)


def _taken(rest: Iterator[Draft]) -> list[Draft]:
    """As many as are to be in memory."""
    drafts, size = [], 0
    for draft in islice(rest, PAGE):
        drafts.append(draft)
        size += len(draft.payload)
        if size > PAGE_BYTES:
            break
    return drafts


class _Later:
    """Rows that are stored together: to a server, most conversations are less than a message."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._rows: list[tuple[Any, ...]] = []
        self._size = 0

    def add(self, here: int, before: int, drafts: Sequence[Draft]) -> None:
        """Messages of a new conversation that has so many before them."""
        self._rows += [
            (here, place * GAP, place + 1, *draft) for place, draft in enumerate(drafts, before)
        ]
        self._size += sum(len(draft.payload) for draft in drafts)
        if len(self._rows) >= PAGE or self._size > PAGE_BYTES:
            self.store()

    def store(self) -> None:
        """Store what is there."""
        self._turn.many(self._turn.sql.add_message, self._rows)
        self._rows, self._size = [], 0


def _fill(
    turn: Turn, key: str, here: int, first: list[Draft], rest: Iterator[Draft], later: _Later
) -> int:
    """Store the messages of a new conversation, whose row knows of the first ones; how many."""
    ids: set[str] = set()
    count = archived = 0
    chunk = first
    while chunk:
        named = {draft.id for draft in chunk if draft.id is not None}
        seen: dict[str, tuple[str, str]] = {}
        if repeated := ids & named:
            # Where they are by now: all messages with ids may be too much to be in memory.
            later.store()
            for id in repeated:
                row = turn.row(turn.sql.by_id, conversation_id=here, id=id)
                seen[id] = row[1], row[2]
        ids |= named
        new = unknown(turn, key, None, chunk, seen)
        later.add(here, count, new)
        count += len(new)
        archived += _archived(new)
        chunk = _taken(rest)
    if count != len(first):  # only of a long one, or one with a message twice
        turn.run(
            turn.sql.settle,
            conversation_id=here,
            count=count,
            archived=archived,
            next_ordinal=count * GAP,
        )
    return count


def _archived(drafts: Iterable[Draft]) -> int:
    return sum(draft.archived for draft in drafts)


def _create(turn: Turn, told: Conversation, first: list[Draft]) -> int | None:
    """Store the row of a conversation with these messages; its id, or `None`: it is there."""
    if told.revision == NEW:
        ttl = turn.ttl
        expires_at = None if ttl is None else turn.now + ttl
    else:
        ttl = arguments.ttl_in_us(told.ttl)
        expires_at = None if told.expires_at is None else clock.read(told.expires_at)
    return turn.create_missing(
        told.key,
        len(first),
        archived=_archived(first),
        created_at=clock.read(told.created_at),
        updated_at=clock.read(told.updated_at),
        ttl=ttl,
        expires_at=expires_at,
        metadata=codec.encode_metadata(told.metadata),
    )
