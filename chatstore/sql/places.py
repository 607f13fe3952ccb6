"""From idx to ordinal, and room for an ordinal between two others.

Appended messages get the ordinals 0, GAP, 2 GAP, …; 1 024 of them make a block. As long as nothing
else happens, idx and ordinal follow from each other. A block in which something else happened has a
row in `chatstore_block`: by how many messages it holds more (fewer) than appending alone would have
put there. So a lookup adds up the few blocks that were edited, calculates across all others, and
steps through at most one. Appending writes no such row, and needs none.

Ordinals below the block `base` of a conversation were given up by removing from the front, or are
those of messages that were inserted there since; such a block holds exactly `delta` messages.
"""

from collections import Counter

from chatstore.errors import StoreFullError
from chatstore.sql.clauses import EVERYTHING
from chatstore.sql.models import BLOCK, BLOCK_ROWS, GAP
from chatstore.sql.turn import Held, Turn

_NEAR = 32
"""So close to either end, stepping is cheaper than adding up."""

_ROOM = 1 << 10
"""The gap that renumbering a neighbourhood should leave; else a wider one is renumbered."""


def place_of(idx: int, count: int) -> int | None:
    """The place of a list's idx, counted from the front; `None` out of range."""
    place = idx + count if idx < 0 else idx
    return place if 0 <= place < count else None


def ordinal_at(turn: Turn, held: Held, place: int) -> int:
    """The ordinal of the message at a place, 0 to count - 1."""
    here = held.conversation_id
    from_end = held.count - 1 - place
    if from_end < _NEAR:
        return int(turn.row(turn.sql.ordinal_from_end, conversation_id=here, skip=from_end)[0])
    if place < _NEAR:
        return int(turn.row(turn.sql.ordinal_from_start, conversation_id=here, skip=place)[0])
    left, cursor = place, held.base
    full = held.next_ordinal // BLOCK  # the blocks below were filled by appending
    for block, delta in turn.rows(turn.sql.blocks, conversation_id=here):
        if block >= cursor:
            regular = (block - cursor) * BLOCK_ROWS
            if left < regular:
                break
            left -= regular
            cursor = block + 1
            inside = delta + (BLOCK_ROWS if block < full else regular_rows(held, block))
        else:
            inside = delta
        if left < inside:
            return _ordinal_inside(turn, held, block, left)
        left -= inside
    return cursor * BLOCK + left * GAP


def _ordinal_inside(turn: Turn, held: Held, block: int, place: int) -> int:
    row = turn.row(
        turn.sql.ordinals_up,
        conversation_id=held.conversation_id,
        low=block * BLOCK,
        high=(block + 1) * BLOCK,
        n=1,
        skip=place,
    )
    return int(row[0])


def regular_rows(held: Held, block: int) -> int:
    """How many messages appending alone would have put into a block."""
    if block < held.base:
        return 0
    return min(max(held.next_ordinal // GAP - block * BLOCK_ROWS, 0), BLOCK_ROWS)


def note_inserted(turn: Turn, held: Held, ordinal: int) -> None:
    """Note that a message came otherwise than by appending."""
    _note(turn, held, ordinal // BLOCK, 1)


def note_removed(turn: Turn, held: Held, ordinals: list[int]) -> None:
    """Note that messages went, in the order of their ordinals; others are left.

    The blocks before the new front are forgotten: otherwise a conversation that is trimmed for
    ever would collect a row for every block.
    """
    for block, count in Counter(ordinal // BLOCK for ordinal in ordinals).items():
        _note(turn, held, block, -count)
    here = held.conversation_id
    front = turn.row(turn.sql.ordinal_from_start, conversation_id=here, skip=0)[0]
    if held.base < front // BLOCK and ordinals[0] < front:
        held.base = front // BLOCK
        turn.run(turn.sql.delete_blocks, conversation_id=here, base=held.base)


def _note(turn: Turn, held: Held, block: int, delta: int) -> None:
    here = held.conversation_id
    turn.run(turn.sql.change_block, conversation_id=here, block=block, delta=delta)


def room_before(turn: Turn, held: Held, behind: int) -> int:
    """A free ordinal right before that of a message; its neighbours may be renumbered for it."""
    before = _before(turn, held, behind)
    if before is None:
        return behind - GAP
    if behind - before < 2:
        behind = _spread(turn, held, behind)
        before = _before(turn, held, behind) or before
    return (before + behind) // 2


def _before(turn: Turn, held: Held, behind: int) -> int | None:
    here, low = held.conversation_id, -EVERYTHING
    row = turn.row(turn.sql.ordinals_down, conversation_id=here, low=low, high=behind, n=1)
    return None if row is None else int(row[0])


def _spread(turn: Turn, held: Held, behind: int) -> int:
    """Renumber a neighbourhood inside the block of `behind`; what `behind` became."""
    block = behind // BLOCK
    low, high = block * BLOCK, (block + 1) * BLOCK
    if low < held.next_ordinal < high:
        high = held.next_ordinal
    for reach in (16, 128, BLOCK):
        down, up = _around(turn, held, behind, low, high, reach)
        # What is cut off stays where it is, and bounds the rest.
        first = low if len(down) < reach else down.pop(0) + 1
        last = high if len(up) < reach else up.pop()
        step = (last - first) // (len(down) + len(up) + 1)
        if step >= _ROOM:
            _move(turn, held, down + up, first + step, step)
            if held.active_from is not None:
                held.active_from = min(held.active_from, first)
            return first + (len(down) + 1) * step
    raise StoreFullError(
        "too many messages were inserted at one place of a conversation; store it anew with "
        "set_messages"
    )


def _around(
    turn: Turn, held: Held, behind: int, low: int, high: int, reach: int
) -> tuple[list[int], list[int]]:
    here = held.conversation_id
    down = turn.rows(turn.sql.ordinals_down, conversation_id=here, low=low, high=behind, n=reach)
    up = turn.rows(
        turn.sql.ordinals_up, conversation_id=here, low=behind, high=high, n=reach, skip=0
    )
    return [row[0] for row in reversed(down)], [row[0] for row in up]


def _move(turn: Turn, held: Held, old: list[int], first: int, step: int) -> None:
    # Ordinals are unique at every moment: those that fall move from the lowest on, then those that
    # rise from the highest on, so that none meets another.
    pairs = [(was, first + place * step) for place, was in enumerate(old)]
    falling = [pair for pair in pairs if pair[1] < pair[0]]
    rising = [pair for pair in reversed(pairs) if pair[1] > pair[0]]
    here = held.conversation_id
    moves = [{"conversation_id": here, "old": old, "new": new} for old, new in falling + rising]
    turn.many(turn.sql.move_message, moves)
