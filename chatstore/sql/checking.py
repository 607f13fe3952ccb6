"""Looking for damage: in the database file, in order and counts, in messages."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields

from chatstore import damage
from chatstore.records import CheckReport, Row
from chatstore.sql import mended
from chatstore.sql.clauses import EVERYTHING
from chatstore.sql.engine.faults import is_damage
from chatstore.sql.models import BLOCK, GAP
from chatstore.sql.places import regular_rows
from chatstore.sql.transfer import rows_of
from chatstore.sql.turn import Held, Turn


def check(turn: Turn) -> CheckReport:
    """`ops.Check`; the turn must see one state."""
    problems = list(_as_far_as_readable("the database file", _database(turn)))
    conversations = messages = 0
    for row in turn.rows(turn.sql.held, namespace=turn.namespace):
        described, held = row[: -len(fields(Held))], Held(*row[-len(fields(Held)) :])
        key, count, *_ = described
        conversations += 1
        messages += count if isinstance(count, int) else 0
        problems += mended.faults(described)
        # The driver shows a byte that is no UTF-8 as text, under which nobody finds it.
        if "\\x" in str(key) and mended.is_key(key) and not _is_found(turn, key, held):
            problems.append(mended.no_key(key))
        problems += _as_far_as_readable(f"{key!r}", _conversation(turn, key, held))
    problems += _as_far_as_readable("messages", _orphans(turn))
    problems += _as_far_as_readable("states", _states(turn))
    return CheckReport(conversations, messages, problems)


def _is_found(turn: Turn, key: str, held: Held) -> bool:
    row = turn.row(turn.sql.find, namespace=turn.namespace, key=key, now=-EVERYTHING)
    return row is not None and row[0] == held.conversation_id


def _as_far_as_readable(what: str, look: Iterator[str]) -> Iterator[str]:
    try:
        yield from look
    except Exception as error:
        # A number that has become a text, say, is damage as well.
        if not (is_damage(error) or isinstance(error, TypeError | ValueError)):
            raise
        yield f"{what}: cannot be read to the end, for the file is damaged"


def _orphans(turn: Turn) -> Iterator[str]:
    (lost,) = turn.row(turn.sql.orphans)
    if lost:
        yield f"{lost} messages belong to no conversation"


def _states(turn: Turn) -> Iterator[str]:
    for key, body, parted in turn.rows(turn.sql.all_states, namespace=turn.namespace):
        yield from damage.of_state(key, body, parted)


def _database(turn: Turn) -> Iterator[str]:
    if turn.dialect == "sqlite":
        for (line,) in turn.rows("PRAGMA quick_check(20)"):
            if line != "ok":
                yield f"the database file: {line}"
        for table, *_ in turn.rows("PRAGMA foreign_key_check"):
            yield f"a row of {table} belongs to nothing"


def _conversation(turn: Turn, key: str, held: Held) -> Iterator[str]:
    blocks: Counter[int] = Counter()
    serials: set[int] = set()
    archived = 0
    last = None
    edited = dict(turn.rows(turn.sql.blocks, conversation_id=held.conversation_id))
    for row in rows_of(turn, held.conversation_id):
        last = row.ordinal
        blocks[last // BLOCK] += 1
        serials.add(row.serial)
        archived += bool(row.archived)
        yield from damage.of_message(key, row)
        yield from _place(key, held, row, edited)
    count = blocks.total()
    if (count, archived) != (held.count, held.archived):
        yield (
            f"{key!r}: {count} messages, {archived} of them archived, are stored; "
            f"{held.count} and {held.archived} are noted"
        )
    if last is not None and last >= held.next_ordinal:
        yield f"{key!r}: the last ordinal is not below the next one"
    if len(serials) != count or (serials and max(serials) > held.revision):
        yield f"{key!r}: serials recur, or are above the revision"
    first = min([*blocks, *edited, held.base])
    for block in range(first, held.next_ordinal // BLOCK + 1):
        expected = regular_rows(held, block) + edited.get(block, 0)
        if blocks[block] != expected:
            yield f"{key!r}: block {block} holds {blocks[block]} messages; {expected} are noted"


def _place(key: str, held: Held, row: Row, edited: dict[int, int]) -> Iterator[str]:
    block = row.ordinal // BLOCK
    if block not in edited and (row.ordinal % GAP or block < held.base):
        yield f"{key!r}: message {row.record_id!r} is out of place in block {block}"
    if held.active_from is not None and row.ordinal < held.active_from and not row.archived:
        yield f"{key!r}: message {row.record_id!r} is active where all are archived"
