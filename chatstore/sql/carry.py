"""From an operation to the function that carries it out in a turn."""

from collections.abc import Callable, Iterable
from itertools import chain, repeat
from typing import Any, Generic, TypeVar

from chatstore import clock
from chatstore import operations as ops
from chatstore.sql import appending, at_once, checking, reading, states, upkeep, writing
from chatstore.sql.engine.conn import Conn
from chatstore.sql.statements import Statements
from chatstore.sql.turn import Turn

T = TypeVar("T")

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
    ops.PurgeExpired: upkeep.purge,
    ops.Erase: upkeep.remove,
}

RACES = 10
"""How often an operation is run again because another transaction came between its statements."""

LONG: frozenset[type[ops.Operation[Any]]] = frozenset((ops.PurgeExpired, ops.Erase))
"""Writes that take more than their one transaction."""


class Work(Turn, Generic[T]):
    """An operation, carried out wherever it is given a connection, as often as it takes.

    It is its own turn, as one object less is made for each append.
    """

    __slots__ = ("_carry", "_operation")

    def __init__(
        self,
        sql: Statements,
        namespace: str,
        ttl: int | None,
        carry: _Carry,
        operation: ops.Operation[T],
    ) -> None:
        self.sql = sql
        self.namespace = namespace
        self.ttl = ttl
        self._carry = carry
        self._operation = operation

    def __call__(self, conn: Conn) -> T:
        """Carries it out, on a connection that is in a transaction."""
        self.conn = conn
        self.now = clock.now()
        value: T = self._carry(self, self._operation)
        return value

    @property
    def sure(self) -> bool:
        """Whether it refuses nothing: it stores what it is given, or the database itself fails."""
        op = self._operation
        return (
            isinstance(op, ops.Append)
            and op.expected is None
            and all(draft.id is None for draft in op.drafts)
        )

    @property
    def repeatable(self) -> bool:
        """Whether carrying it out again does no harm, when nobody knows whether it was."""
        return self._operation.repeatable


class Carrier:
    """Makes works of operations, for one store.

    Args:
        sql: The statements.
        namespace: The store's.
        ttl: The store's own, in microseconds.
        patience: As in `Database`.
    """

    def __init__(
        self, sql: Statements, namespace: str, ttl: int | None, patience: str | None
    ) -> None:
        self._here = sql, namespace, ttl
        self._patience = patience
        self._short = frozenset((ops.WriteState,) if patience is None else at_once.KINDS)

    def turn(self, conn: Conn) -> Turn:
        """A turn at a connection, for what is no operation."""
        return Turn(conn, *self._here)

    def reading(self, operation: ops.Operation[T]) -> Work[T]:
        """The work that carries out one that reads."""
        return Work(*self._here, READS[type(operation)], operation)

    def attempts(self, operation: ops.Operation[T]) -> Iterable[Callable[[Conn], T]]:
        """The works that carry out one that writes, to be tried in turn while they are `Raced`."""
        kind = type(operation)
        work = Work(*self._here, WRITES[kind], operation)
        if kind in self._short and (short := self._shortened(operation)) is not None:
            return chain((short,), repeat(work, RACES))
        return repeat(work, RACES)

    def _shortened(self, operation: ops.Operation[T]) -> Callable[[Conn], T] | None:
        """A work of fewer statements, which is `Raced` if it takes more after all.

        Where a statement is a round trip, it is a `Single`.
        """
        if self._patience is None:
            usual = isinstance(operation, ops.WriteState) and states.is_usual(operation)
            return Work(*self._here, states.write_usual, operation) if usual else None
        work = at_once.KINDS[type(operation)](operation, *self._here, self._patience)
        return work if work.fits else None
