"""What adapters keep beside conversations, in memory: an operation, a function."""

from copy import copy as shallow

from chatstore import clock, errors
from chatstore import operations as ops
from chatstore.arguments import ABSENT, Expected
from chatstore.records import State, quoted_entry
from chatstore.simple.beside import Beside
from chatstore.simple.shelf import Shelf


def state_of(shelf: Shelf, key: str) -> State | None:
    """What is beside a conversation, or where none is, and where the conversation is."""
    kept = shelf.beside.get(key)
    if kept is not None and not kept.lives(shelf.held.get(key), clock.now()):
        kept = None
    held = shelf.find(key)
    if kept is None and held is None:
        return None
    revision = held.revision if held is not None else kept.mark  # type: ignore[union-attr]
    head = None if held is None else held.rows[-1].record_id
    if kept is None:
        assert held is not None  # noqa: S101
        return State(key, None, "", None, held.updated_at, revision, False, head)
    body, parted, scope, updated_at = kept.draft
    changed = revision != kept.mark
    return State(key, body, parted or "", scope, updated_at, revision, changed, head)


def read_state(shelf: Shelf, op: ops.ReadState) -> State | None:
    """Carry out `ReadState`."""
    return state_of(shelf, op.key)


def list_states(shelf: Shelf, op: ops.ListStates) -> list[State]:
    """Carry out `ListStates`."""
    found = [state for key in shelf.beside if (state := state_of(shelf, key)) is not None]
    found = [state for state in found if state.body is not None]
    if op.scope is not None:
        found = [state for state in found if state.scope == op.scope]
    found.sort(key=lambda state: (state.updated_at, state.key), reverse=True)
    return found[: op.limit]


def write_state(shelf: Shelf, op: ops.WriteState) -> str:
    """Carry out `WriteState`."""
    stored = _expected(shelf, op.key, op.expected)
    held = shelf.find(op.key)
    own = shelf.beside.get(op.key) if stored is not None and held is None else None
    target = held or shelf.new(op.key)
    if own is not None:
        target.ttl = own.ttl
    if op.replace:
        target = shallow(target)  # what is refused leaves the old one
        target.take(None)
    target.append(target.unknown(op.drafts))
    parted = op.state.parted
    if parted is None:
        parted = stored.parted if stored is not None else ""
    draft = op.state._replace(parted=parted)
    if target.rows:
        shelf.keep(target)
        shelf.beside[op.key] = Beside(draft, target.incarnation, target.revision, None, None)
        return target.revision
    shelf.drop(op.key)
    mark, ttl = f"~{shelf.incarnation()}", target.ttl
    expires_at = None if ttl is None else clock.now() + ttl
    shelf.beside[op.key] = Beside(draft, None, mark, ttl, expires_at)
    return mark


def delete_state(shelf: Shelf, op: ops.DeleteState) -> bool:
    """Carry out `DeleteState`."""
    stored = _expected(shelf, op.key, op.expected)
    if stored is not None:
        shelf.drop(op.key)
    return stored is not None


def _expected(shelf: Shelf, key: str, expected: Expected) -> State | None:
    stored = state_of(shelf, key)
    if expected is not None and (ABSENT if stored is None else stored.revision) != expected:
        raise errors.conflict(key)
    return stored


def find_entry(shelf: Shelf, op: ops.FindEntry) -> str | None:
    """Carry out `FindEntry`."""
    for held in shelf.live():
        if any(row.id == op.id and row.format == ops.ENTRIES for row in held.rows):
            return held.key
    quoted = quoted_entry(op.id)
    for key in shelf.beside:
        state = state_of(shelf, key)
        if state is not None and quoted in state.parted:
            return key
    return None


def purge(shelf: Shelf) -> None:
    """Free what has expired."""
    now = clock.now()
    lives = {k: kept.lives(shelf.held.get(k), now) for k, kept in shelf.beside.items()}
    shelf.beside = {key: kept for key, kept in shelf.beside.items() if lives[key]}
