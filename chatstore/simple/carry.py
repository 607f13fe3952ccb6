"""What a store in memory does: an operation, a function."""

from collections.abc import Callable, Iterator, Sequence
from copy import copy as shallow
from typing import Any

from chatstore import clock, damage, errors
from chatstore import operations as ops
from chatstore.arguments import Expected, Window
from chatstore.records import CheckReport, Conversation, Draft, Row
from chatstore.simple import states
from chatstore.simple.conversation import Held
from chatstore.simple.shelf import Shelf


def append(shelf: Shelf, op: ops.Append) -> list[str]:
    """Carry out `Append`."""
    return _add(shelf, op.key, op.drafts, op.expected, lambda held, new: held.append(new))


def insert(shelf: Shelf, op: ops.Insert) -> list[str]:
    """Carry out `Insert`."""
    return _add(
        shelf, op.key, (op.draft,), op.expected, lambda held, new: [held.insert(op.idx, new[0])]
    )


def _add(
    shelf: Shelf,
    key: str,
    drafts: Sequence[Draft],
    expected: Expected,
    place: Callable[[Held, list[Draft]], list[Row]],
) -> list[str]:
    held = shelf.find(key) or shelf.new(key)
    new = held.unknown(drafts)
    made: Iterator[Row] = iter(())
    if new:
        shelf.find(key, expected)
        made = iter(row for row in place(held, new) if row.id is None)
        shelf.keep(held)
    return [next(made).record_id if draft.id is None else draft.id for draft in drafts]


def replace(shelf: Shelf, op: ops.Replace) -> None:
    """Carry out `Replace`."""
    held = shallow(shelf.find(op.key, op.expected) or shelf.new(op.key))
    gone = held.take(op.status)
    new = held.unknown(op.drafts)
    if new or gone:
        held.append(new)
        shelf.keep(held)


def update(shelf: Shelf, op: ops.Update) -> Row | None:
    """Carry out `Update`."""
    held = shelf.find(op.key, op.expected)
    place = None if held is None else held.place(op.idx)
    if held is None or place is None:
        return None
    old = held.rows[place]
    if op.draft.id not in (None, old.id) and any(r.id == op.draft.id for r in held.rows):
        raise errors.duplicate(op.key, op.draft.id)
    draft = op.draft._replace(archived=bool(old.archived))
    held.change(place, Row(old.conversation, old.ordinal, old.serial, *draft))
    shelf.keep(held)
    return old


def delete_at(shelf: Shelf, op: ops.DeleteAt) -> Row | None:
    """Carry out `DeleteAt`."""
    held = shelf.find(op.key, op.expected)
    place = None if held is None else held.place(op.idx, op.status)
    if held is None or place is None:
        return None
    row = held.remove(place)
    shelf.keep(held)
    return row


def delete(shelf: Shelf, op: ops.Delete) -> list[Row] | None:
    """Carry out `Delete`."""
    held = shelf.find(op.key, op.expected)
    if held is None:
        if op.status is None:
            shelf.drop(op.key)
        return None
    gone = held.take(op.status)
    if gone:
        shelf.keep(held)
    return gone


def delete_oldest(shelf: Shelf, op: ops.DeleteOldest) -> list[Row]:
    """Carry out `DeleteOldest`."""
    held = shelf.find(op.key, op.expected)
    rows = [] if held is None else held.delete_oldest(op.n)
    if held is not None and rows:
        shelf.keep(held)
    return rows


def archive(shelf: Shelf, op: ops.Archive) -> list[Row]:
    """Carry out `Archive`."""
    held = shelf.find(op.key, op.expected)
    rows = [] if held is None else held.archive(op.n)
    if held is not None and rows:
        shelf.keep(held)
    return rows


def read(shelf: Shelf, op: ops.Read) -> list[Row]:
    """Carry out `Read`."""
    held = shelf.find(op.key)
    return [] if held is None else held.window(op.window)


def read_after(shelf: Shelf, op: ops.ReadAfter) -> list[Row]:
    """Carry out `ReadAfter`."""
    held = shelf.find(op.key)
    return [] if held is None else held.after(op.after, op.limit)


def count(shelf: Shelf, op: ops.Count) -> int:
    """Carry out `Count`."""
    held = shelf.find(op.key)
    return 0 if held is None else len(held.window(Window(status=op.status)))


