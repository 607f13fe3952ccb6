"""An append in one statement and one round trip, where the database can do that.

It does what `appending.append` does, in the usual case: the conversation is there and has not
expired, or is not there; the expected revision is right; the messages are new. In every other case
it stores nothing and raises `Raced`, and `appending.append` finds out what the case is.
"""

import json
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from chatstore import clock
from chatstore import operations as ops
from chatstore.arguments import ABSENT
from chatstore.records import made_id
from chatstore.sql.engine.single import Single
from chatstore.sql.models import GAP
from chatstore.sql.postgres_statements import PostgresStatements, To
from chatstore.sql.turn import Raced, token

_MOST_MESSAGES = 1000
_MOST_BYTES = 16 << 20
"""Beyond either, a round trip is nothing, and the server would hold all of it twice."""

_MOST_INTEGER = (1 << 63) - 1
_UNIQUE_VIOLATION = "23505"


class Appending(Single[list[str]]):
    """`ops.Append`, as the only statement of its transaction.

    Args:
        op: What to append.
        sql: The statements.
        namespace: The store's.
        ttl: The store's own, in microseconds.
        patience: For how many milliseconds it waits for locks.

    It raises `Raced` if it is not the usual case; nothing was stored.
    """

    __slots__ = ("_namespace", "_op", "_patience", "_ttl", "sql", "weight")

    def __init__(
        self,
        op: ops.Append,
        sql: PostgresStatements,
        namespace: str,
        ttl: int | None,
        patience: str,
    ) -> None:
        self._op = op
        self._namespace = namespace
        self._ttl = ttl
        self._patience = patience
        to: To = "any" if op.expected is None else "none" if op.expected is ABSENT else "expected"
        drafts = op.drafts
        self.sql = sql.append(to, many=len(drafts) > 1)
        if len(drafts) == 1:  # nearly every one
            self.weight = len(drafts[0].payload)
        else:
            self.weight = sum(len(draft.payload) for draft in drafts)

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
            parameters["conversation_id"], parameters["revision"] = _split(str(expected))
        return parameters

    @override
    def refusal(self, error: Exception) -> Exception:
        if getattr(error, "sqlstate", None) == _UNIQUE_VIOLATION:  # a message with such an id
            return Raced()
        return error

    @override
    def result(self, row: Sequence[int] | None) -> list[str]:
        if row is None:
            raise Raced
        drafts = self._op.drafts
        here, serial = row[0], row[1] - len(drafts) + 1
        return [
            made_id(here, serial + place) if draft.id is None else draft.id
            for place, draft in enumerate(drafts)
        ]


def _split(text: str) -> tuple[int, int]:
    """What a revision is made of; see `turn.token`."""
    here, _, revision = text.partition("-")
    if here.isdecimal() and revision.isdecimal() and len(text) < 40:
        numbers = int(here), int(revision)
        if max(numbers) <= _MOST_INTEGER and token(*numbers) == text:
            return numbers
    raise Raced
