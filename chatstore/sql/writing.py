"""What changes a conversation: every operation that writes messages, but for appending.

Each begins with the row of the conversation, which is the lock and gives out the ordinals, and
changes nothing of another conversation.
"""

from collections.abc import Sequence

from chatstore import errors
from chatstore import operations as ops
from chatstore.records import Row, Status, made_id
from chatstore.sql import places
from chatstore.sql.appending import append, content, extend, store, unknown
from chatstore.sql.clauses import EVERYTHING
from chatstore.sql.models import BLOCK, GAP
from chatstore.sql.turn import Held, Turn

_NEAR = 32
"""So close to the end, reading those behind is cheaper than passing over those before."""


def insert(turn: Turn, op: ops.Insert) -> list[str]:
    """`ops.Insert`."""
    held = turn.lock(op.key)
    if not unknown(turn, op.key, held, (op.draft,)):
        return [str(op.draft.id)]
    place = 0 if held is None else slice(op.idx, None).indices(held.count)[0]
    if held is None or place == held.count:
        return append(turn, ops.Append(op.key, (op.draft,), op.expected))
    if op.expected is not None and op.expected != held.token:
        raise errors.conflict(op.key)
    behind = places.ordinal_at(turn, held, place)
    ordinal = places.room_before(turn, held, behind)
    places.note_inserted(turn, held, ordinal)
    held.count += 1
    held.archived += op.draft.archived
    if held.active_from is not None and not op.draft.archived:
        held.active_from = min(held.active_from, ordinal)
    turn.save(held)
    here, serial = held.conversation_id, held.revision
    store(turn, here, ordinal, serial - 1, (op.draft,))
    return [op.draft.id or made_id(here, serial)]


