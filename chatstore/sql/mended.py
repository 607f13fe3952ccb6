"""The row of a conversation that is damaged: what it tells hides no other, and `check` names it."""

from collections.abc import Iterator, Sequence
from typing import Any

from chatstore import arguments, clock, codec, json_text
from chatstore.errors import ChatStoreError
from chatstore.records import Conversation
from chatstore.sql.turn import conversation


def told(row: Sequence[Any]) -> Conversation:
    """A row of `statements.describe` as callers see it.

    Of damage: the nearest time that the calendar has, no ttl, no metadata.
    """
    try:
        found = conversation(row)
    except (TypeError, ValueError, OverflowError):
        return conversation(_mended(row))
    metadata: object = found.metadata
    return found if isinstance(metadata, dict) else conversation(_mended(row))


def exported(row: Sequence[Any]) -> Conversation:
    """The same, such that an import takes it."""
    return conversation(_mended(row) if any(faults(row)) else row)


def _mended(row: Sequence[Any]) -> Sequence[Any]:
    key, count, created_at, updated_at, expires_at, ttl, metadata, *rest = row
    created_at, updated_at = clock.nearest(created_at), clock.nearest(updated_at)
    if not _is_ttl(ttl) or not isinstance(expires_at, int):
        ttl = expires_at = None
    if expires_at is not None:
        expires_at = clock.nearest(expires_at)
    if not _is_metadata(metadata):
        metadata = "{}"
    return key, count, created_at, updated_at, expires_at, ttl, metadata, *rest


def _is_ttl(us: Any) -> bool:
    return isinstance(us, int) and 0 < us <= arguments.MAX_TTL * 1_000_000


def _is_metadata(text: Any) -> bool:
    if text == "{}":
        return True
    try:
        codec.encode_metadata(json_text.load(text))
    except (TypeError, ValueError, ChatStoreError):
        return False
    return True


def faults(row: Sequence[Any]) -> Iterator[str]:
    """What is wrong with a row of `statements.describe`, a sentence each."""
    key, _, created_at, updated_at, expires_at, ttl, metadata, *_ = row
    if not is_key(key):
        yield no_key(key)
    times = [created_at, updated_at, *([] if expires_at is None else [expires_at])]
    if any(time != clock.nearest(time) for time in times):
        yield f"{key!r}: a time of the conversation is no time"
    if (ttl is None) != (expires_at is None) or not (ttl is None or _is_ttl(ttl)):
        yield f"{key!r}: the conversation's ttl is none, or does not fit its end"
    if not _is_metadata(metadata):
        yield f"{key!r}: the metadata is no JSON object"


def no_key(key: Any) -> str:
    """That a key is none, as a sentence."""
    return f"{key!r} is no key: no call finds its conversation, and an export may not have it"


def is_key(key: Any) -> bool:
    """Whether it can be the key of a conversation."""
    try:
        arguments.check_key(key)
    except (TypeError, ValueError):
        return False
    return True
