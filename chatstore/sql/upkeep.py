"""What concerns whole conversations: forks, expiry, erasing."""

from chatstore import errors
from chatstore import operations as ops
from chatstore.sql import states
from chatstore.sql.turn import Turn

PURGE_BATCH = 100
"""So many conversations are freed in one transaction, so that other writers get their turn."""


def copy(turn: Turn, op: ops.Copy) -> int:
    """`ops.Copy`."""
    source = turn.lock(op.key)
    if source is None:
        raise errors.missing(op.key)
    if turn.lock(op.to_key) is not None:
        raise errors.exists(op.to_key)
    n = slice(None, op.stop).indices(source.count)[1]
    if n == 0:
        raise errors.nothing_to_copy(op.key)
    told = turn.row(turn.sql.describe, **turn.named(op.key))
    expires_at = None if source.ttl is None else turn.now + source.ttl
    here = turn.create(op.to_key, n, ttl=source.ttl, expires_at=expires_at, metadata=told[6])
    turn.run(turn.sql.copy_messages, conversation_id=source.conversation_id, to_id=here, n=n)
    turn.run(turn.sql.count_archived, conversation_id=here)
    return n


def purge(turn: Turn, _: ops.PurgeExpired) -> int:
    """The part of `ops.PurgeExpired` that is a transaction: some of them; how many."""
    expired = turn.rows(turn.sql.expired, namespace=turn.namespace, now=turn.now, n=PURGE_BATCH)
    turn.remove(*(row[0] for row in expired))
    turn.run(turn.sql.purge_states, namespace=turn.namespace, now=turn.now)
    return len(expired)


def remove(turn: Turn, op: ops.Erase) -> bool:
    """The part of `ops.Erase` that is a transaction."""
    held = turn.lock(op.key)
    if held is None:
        stored = states.find(turn, op.key)
        turn.run(turn.sql.delete_state, namespace=turn.namespace, key=op.key)
        return stored is not None
    turn.remove(held.conversation_id)
    return True
