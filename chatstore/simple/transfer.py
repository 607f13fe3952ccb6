"""Conversations that come from a file, as they were elsewhere."""

from chatstore import arguments, clock, codec, errors
from chatstore.records import Conversation, Draft, Row
from chatstore.simple.beside import Beside
from chatstore.simple.conversation import Held
from chatstore.simple.shelf import Shelf
from chatstore.simple.states import state_of
from chatstore.transfer import (
    NEW,
    Accompanied,
    OnConflict,
    Stream,
    TransferReport,
    accompanied,
    alone,
)


def frozen(shelf: Shelf) -> list[tuple[Conversation, list[Row]]]:
    """All live conversations by key, each with its rows and with what is beside it."""
    found: list[tuple[Conversation, list[Row]]] = []
    for key in sorted(shelf.held.keys() | shelf.beside.keys()):
        held, kept = shelf.find(key), shelf.beside.get(key)
        state = None if kept is None else state_of(shelf, key)
        if kept is None or state is None or state.body is None:
            if held is not None:
                found.append((held.describe(), list(held.rows)))
        elif held is None:
            found.append((alone(key, kept.draft, kept.ttl, kept.expires_at), []))
        else:
            told = accompanied(held.describe(), kept.draft, changed=state.changed)
            found.append((told, list(held.rows)))
    return found


def take_in(shelf: Shelf, stream: Stream, on_conflict: OnConflict) -> TransferReport:
    """Keep conversations as they were elsewhere; after an error the shelf is of no use."""
    stored = skipped = messages = 0
    for conversation, drafts in stream:
        key, given = conversation.key, list(drafts)
        held = shelf.find(key)
        lone = held is None and state_of(shelf, key) is not None
        exists = held is not None or lone
        if exists and on_conflict == "error":
            raise errors.occupied(key)
        if exists and on_conflict == "skip":
            skipped += bool(given)
            continue
        target = held if held is not None and on_conflict == "append" else None
        new = (target or shelf.new(key)).unknown(given)
        if target is not None:
            if given:
                target.append(new)
                shelf.keep(target)
        elif lone and on_conflict == "append":
            if new:
                # It goes with the conversation from now on, however old that says it is.
                shelf.beside[key] = shelf.beside[key]._replace(expires_at=None)
                shelf.held[key] = _as_it_was(shelf, conversation, new)
        else:
            shelf.drop(key)  # also what has expired, and is beside it
            if new:
                shelf.held[key] = _as_it_was(shelf, conversation, new)
            if isinstance(conversation, Accompanied):
                shelf.beside[key] = _beside(shelf, conversation)
        stored, messages = stored + bool(given), messages + len(new)
    return TransferReport(stored, messages, skipped)


def _beside(shelf: Shelf, conversation: Accompanied) -> Beside:
    held, draft = shelf.held.get(conversation.key), conversation.state
    if held is not None:
        mark = "" if conversation.changed else held.revision
        return Beside(draft, held.incarnation, mark, None, None)
    ttl = arguments.ttl_in_us(conversation.ttl)
    expires_at = conversation.expires_at
    ends = None if expires_at is None else clock.read(expires_at)
    return Beside(draft, None, f"~{shelf.incarnation()}", ttl, ends)


def _as_it_was(shelf: Shelf, conversation: Conversation, drafts: list[Draft]) -> Held:
    held = shelf.new(conversation.key)
    held.append(drafts)
    held.created_at = clock.read(conversation.created_at)
    held.updated_at = clock.read(conversation.updated_at)
    held.metadata = codec.encode_metadata(conversation.metadata)
    if conversation.revision == NEW:
        held.expires_at = None if held.ttl is None else clock.now() + held.ttl
        return held
    held.ttl = arguments.ttl_in_us(conversation.ttl)
    expires_at = conversation.expires_at
    held.expires_at = None if expires_at is None else clock.read(expires_at)
    return held
