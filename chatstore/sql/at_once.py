"""A write in one statement and one round trip, where the database can do that.

It does what `appending.append` and `states.write_usual` do, in the usual case: the conversation is
there and has not expired, or is not there; the expected revision is right; the messages are new.
In every other case it stores nothing and raises `Raced`; those who take more find out what it is.
"""

import json
from typing import Any

from chatstore import operations as ops
from chatstore.arguments import ABSENT
from chatstore.records import made_id
from chatstore.sql.models import GAP
from chatstore.sql.postgres_statements import PostgresStatements, To
from chatstore.sql.state_statements import SAID
from chatstore.sql.turn import Raced, Turn, numbers, token

_MOST_MESSAGES = 1000
_MOST_BYTES = 16 << 20
"""Beyond either, a round trip is nothing, and the server would hold all of it twice."""

_UNIQUE_VIOLATION = "23505"


def fits(op: ops.Append | ops.WriteState) -> bool:
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
    to, parameters = _asked(turn, op, patience)
    here, revision = _run(turn, sql.append(to, many=len(op.drafts) > 1), parameters)
    serial = revision - len(op.drafts) + 1
    return [
        made_id(here, serial + place) if draft.id is None else draft.id
        for place, draft in enumerate(op.drafts)
    ]


def write_state(turn: Turn, sql: PostgresStatements, op: ops.WriteState, patience: str) -> str:
    """`ops.WriteState`, where `states.is_usual`; as `append`.

    Raises:
        Raced: It is not the usual case; nothing was stored.
    """
    to, parameters = _asked(turn, op, patience)
    for name in SAID:
        parameters[f"state_{name}"] = getattr(op.state, name)
    return token(*_run(turn, sql.write_state(to, many=len(op.drafts) > 1), parameters))


def _asked(turn: Turn, op: ops.Append | ops.WriteState, patience: str) -> tuple[To, dict[str, Any]]:
    drafts, n = op.drafts, len(op.drafts)
    parameters: dict[str, Any] = {
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
        return "any", parameters
    if op.expected is ABSENT:
        return "none", parameters
    parameters["conversation_id"], parameters["revision"] = numbers(str(op.expected))
    return "expected", parameters


def _run(turn: Turn, statement: str, parameters: dict[str, Any]) -> tuple[int, int]:
    """The id of the conversation, and its revision."""
    try:
        row = turn.conn.execute(statement, parameters).fetchone()
    except Exception as error:
        if getattr(error, "sqlstate", None) == _UNIQUE_VIOLATION:  # a message with such an id
            raise Raced from None
        raise
    if row is None:
        raise Raced
    return row[0], row[1]
