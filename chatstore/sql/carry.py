"""From an operation to the function that carries it out in a turn."""

from collections.abc import Callable
from typing import Any

from chatstore import operations as ops
from chatstore.sql import appending, checking, reading, states, upkeep, writing
from chatstore.sql.turn import Turn

_Carry = Callable[[Turn, Any], Any]

READS: dict[type[ops.Operation[Any]], _Carry] = {
    ops.Read: reading.read,
    ops.ReadAfter: reading.read_after,
    ops.Count: reading.count,
    ops.ListKeys: reading.list_keys,
    ops.ListConversations: reading.list_conversations,
    ops.Describe: reading.describe,
    ops.ReadState: states.read_state,
    ops.ListStates: states.list_states,
    ops.FindEntry: states.find_entry,
    ops.Check: lambda turn, _: checking.check(turn),
}

WRITES: dict[type[ops.Operation[Any]], _Carry] = {
    ops.Append: appending.append,
    ops.Insert: writing.insert,
    ops.Replace: writing.replace,
    ops.Update: writing.update,
    ops.DeleteAt: writing.delete_at,
    ops.Delete: writing.delete,
    ops.DeleteOldest: writing.delete_oldest,
    ops.Archive: writing.archive,
    ops.SetMetadata: writing.set_metadata,
    ops.SetTTL: writing.set_ttl,
    ops.WriteState: states.write_state,
    ops.DeleteState: states.delete_state,
    ops.Copy: upkeep.copy,
    ops.PurgeExpired: lambda turn, _: upkeep.purge(turn),
    ops.Erase: upkeep.remove,
}

LONG: frozenset[type[ops.Operation[Any]]] = frozenset((ops.PurgeExpired, ops.Erase))
"""Writes that take more than their one transaction."""


def is_sure(op: ops.Operation[Any]) -> bool:
    """Whether it refuses nothing: it stores what it is given, or the database itself fails."""
    if type(op) is not ops.Append or op.expected is not None:
        return False
    drafts = op.drafts
    if len(drafts) == 1:  # nearly every one
        return drafts[0].id is None
    return all(draft.id is None for draft in drafts)


def repeatable(operation: ops.Operation[Any]) -> bool:
    """Whether carrying it out again does no harm, when nobody knows whether it was."""
    if isinstance(operation, ops.Append):
        return all(draft.id is not None for draft in operation.drafts)
    return isinstance(operation, ops.Insert) and operation.draft.id is not None
