"""What a store tells: operations that only read."""

from typing import Any

from chatstore import clock, errors
from chatstore import operations as ops
from chatstore.records import Conversation, Row
from chatstore.sql.clauses import EVERYTHING
from chatstore.sql.mended import told
from chatstore.sql.places import ordinal_at
from chatstore.sql.turn import Held, Turn

_LOWEST = -EVERYTHING
_LAST_CHARACTER = chr(0x10FFFF)
_ABOVE_ALL_KEYS = _LAST_CHARACTER * 300  # a key has at most 256 characters of four bytes


def read(turn: Turn, op: ops.Read) -> list[Row]:
    """`ops.Read`."""
    window, sql, named = op.window, turn.sql, turn.named(op.key)
    if window.last is not None:
        n = min(window.last, EVERYTHING)
        if window.status is None:
            rows = turn.rows(sql.last, n=n, **named)
        else:
            archived = window.status == "archived"
            rows = turn.rows(sql.last_of_status, n=n, archived=archived, **named)
        rows.reverse()
        return _rows(rows)
    if window == (None, None, None, None):
        return _rows(turn.rows(sql.all, **named))
    held = turn.find(op.key)
    return [] if held is None else _slice(turn, held, op)


def needs_snapshot(op: ops.Operation[Any]) -> bool:
    """Whether more than one statement is needed, so that they must see one state."""
    if isinstance(op, ops.Read):
        return op.window.last is None and op.window != (None, None, None, None)
    return isinstance(op, ops.Check) or (
        isinstance(op, ops.ListConversations) and isinstance(op.after, str)
    )


def _slice(turn: Turn, held: Held, op: ops.Read) -> list[Row]:
    window, here = op.window, held.conversation_id
    count = held.count
    if window.status is not None:
        count = held.archived if window.status == "archived" else held.count - held.archived
    start, stop, _ = slice(window.start, window.stop).indices(count)
    if stop <= start:
        return []
    n = stop - start
    if window.status is not None:
        archived = window.status == "archived"
        from_ordinal = _LOWEST if archived or held.active_from is None else held.active_from
        return _rows(
            turn.rows(
                turn.sql.slice_of_status,
                conversation_id=here,
                archived=archived,
                ordinal=from_ordinal,
                n=n,
                skip=start,
            )
        )
    if n == 1 and stop == count:
        return _rows(turn.rows(turn.sql.from_end, conversation_id=here, n=1, skip=0))
    ordinal = ordinal_at(turn, held, start) if start else _LOWEST
    return _rows(turn.rows(turn.sql.from_ordinal, conversation_id=here, ordinal=ordinal, n=n))


def read_after(turn: Turn, op: ops.ReadAfter) -> list[Row]:
    """`ops.ReadAfter`."""
    if op.after is None:
        held = turn.find(op.key)
        if held is None:
            return []
        here = held.conversation_id
        rows, _ = turn.page(turn.sql.page, op.limit, conversation_id=here, ordinal=_LOWEST)
    else:
        rows, _ = turn.page(
            turn.sql.after,
            op.limit,
            conversation_id=op.after.conversation,
            serial=op.after.serial,
            ordinal=op.after.ordinal,
            **turn.named(op.key),
        )
    return _rows(rows)


def count(turn: Turn, op: ops.Count) -> int:
    """`ops.Count`."""
    held = turn.find(op.key)
    if held is None:
        return 0
    if op.status is None:
        return held.count
    return held.archived if op.status == "archived" else held.count - held.archived


def list_keys(turn: Turn, op: ops.ListKeys) -> list[str]:
    """`ops.ListKeys`."""
    low, high = bounds(op.prefix, op.after)
    rows = turn.rows(turn.sql.keys, low=low, high=high, n=_limit(op.limit), **_mine(turn))
    return [row[0] for row in rows]


def list_conversations(turn: Turn, op: ops.ListConversations) -> list[Conversation]:
    """`ops.ListConversations`."""
    limit = _limit(op.limit)
    if op.order == "key":
        after = op.after.key if isinstance(op.after, Conversation) else op.after
        low, high = bounds(op.prefix, after)
        rows = turn.rows(turn.sql.by_key, low=low, high=high, n=limit, **_mine(turn))
        return [told(row) for row in rows]
    behind = _behind(turn, op.after)
    if op.prefix:
        low, high = bounds(op.prefix, None)
        rows = turn.rows(
            turn.sql.recent_between, low=low, high=high, n=limit, **behind, **_mine(turn)
        )
    else:
        rows = turn.rows(turn.sql.recent, n=limit, **behind, **_mine(turn))
    return [told(row) for row in rows]


def describe(turn: Turn, op: ops.Describe) -> Conversation | None:
    """`ops.Describe`."""
    row = turn.row(turn.sql.describe, **turn.named(op.key))
    return None if row is None else told(row)


def _behind(turn: Turn, after: Conversation | str | None) -> dict[str, Any]:
    if after is None:
        return {"updated_at": EVERYTHING, "key": ""}
    if isinstance(after, str):
        row = turn.row(turn.sql.describe, **turn.named(after))
        if row is None:
            raise errors.missing(after)
        after = told(row)
    return {"updated_at": clock.read(after.updated_at), "key": after.key}


def _mine(turn: Turn) -> dict[str, Any]:
    return {"namespace": turn.namespace, "now": turn.now}


def _limit(limit: int | None) -> int:
    return EVERYTHING if limit is None else min(limit, EVERYTHING)


def bounds(prefix: str, after: str | None) -> tuple[str, str]:
    """The lowest key that may come, and the lowest that may not."""
    low = prefix
    if after is not None and after >= prefix:
        low = after + "\x01"  # no key lies between: it would hold NUL
    return low, _successor(prefix)


def _successor(prefix: str) -> str:
    stem = prefix.rstrip(_LAST_CHARACTER)
    if not stem:
        return _ABOVE_ALL_KEYS
    code = ord(stem[-1]) + 1
    return stem[:-1] + chr(0xE000 if code == 0xD800 else code)


def _rows(rows: list[Any]) -> list[Row]:
    return list(map(Row._make, rows))
