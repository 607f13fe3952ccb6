"""An append in one statement and one round trip, where the database can do that.

It does what `appending.append` does, in the usual case: the conversation is there and has not
expired, or is not there; the expected revision is right; the messages are new. In every other case
it stores nothing and raises `Raced`, and `appending.append` finds out what the case is.
"""

import json

from chatstore import operations as ops
from chatstore.arguments import ABSENT
from chatstore.records import made_id
from chatstore.sql.models import GAP
from chatstore.sql.postgres_statements import PostgresStatements
from chatstore.sql.turn import Raced, Turn, token

_MOST_MESSAGES = 1000
_MOST_BYTES = 16 << 20
"""Beyond either, a round trip is nothing, and the server would hold all of it twice."""

_MOST_INTEGER = (1 << 63) - 1
_UNIQUE_VIOLATION = "23505"


def fits(op: ops.Append) -> bool:
    """Whether one statement can do it."""
    drafts = op.drafts
    if len(drafts) == 1:
        return not drafts[0].archived
    return (
        0 < len(drafts) <= _MOST_MESSAGES
        and not any(draft.archived for draft in drafts)
        and sum(len(draft.payload) for draft in drafts) <= _MOST_BYTES
    )


def append(turn: Turn, sql: PostgresStatements, op: ops.Append, patience: str) -> list[str]:
    """`ops.Append`, as the only statement of its transaction; `patience` in milliseconds.

    Raises:
        Raced: It is not the usual case; nothing was stored.
    """
    drafts, n = op.drafts, len(op.drafts)
    parameters = {
        "patience": patience,
        "namespace": turn.namespace,
        "key": op.key,
        "span": n * GAP,
        "n": n,
        "now": turn.now,
        "ttl": turn.ttl,
        "expires_at": None if turn.ttl is None else turn.now + turn.ttl,
    }
    if n == 1:
        parameters.update(drafts[0]._asdict())
    else:
        rows = [{"place": place, **draft._asdict()} for place, draft in enumerate(drafts)]
        parameters["drafts"] = json.dumps(rows)
    if op.expected is None:
        statement = sql.append("any", many=n > 1)
    elif op.expected is ABSENT:
        statement = sql.append("none", many=n > 1)
    else:
        statement = sql.append("expected", many=n > 1)
        parameters["conversation_id"], parameters["revision"] = _split(str(op.expected))
    try:
        row = turn.conn.execute(statement, parameters).fetchone()
    except Exception as error:
        if getattr(error, "sqlstate", None) == _UNIQUE_VIOLATION:  # a message with such an id
            raise Raced from None
        raise
    if row is None:
        raise Raced
    here, serial = row[0], row[1] - n + 1
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
