"""A write in one statement and one round trip, where the database can do that.

It does what `appending.append` and `states.write_usual` do, in the usual case: the conversation is
there and has not expired, or is not there; the expected revision is right; the messages are new.
In every other case it stores nothing and raises `Raced`; those who take more find out what it is.
"""

import json
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar, cast

from typing_extensions import override

from chatstore import clock
from chatstore import operations as ops
from chatstore.arguments import ABSENT
from chatstore.records import made_id
from chatstore.sql import states
from chatstore.sql.engine.postgres.single import Single
from chatstore.sql.models import GAP
from chatstore.sql.postgres_statements import PostgresStatements, To
from chatstore.sql.state_statements import SAID
from chatstore.sql.statements import Statements
from chatstore.sql.turn import Raced, numbers, token

T = TypeVar("T")

_MOST_MESSAGES = 1000
_MOST_BYTES = 16 << 20
"""Beyond either, a round trip is nothing, and the server would hold all of it twice."""

_UNIQUE_VIOLATION = "23505"


class _AtOnce(Single[T]):
    """An operation that stores messages, as the only statement of its transaction.

    Args:
        op: The operation.
        sql: The statements.
        namespace: The store's.
        ttl: The store's own, in microseconds.
        patience: For how many milliseconds it waits for locks.
    """

    __slots__ = ("_namespace", "_op", "_patience", "_ttl", "sql", "weight")

    def __init__(
        self, op: Any, sql: Statements, namespace: str, ttl: int | None, patience: str
    ) -> None:
        self._op = op
        self._namespace = namespace
        self._ttl = ttl
        self._patience = patience
        to: To = "any" if op.expected is None else "none" if op.expected is ABSENT else "expected"
        drafts = op.drafts
        self.sql = self._statement(cast(PostgresStatements, sql), to, many=len(drafts) > 1)
        if len(drafts) == 1:  # nearly every one
            self.weight = len(drafts[0].payload)
        else:
            self.weight = sum(len(draft.payload) for draft in drafts)

    @property
    @override
    def repeatable(self) -> bool:
        return bool(self._op.repeatable)

    @property
    def fits(self) -> bool:
        """Whether one statement can do it."""
        drafts = self._op.drafts
        if len(drafts) == 1:
            return not drafts[0].archived
        return (
            0 < len(drafts) <= _MOST_MESSAGES
            and not any(draft.archived for draft in drafts)
            and self.weight <= _MOST_BYTES
        )

    @abstractmethod
    def _statement(self, sql: PostgresStatements, to: To, *, many: bool) -> str:
        """The statement, whose only row is the conversation's id and its revision."""

    @override
    def parameters(self) -> dict[str, Any]:
        drafts, n, now, ttl = self._op.drafts, len(self._op.drafts), clock.now(), self._ttl
        parameters = {
            "patience": self._patience,
            "namespace": self._namespace,
            "key": self._op.key,
            "span": n * GAP,
            "n": n,
            "now": now,
            "ttl": ttl,
            "expires_at": None if ttl is None else now + ttl,
        }
        if n == 1:
            parameters.update(drafts[0]._asdict())
        else:
            rows = [{"place": place, **draft._asdict()} for place, draft in enumerate(drafts)]
            parameters["drafts"] = json.dumps(rows)
        expected = self._op.expected
        if expected is not None and expected is not ABSENT:
            parameters["conversation_id"], parameters["revision"] = numbers(str(expected))
        return parameters

    @override
    def refusal(self, error: Exception) -> Exception:
        if getattr(error, "sqlstate", None) == _UNIQUE_VIOLATION:  # a message with such an id
            return Raced()
        return error

    @override
    def result(self, row: Sequence[int] | None) -> T:
        if row is None:
            raise Raced
        return self._stored(*row)

    @abstractmethod
    def _stored(self, here: int, revision: int) -> T:
        """What the operation results in."""


class Appending(_AtOnce[list[str]]):
    """`ops.Append`."""

    __slots__ = ()

    @override
    def _statement(self, sql: PostgresStatements, to: To, *, many: bool) -> str:
        return sql.append(to, many=many)

    @override
    def _stored(self, here: int, revision: int) -> list[str]:
        drafts = self._op.drafts
        serial = revision - len(drafts) + 1
        return [
            made_id(here, serial + place) if draft.id is None else draft.id
            for place, draft in enumerate(drafts)
        ]


class WritingState(_AtOnce[str]):
    """`ops.WriteState`, where `states.is_usual`."""

    __slots__ = ()

    @property
    @override
    def fits(self) -> bool:
        return states.is_usual(self._op) and super().fits

    @override
    def _statement(self, sql: PostgresStatements, to: To, *, many: bool) -> str:
        return sql.write_state(to, many=many)

    @override
    def parameters(self) -> dict[str, Any]:
        state = self._op.state
        return super().parameters() | {f"state_{name}": getattr(state, name) for name in SAID}

    @override
    def _stored(self, here: int, revision: int) -> str:
        return token(here, revision)


KINDS: dict[type[ops.Operation[Any]], type[_AtOnce[Any]]] = {
    ops.Append: Appending,
    ops.WriteState: WritingState,
}
"""The operations that can be one statement, and how."""
