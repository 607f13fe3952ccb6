"""What appends: new messages behind the last, with or without ids of their own.

It begins with the row of the conversation, which is the lock and gives out the ordinals.
"""

from collections.abc import Iterable, Sequence

from chatstore import codec, errors
from chatstore import operations as ops
from chatstore.arguments import ABSENT, Expected
from chatstore.records import Draft, made_id
from chatstore.sql.models import GAP
from chatstore.sql.turn import Held, Raced, Turn, token


def append(turn: Turn, op: ops.Append) -> list[str]:
    """`ops.Append`: one statement for the ordinals, one for the messages."""
    drafts, known = op.drafts, False
    if len(drafts) == 1 and drafts[0].id is None and not drafts[0].archived:  # nearly every one
        here, ordinal, serial = _allocate(turn, op.key, 1, op.expected)
        turn.conn.execute(turn.sql.add_message, (here, ordinal, serial + 1, *drafts[0]))
        return [made_id(here, serial + 1)]
    if any(draft.id is not None for draft in drafts):
        # To be retried, perhaps: only then is there anything to look up.
        held = turn.lock(op.key)
        known = held is not None
        drafts = unknown(turn, op.key, held, drafts)
    if not drafts:
        return [draft.id for draft in op.drafts if draft.id is not None]
    if any(draft.archived for draft in drafts):
        return _append_archived(turn, op, drafts)
    here, ordinal, serial = _allocate(turn, op.key, len(drafts), op.expected)
    if op.drafts is not drafts and not known and serial:
        raise Raced  # somebody made the conversation since we looked, perhaps with these ids
    store(turn, here, ordinal, serial, drafts)
    return _ids(op.drafts, drafts, here, serial)


def _ids(asked: Sequence[Draft], stored: Sequence[Draft], here: int, serial: int) -> list[str]:
    """The record ids of what was asked for; `stored` of it got the serials behind `serial`."""
    made = (made_id(here, serial + 1 + i) for i, draft in enumerate(stored) if draft.id is None)
    return [next(made) if draft.id is None else draft.id for draft in asked]


def _append_archived(turn: Turn, op: ops.Append, drafts: Sequence[Draft]) -> list[str]:
    """`append`, of messages that are not all active: seldom, so that the counts can be noted."""
    held = turn.lock(op.key, op.expected)
    if held is None:
        expires_at = None if turn.ttl is None else turn.now + turn.ttl
        turn.create(op.key, 0, ttl=turn.ttl, expires_at=expires_at)
        held = turn.lock(op.key)
        if held is None:
            raise Raced
    serial = held.revision
    extend(turn, held, drafts)
    return _ids(op.drafts, drafts, held.conversation_id, serial)


def _allocate(turn: Turn, key: str, n: int, expected: Expected) -> tuple[int, int, int]:
    """The conversation's id, the first of `n` ordinals, and the serial before the first new one."""
    parameters = {
        "namespace": turn.namespace,
        "key": key,
        "span": n * GAP,
        "n": n,
        "now": turn.now,
        "ttl": turn.ttl,
        "expires_at": None if turn.ttl is None else turn.now + turn.ttl,
    }
    execute, sql = turn.conn.execute, turn.sql
    # The upsert alone would do. But on SQLite it also writes the page that counts ids, needed or
    # not, and that is one page in five of an append.
    row = execute(sql.grow, parameters).fetchone() or execute(sql.allocate, parameters).fetchone()
    if row is None:  # it has expired
        turn.lock(key)
        row = execute(sql.allocate, parameters).fetchone()
        if row is None:
            raise Raced
    here, next_ordinal, revision = row
    before = revision - n
    if expected is not None and (token(here, before) if before else ABSENT) != expected:
        raise errors.conflict(key)
    return here, next_ordinal - n * GAP, before


def store(turn: Turn, here: int, ordinal: int, serial: int, drafts: Sequence[Draft]) -> None:
    """Insert drafts from an ordinal on, with the serials behind `serial`."""
    if len(drafts) == 1:
        turn.conn.execute(turn.sql.add_message, (here, ordinal, serial + 1, *drafts[0])).close()
        return
    rows = [
        (here, ordinal + place * GAP, serial + 1 + place, *draft)
        for place, draft in enumerate(drafts)
    ]
    turn.many(turn.sql.add_message, rows)


def extend(turn: Turn, held: Held, drafts: Sequence[Draft]) -> None:
    """Append drafts, archived ones too, to a conversation that is held."""
    if drafts:
        store(turn, held.conversation_id, held.next_ordinal, held.revision, drafts)
        held.next_ordinal += len(drafts) * GAP
        held.count += len(drafts)
        held.archived += sum(draft.archived for draft in drafts)
        held.revision += len(drafts)
        turn.save(held)


def unknown(
    turn: Turn,
    key: str,
    held: Held | None,
    drafts: Iterable[Draft],
    seen: dict[str, tuple[str, str]] | None = None,
) -> list[Draft]:
    """The drafts that are not stored yet, nor in `seen`, to which they are added.

    Raises:
        DuplicateMessageError: Another message has the id of one.
    """
    new: list[Draft] = []
    seen = {} if seen is None else seen
    for draft in drafts:
        stored = None
        if draft.id is not None:
            stored = seen.get(draft.id) or content(turn, held, draft.id)
        if stored is None:
            new.append(draft)
            if draft.id is not None:
                seen[draft.id] = (draft.format, draft.payload)
        elif not codec.same_content(draft, *stored):
            raise errors.duplicate(key, draft.id)
    return new


def content(turn: Turn, held: Held | None, id: str) -> tuple[str, str] | None:
    """The format and the payload of the message with this id, if it is held."""
    if held is None:
        return None
    row = turn.row(turn.sql.by_id, conversation_id=held.conversation_id, id=id)
    return None if row is None else (row[1], row[2])
