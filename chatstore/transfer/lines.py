"""Writing the shape `.jsonl`: a header, a line per conversation and per message, and a footer.

The digest covers every line between header and footer, byte by byte, behind a line that fixes
format and version. The rest of the header tells how this file came about and is outside of it, so
that equal stores make equal digests.
"""

import hashlib
from collections.abc import Iterable, Iterator

from chatstore import clock
from chatstore.errors import TransferError
from chatstore.formats.chatstore import NAME
from chatstore.json_text import quote
from chatstore.records import Conversation, Row
from chatstore.transfer import message, state
from chatstore.transfer.sink import Write
from chatstore.transfer.stream import VERSION, Accompanied, Progress, Snapshot, TransferReport

MAX_LINE = 256 << 20
"""Bytes of a line: what the largest message takes, and no more of a hostile file in memory."""

EVERY = 1000
"""Messages between two calls of a progress callback."""

_FIXED = f'{{"format":"chatstore","version":{VERSION}'
FIXED = f"{_FIXED}}}\n".encode("ascii")
"""What the digest begins with."""
_FLUSH = 1 << 20  # bytes that are written at a time


# Writing


def write(snapshot: Snapshot, to: Write, source: str, progress: Progress | None) -> TransferReport:
    """Write a snapshot."""
    to(f"{_FIXED},{provenance(snapshot, source)}}}\n".encode("ascii"))
    digest = hashlib.sha256(FIXED)
    waiting: list[str] = []
    size = conversations = messages = states = 0

    def flush() -> None:
        data = "".join(waiting).encode("ascii")
        waiting.clear()
        digest.update(data)
        to(data)

    for conversation, rows in in_order(snapshot):
        opening: str | None = conversation_line(conversation)
        if len(opening or "") > MAX_LINE:
            raise _too_long("the state beside", conversation)
        for row in rows:
            if opening is not None:
                # Not before there is a message: without one there is no conversation.
                waiting.append(opening)
                size += len(opening)
                opening = None
                conversations += 1
            text = line(row)
            if len(text) > MAX_LINE:
                raise _too_long("a message of", conversation)
            waiting.append(text)
            messages += 1
            size += len(text)
            if size > _FLUSH:
                flush()
                size = 0
            if progress is not None and not messages % EVERY:
                progress(messages, snapshot.messages)
        if opening is not None and is_alone(conversation):
            waiting.append(opening)
            size += len(opening)
            states += 1
            if size > _FLUSH:
                flush()
                size = 0
    flush()
    to(footer(conversations, messages, states, digest.hexdigest()).encode("ascii"))
    if progress is not None:
        progress(messages, messages)
    return TransferReport(conversations, messages)


def provenance(snapshot: Snapshot, source: str) -> str:
    """The members of a header that say how the file came about."""
    return (
        f'"snapshot":{"true" if snapshot.consistent else "false"},'
        f'"exported_at":"{message.when(clock.now())}","source":{quote(source)}'
    )


def in_order(snapshot: Snapshot) -> Iterator[tuple[Conversation, Iterable[Row]]]:
    """The conversations of a snapshot, and an error if they are not by key."""
    last = ""
    for conversation, rows in snapshot.conversations:
        if conversation.key <= last:
            # A file that no import takes would be a backup that fails when it is needed.
            raise TransferError("the store lists its keys out of order; run check() on it")
        last = conversation.key
        yield conversation, rows


def is_alone(conversation: Conversation) -> bool:
    """Whether it is a state without messages."""
    return isinstance(conversation, Accompanied) and conversation.count == 0


def conversation_line(conversation: Conversation) -> str:
    """The line of a conversation."""
    return f'{{"conversation":{quote(conversation.key)},{state.told(conversation)}}}\n'


def line(row: Row) -> str:
    """The line of a message."""
    try:
        if row.format == NAME and message.is_plain(row.payload):
            return f'{{{message.head(row)},"payload":{row.payload}}}\n'
        return f"{{{message.head(row)},{message.native(row).members}}}\n"
    except TypeError:
        mended = message.mended(row)
        if mended == row:
            raise
        return line(mended)


def footer(conversations: int, messages: int, states: int, digest: str) -> str:
    """The last line; `states` counts those without messages."""
    more = f'"states":{states},' if states else ""
    return (
        f'{{"end":true,"conversations":{conversations},"messages":{messages},{more}'
        f'"sha256":"{digest}"}}\n'
    )


def _too_long(what: str, conversation: Conversation) -> TransferError:
    return TransferError(
        f"{what} the conversation {conversation.key!r} makes a line of more than {MAX_LINE} "
        "bytes, which no import would take; delete it, or keep its data elsewhere"
    )
