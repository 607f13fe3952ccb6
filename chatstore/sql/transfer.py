"""Whole stores: out of a snapshot, and in, in one transaction."""

from collections.abc import Iterable, Iterator
from itertools import islice

from chatstore import arguments, clock, codec, errors
from chatstore.records import Conversation, Draft, Row
from chatstore.sql.models import GAP
from chatstore.sql.reading import bounds
from chatstore.sql.statements import EVERYTHING
from chatstore.sql.turn import Held, Turn, conversation
from chatstore.sql.writing import extend, store, unknown
from chatstore.transfer import NEW, OnConflict, Snapshot, Stream, TransferReport

PAGE = 1000
"""Conversations, or messages, that are in memory at a time."""


def snapshot(turn: Turn) -> Snapshot:
    """All live conversations; the turn must see one state for as long as it is read."""
    named = {"namespace": turn.namespace, "now": turn.now}
    _, messages = turn.row(turn.sql.totals, **named)
    return Snapshot(int(messages), True, _conversations(turn))


def _conversations(turn: Turn) -> Iterator[tuple[Conversation, Iterable[Row]]]:
    after = None
    while True:
        low, high = bounds("", after)
        named = {"namespace": turn.namespace, "now": turn.now, "low": low, "high": high}
        page = turn.rows(turn.sql.by_key, n=PAGE, **named)
        for row in page:
            yield conversation(row), rows_of(turn, row[7])
        if len(page) < PAGE:
            return
        after = page[-1][0]


def rows_of(turn: Turn, conversation_id: int) -> Iterator[Row]:
    """The rows of a conversation, oldest first, read in pages."""
    ordinal = -EVERYTHING
    while True:
        page = turn.rows(
            turn.sql.from_ordinal, conversation_id=conversation_id, ordinal=ordinal, n=PAGE
        )
        yield from map(Row._make, page)
        if len(page) < PAGE:
            return
        ordinal = page[-1][1] + 1


def restore(turn: Turn, stream: Stream, on_conflict: OnConflict) -> TransferReport:
    """Store conversations as they were elsewhere."""
    stored = skipped = messages = 0
    for told, drafts in stream:
        held = turn.lock(told.key)
        if held is not None and on_conflict == "error":
            raise errors.occupied(told.key)
        if held is not None and on_conflict == "skip":
            skipped += 1
            continue
        if held is not None and on_conflict == "replace":
            turn.remove(held.conversation_id)
            held = None
        messages += _add(turn, told, drafts, held)
        stored += 1
    return TransferReport(stored, messages, skipped)


def _add(turn: Turn, told: Conversation, drafts: Iterable[Draft], held: Held | None) -> int:
    if held is not None:
        new = unknown(turn, told.key, held, drafts)
        extend(turn, held, new)
        return len(new)
    rest = iter(drafts)
    seen: dict[str, tuple[str, str]] = {}
    new = unknown(turn, told.key, None, islice(rest, PAGE), seen)
    if not new:
        return 0
    count, archived = len(new), _archived(new)
    here = _create(turn, told, count, archived)
    store(turn, here, 0, 0, new)
    more = False
    while chunk := list(islice(rest, PAGE)):  # only of a long one, whose row is then corrected
        more = True
        new = unknown(turn, told.key, None, chunk, seen)
        store(turn, here, count * GAP, count, new)
        count += len(new)
        archived += _archived(new)
    if more:
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


def _create(turn: Turn, told: Conversation, count: int, archived: int) -> int:
    if told.revision == NEW:
        ttl = turn.ttl
        expires_at = None if ttl is None else turn.now + ttl
    else:
        ttl = arguments.ttl_in_us(told.ttl)
        expires_at = None if told.expires_at is None else clock.read(told.expires_at)
    return turn.create(
        told.key,
        count,
        archived=archived,
        created_at=clock.read(told.created_at),
        updated_at=clock.read(told.updated_at),
        ttl=ttl,
        expires_at=expires_at,
        metadata=codec.encode_metadata(told.metadata),
    )