def replace(turn: Turn, op: ops.Replace) -> None:
    """`ops.Replace`. The new messages begin a new block, and so are regular."""
    held = turn.lock(op.key, op.expected)
    if held is not None and op.status is not None and _others(held, op.status):
        removed = _remove_of_status(turn, held, op.status)
        if new := unknown(turn, op.key, held, op.drafts):
            extend(turn, held, new)
        elif removed:
            turn.save(held)
        return
    drafts = unknown(turn, op.key, None, op.drafts)
    if not drafts:
        if held is not None:
            turn.remove(held.conversation_id)
        return
    if held is None:
        append(turn, ops.Append(op.key, drafts, None))
        return
    here = held.conversation_id
    turn.run(turn.sql.delete_before, conversation_id=here, ordinal=EVERYTHING)
    turn.run(turn.sql.delete_blocks, conversation_id=here, base=EVERYTHING)
    held.base = -(-held.next_ordinal // BLOCK)
    first, serial = held.base * BLOCK, held.revision
    held.next_ordinal = first + len(drafts) * GAP
    held.count, held.active_from = len(drafts), None
    held.archived = sum(draft.archived for draft in drafts)
    held.revision += len(drafts)
    store(turn, here, first, serial, drafts)
    turn.save(held)


def update(turn: Turn, op: ops.Update) -> Row | None:
    """`ops.Update`."""
    held = turn.lock(op.key, op.expected)
    place = None if held is None else places.place_of(op.idx, held.count)
    if held is None or place is None:
        return None
    old = _row_at(turn, held, place)
    if op.draft.id not in (None, old.id) and content(turn, held, str(op.draft.id)):
        raise errors.duplicate(op.key, op.draft.id)
    new = op.draft._replace(archived=bool(old.archived))._asdict()
    turn.run(
        turn.sql.change_message,
        conversation_id=held.conversation_id,
        ordinal=old.ordinal,
        **{f"new_{name}": value for name, value in new.items()},
    )
    turn.save(held)
    return old


def delete_at(turn: Turn, op: ops.DeleteAt) -> Row | None:
    """`ops.DeleteAt`."""
    held = turn.lock(op.key, op.expected)
    row = None if held is None else _row_of(turn, held, op)
    if held is None or row is None:
        return None
    here = held.conversation_id
    turn.run(turn.sql.delete_message, conversation_id=here, ordinal=row.ordinal)
    held.count -= 1
    held.archived -= bool(row.archived)
    if held.count:
        places.note_removed(turn, held, [row.ordinal])
    turn.save(held)
    return row


def delete(turn: Turn, op: ops.Delete) -> list[Row] | None:
    """`ops.Delete`."""
    held = turn.lock(op.key, op.expected)
    if held is None:
        if op.status is None:
            turn.run(turn.sql.delete_state, namespace=turn.namespace, key=op.key)
        return None
    if op.status is not None and _others(held, op.status):
        removed = _remove_of_status(turn, held, op.status)
        if removed:
            turn.save(held)
        return removed
    rows = turn.rows(turn.sql.all, **turn.named(op.key))
    turn.remove(held.conversation_id)
    return list(map(Row._make, rows))


def _others(held: Held, status: Status) -> int:
    """How many messages of the other status there are."""
    return held.count - held.archived if status == "archived" else held.archived


def _remove_of_status(turn: Turn, held: Held, status: Status) -> list[Row]:
    """Remove the messages of a status, where others stay; the row of `held` is not saved."""
    archived = status == "archived"
    rows = _rows_of_status(turn, held, archived=archived)
    if rows:
        held.count -= len(rows)
        held.archived -= len(rows) if archived else 0
        _delete_rows(turn, held, rows, archived=archived)
    return rows


def _delete_rows(turn: Turn, held: Held, rows: Sequence[Row], *, archived: bool) -> None:
    """Delete all of a status from the first to the last; others stay."""
    here, first, last = held.conversation_id, rows[0].ordinal, rows[-1].ordinal
    turn.run(
        turn.sql.delete_of_status, conversation_id=here, archived=archived, first=first, last=last
    )
    places.note_removed(turn, held, [row.ordinal for row in rows])


def delete_oldest(turn: Turn, op: ops.DeleteOldest) -> list[Row]:
    """`ops.DeleteOldest`."""
    held = turn.lock(op.key, op.expected)
    rows = _oldest(turn, held, op.n)
    if held is None or not rows:
        return []
    held.count -= len(rows)
    if held.count:
        _delete_rows(turn, held, rows, archived=False)
        held.active_from = rows[-1].ordinal + 1
    turn.save(held)
    return rows


def archive(turn: Turn, op: ops.Archive) -> list[Row]:
    """`ops.Archive`."""
    held = turn.lock(op.key, op.expected)
    rows = _oldest(turn, held, op.n)
    if held is None or not rows:
        return []
    here, last = held.conversation_id, rows[-1].ordinal
    turn.run(turn.sql.archive, conversation_id=here, first=rows[0].ordinal, last=last)
    held.archived += len(rows)
    held.active_from = last + 1
    turn.save(held)
    return [row._replace(archived=True) for row in rows]


def _oldest(turn: Turn, held: Held | None, n: int) -> list[Row]:
    """The oldest active messages."""
    if held is None or n == 0:
        return []
    return _rows_of_status(turn, held, archived=False, n=min(n, EVERYTHING))


def _rows_of_status(
    turn: Turn, held: Held, *, archived: bool, skip: int = 0, n: int = EVERYTHING
) -> list[Row]:
    first = -EVERYTHING if archived or held.active_from is None else held.active_from
    rows = turn.rows(
        turn.sql.slice_of_status,
        conversation_id=held.conversation_id,
        archived=archived,
        ordinal=first,
        n=n,
        skip=skip,
    )
    return list(map(Row._make, rows))


def set_metadata(turn: Turn, op: ops.SetMetadata) -> bool:
    """`ops.SetMetadata`."""
    held = turn.lock(op.key, op.expected)
    if held is None:
        return False
    here = held.conversation_id
    turn.run(turn.sql.set_metadata, conversation_id=here, metadata=op.metadata)
    turn.save(held)
    return True


def set_ttl(turn: Turn, op: ops.SetTTL) -> bool:
    """`ops.SetTTL`."""
    held = turn.lock(op.key, op.expected)
    if held is None:
        return False
    held.ttl = op.ttl
    turn.save(held)
    return True


def _row_of(turn: Turn, held: Held, op: ops.DeleteAt) -> Row | None:
    """The message at an idx, which may count those of a status only."""
    if op.status is None:
        place = places.place_of(op.idx, held.count)
        return None if place is None else _row_at(turn, held, place)
    archived = op.status == "archived"
    count = held.archived if archived else held.count - held.archived
    place = places.place_of(op.idx, count)
    if place is None:
        return None
    if count - place <= _NEAR:
        behind = turn.named(op.key) | {"n": count - place, "archived": archived}
        return Row._make(turn.rows(turn.sql.last_of_status, **behind)[-1])
    return _rows_of_status(turn, held, archived=archived, skip=place, n=1)[0]


def _row_at(turn: Turn, held: Held, place: int) -> Row:
    here = held.conversation_id
    ordinal = places.ordinal_at(turn, held, place)
    return Row._make(turn.row(turn.sql.at_ordinal, conversation_id=here, ordinal=ordinal))
