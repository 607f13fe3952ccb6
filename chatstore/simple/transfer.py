"""Conversations that come from a file, as they were elsewhere."""

from chatstore import arguments, clock, codec, errors
from chatstore.records import Conversation, Draft
from chatstore.simple.conversation import Held
from chatstore.simple.shelf import Shelf
from chatstore.transfer import NEW, OnConflict, Stream, TransferReport


def take_in(shelf: Shelf, stream: Stream, on_conflict: OnConflict) -> TransferReport:
    """Keep conversations as they were elsewhere; after an error the shelf is of no use."""
    stored = skipped = messages = 0
    for conversation, drafts in stream:
        held = shelf.find(conversation.key)
        if held is not None and on_conflict == "error":
            raise errors.occupied(conversation.key)
        if held is not None and on_conflict == "skip":
            skipped += 1
            continue
        target = held if held is not None and on_conflict == "append" else None
        new = (target or shelf.new(conversation.key)).unknown(list(drafts))
        if target is not None:
            target.append(new)
            shelf.keep(target)
        else:
            if conversation.key in shelf.held:  # and what is beside it
                shelf.drop(conversation.key)
            shelf.held[conversation.key] = _as_it_was(shelf, conversation, new)
        stored, messages = stored + 1, messages + len(new)
    return TransferReport(stored, messages, skipped)


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
