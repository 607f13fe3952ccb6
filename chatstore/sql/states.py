"""What adapters keep beside conversations: reading, and writing it together with messages."""

import sqlite3
from contextlib import suppress
from typing import Any, NamedTuple

from chatstore import arguments, errors
from chatstore import operations as ops
from chatstore.arguments import ABSENT, Expected
from chatstore.errors import InvalidMessageError
from chatstore.records import State, StateDraft, made_id, quoted_entry
from chatstore.sql import appending, writing
from chatstore.sql.clauses import EVERYTHING
from chatstore.sql.models import GAP
from chatstore.sql.turn import Held, Raced, Turn, numbers, token


class Told(NamedTuple):
    """A row of `StateStatements.find_state`: of a state, a conversation, and its newest message."""

    state_id: int | None
    key: str | None
    conversation_id: int | None
    seen: int | None
    revision: int
    scope: str | None
    body: str | None
    parted: str
    updated_at: int
    ttl: int | None
    expires_at: int | None
    here: int | None
    changes: int
    written_at: int
    ends_at: int | None
    serial: int
    id: str | None

    def state(self, key: str) -> State:
        """The state as adapters see it."""
        if self.here is None:
            revision, head, changed = _alone(self.state_id, self.revision), None, False
        else:
            revision = token(self.here, self.changes)
            head = made_id(self.here, self.serial) if self.id is None else self.id
            changed = (self.conversation_id, self.seen) != (self.here, self.changes)
        if self.state_id is None:
            return State(key, None, "", None, self.written_at, revision, False, head)
        return State(
            key, self.body, self.parted, self.scope, self.updated_at, revision, changed, head
        )

    @property
    def draft(self) -> StateDraft:
        """The state as it would be written elsewhere."""
        return StateDraft(str(self.body), self.parted, self.scope, self.updated_at)


def _alone(state_id: int | None, revision: int) -> str:
    """The revision of a state without messages: no conversation has one that looks like it."""
    return f"~{state_id}-{revision}"


def find(turn: Turn, key: str) -> Told | None:
    """What is there under a key: a state, a conversation, or both."""
    told = Told(*turn.row(turn.sql.find_state, **turn.named(key)))
    if told.here is not None and told.ends_at is not None and told.ends_at <= turn.now:
        return None
    return None if told.here is None and told.state_id is None else told


def read_state(turn: Turn, op: ops.ReadState) -> State | None:
    """`ops.ReadState`."""
    told = find(turn, op.key)
    return None if told is None else told.state(op.key)


def list_states(turn: Turn, op: ops.ListStates) -> list[State]:
    """`ops.ListStates`."""
    named: dict[str, Any] = {"namespace": turn.namespace, "now": turn.now}
    named["n"] = EVERYTHING if op.limit is None else min(op.limit, EVERYTHING)
    if op.scope is None:
        rows = turn.rows(turn.sql.list_states, **named)
    else:
        rows = turn.rows(turn.sql.list_scope, scope=op.scope, **named)
    return [told.state(str(told.key)) for told in map(Told._make, rows)]


def find_entry(turn: Turn, op: ops.FindEntry) -> str | None:
    """`ops.FindEntry`."""
    with suppress(InvalidMessageError):  # what cannot be an id is nobody's
        arguments.check_id(op.id, "message")
        row = turn.row(turn.sql.find_entry, id=op.id, namespace=turn.namespace, now=turn.now)
        if row is not None:
            return str(row[0])
    quoted = quoted_entry(op.id)
    for (key,) in turn.rows(turn.sql.find_parted, quoted=quoted, namespace=turn.namespace):
        told = find(turn, key)
        if told is not None and told.state_id is not None:
            return str(key)
    return None


def is_usual(op: ops.WriteState) -> bool:
    """Whether it is what savers mostly do: new messages, the first or behind a revision."""
    return (
        bool(op.drafts)
        and not op.replace
        and op.state.parted is None
        and (op.expected is ABSENT or (isinstance(op.expected, str) and op.expected[:1] != "~"))
        and not any(draft.archived for draft in op.drafts)
    )