def list_keys(shelf: Shelf, op: ops.ListKeys) -> list[str]:
    """Carry out `ListKeys`."""
    keys = [held.key for held in shelf.live(op.prefix)]
    return [key for key in keys if op.after is None or key > op.after][: op.limit]


def list_conversations(shelf: Shelf, op: ops.ListConversations) -> list[Conversation]:
    """Carry out `ListConversations`."""
    found, after = shelf.live(op.prefix), op.after
    if op.order == "key":
        if after is not None:
            last = after if isinstance(after, str) else after.key
            found = [held for held in found if held.key > last]
    else:
        found.sort(key=lambda held: (held.updated_at, held.key), reverse=True)
        if isinstance(after, str):
            held = shelf.find(after)
            if held is None:
                raise errors.missing(after)
            after = held.describe()
        if after is not None:
            mark = (clock.read(after.updated_at), after.key)
            found = [held for held in found if (held.updated_at, held.key) < mark]
    return [held.describe() for held in found[: op.limit]]


def describe(shelf: Shelf, op: ops.Describe) -> Conversation | None:
    """Carry out `Describe`."""
    held = shelf.find(op.key)
    return None if held is None else held.describe()


def set_metadata(shelf: Shelf, op: ops.SetMetadata) -> bool:
    """Carry out `SetMetadata`."""
    held = shelf.find(op.key, op.expected)
    if held is None:
        return False
    held.metadata = op.metadata
    shelf.keep(held)
    return True


def set_ttl(shelf: Shelf, op: ops.SetTTL) -> bool:
    """Carry out `SetTTL`."""
    held = shelf.find(op.key, op.expected)
    if held is None:
        return False
    held.ttl = op.ttl
    shelf.keep(held)
    return True


def purge_expired(shelf: Shelf, _: ops.PurgeExpired) -> int:
    """Carry out `PurgeExpired`."""
    before = len(shelf.held)
    states.purge(shelf)
    shelf.held = {held.key: held for held in shelf.live()}
    return before - len(shelf.held)


def copy(shelf: Shelf, op: ops.Copy) -> int:
    """Carry out `Copy`."""
    source = shelf.find(op.key)
    if source is None:
        raise errors.missing(op.key)
    if shelf.find(op.to_key) is not None:
        raise errors.exists(op.to_key)
    drafts = [row.draft for row in source.rows[: op.stop]]
    if not drafts:
        raise errors.nothing_to_copy(op.key)
    target = shelf.new(op.to_key)
    target.ttl, target.metadata = source.ttl, source.metadata
    target.append(drafts)
    shelf.keep(target)
    return len(drafts)


def erase(shelf: Shelf, op: ops.Erase) -> bool:
    """Carry out `Erase`."""
    existed = states.state_of(shelf, op.key) is not None
    shelf.drop(op.key)  # what has expired is absent, but its text is not yet gone
    return existed


def check(shelf: Shelf, _: ops.Check) -> CheckReport:
    """Carry out `Check`."""
    live = shelf.live()
    rows = [(held.key, row) for held in live for row in held.rows]
    problems = [fault for key, row in rows for fault in damage.of_message(key, row)]
    for key, kept in sorted(shelf.beside.items()):
        problems += damage.of_state(key, kept.draft.body, kept.draft.parted)
    return CheckReport(len(live), len(rows), problems)


CARRY_OUT: dict[type[ops.Operation[Any]], Callable[[Shelf, Any], Any]] = {
    ops.Append: append,
    ops.Insert: insert,
    ops.Replace: replace,
    ops.Update: update,
    ops.DeleteAt: delete_at,
    ops.Delete: delete,
    ops.DeleteOldest: delete_oldest,
    ops.Archive: archive,
    ops.Read: read,
    ops.ReadAfter: read_after,
    ops.Count: count,
    ops.ListKeys: list_keys,
    ops.ListConversations: list_conversations,
    ops.Describe: describe,
    ops.SetMetadata: set_metadata,
    ops.SetTTL: set_ttl,
    ops.PurgeExpired: purge_expired,
    ops.Copy: copy,
    ops.Erase: erase,
    ops.ReadState: states.read_state,
    ops.ListStates: states.list_states,
    ops.WriteState: states.write_state,
    ops.DeleteState: states.delete_state,
    ops.FindEntry: states.find_entry,
    ops.Check: check,
}