def write_usual(turn: Turn, op: ops.WriteState) -> str:
    """`ops.WriteState`, where it `is_usual`: three statements.

    Raises:
        Raced: Somebody else has written, the ids are not new, or the state is not beside the
            conversation. `write_state` finds out; what was written here is to be rolled back.
    """
    n, state = len(op.drafts), op.state
    named = {"namespace": turn.namespace, "key": op.key}
    said = {"scope": state.scope, "body": state.body, "updated_at": state.updated_at}
    if op.expected is ABSENT:
        revision, next_ordinal = n, n * GAP
        expires_at = None if turn.ttl is None else turn.now + turn.ttl
        here = turn.create(op.key, n, ttl=turn.ttl, expires_at=expires_at)
    else:
        here, revision = numbers(str(op.expected))
        grown = {"conversation_id": here, "revision": revision, "n": n, "span": n * GAP}
        row = turn.row(turn.sql.grow_at_revision, now=turn.now, **named, **grown)
        if row is None:
            raise Raced
        (next_ordinal,) = row
        revision += n
    try:
        appending.store(turn, here, next_ordinal - n * GAP, revision - n, op.drafts)
    except sqlite3.IntegrityError:  # one with such an id is there
        raise Raced from None
    said |= {"conversation_id": here, "seen": revision}
    if op.expected is ABSENT:
        alone = {"revision": 1, "parted": "", "ttl": None, "expires_at": None}
        kept = turn.row(turn.sql.add_state, **named, **said, **alone) is not None
    else:
        kept = turn.conn.execute(turn.sql.keep_state, {**named, **said}).rowcount == 1
    if not kept:
        raise Raced
    return token(here, revision)


def write_state(turn: Turn, op: ops.WriteState) -> str:
    """`ops.WriteState`. The row of the conversation is locked, or else that of the state."""
    held = turn.lock(op.key)
    if held is None:
        turn.run(turn.sql.lock_state, namespace=turn.namespace, key=op.key)
    told = _expected(turn, op.key, op.expected)
    if (told is None or told.here is None) != (held is None):
        raise Raced
    ttl = turn.ttl
    if held is not None:
        ttl = held.ttl
    elif told is not None:
        ttl = told.ttl
    _write_messages(turn, op, held, ttl)
    here = turn.lock(op.key)
    if here is None and held is not None:
        told = told and told._replace(state_id=None)  # the conversation took its row along
    return _save(turn, op, told, here, ttl)


def _write_messages(turn: Turn, op: ops.WriteState, held: Held | None, ttl: int | None) -> None:
    if held is None:
        if op.drafts:
            absent = None if op.expected is None else ABSENT
            appending.append(turn, ops.Append(op.key, op.drafts, absent))
            here = turn.lock(op.key)
            if here is not None and here.ttl != ttl:
                here.ttl = ttl
                turn.save(here)
    elif op.replace:
        writing.replace(turn, ops.Replace(op.key, op.drafts, None))
    elif op.drafts:
        appending.append(turn, ops.Append(op.key, op.drafts, None))
        here = turn.lock(op.key)
        if here is not None and here.revision == held.revision:  # all were stored already
            turn.save(here)
    else:
        turn.save(held)


def _save(turn: Turn, op: ops.WriteState, told: Told | None, here: Held | None, ttl: Any) -> str:
    alone = here is None
    revision = 1 if told is None or told.state_id is None else told.revision + 1
    row: dict[str, Any] = {
        "conversation_id": None if here is None else here.conversation_id,
        "seen": None if here is None else here.revision,
        "revision": revision,
        "scope": op.state.scope,
        "body": op.state.body,
        "updated_at": op.state.updated_at,
        "ttl": ttl if alone else None,
        "expires_at": turn.now + ttl if alone and ttl is not None else None,
    }
    parted = op.state.parted
    if told is not None and told.state_id is not None:
        state_id = told.state_id
        if parted is None or parted == told.parted:
            turn.run(turn.sql.save_state, state_id=state_id, **row)
        else:
            turn.run(turn.sql.save_parted, state_id=state_id, parted=parted, **row)
    else:
        if parted is None:
            parted = "" if told is None else told.parted or ""
        # What is there under the key is dead, or else somebody else's, who is quicker.
        turn.run(turn.sql.delete_dead_state, **turn.named(op.key))
        new = turn.row(
            turn.sql.add_state, namespace=turn.namespace, key=op.key, parted=parted, **row
        )
        if new is None:
            raise Raced
        state_id = new[0]
    return here.token if here is not None else _alone(state_id, revision)


def delete_state(turn: Turn, op: ops.DeleteState) -> bool:
    """`ops.DeleteState`."""
    held = turn.lock(op.key)
    if held is None:
        turn.run(turn.sql.lock_state, namespace=turn.namespace, key=op.key)
    told = _expected(turn, op.key, op.expected)
    if held is not None:
        turn.remove(held.conversation_id)
    elif told is not None:
        turn.run(turn.sql.delete_state, namespace=turn.namespace, key=op.key)
    return told is not None


def _expected(turn: Turn, key: str, expected: Expected) -> Told | None:
    told = find(turn, key)
    there = ABSENT if told is None else told.state(key).revision
    if expected is not None and there != expected:
        raise errors.conflict(key)
    return told
