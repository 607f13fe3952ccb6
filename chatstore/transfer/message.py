"""Writing a message, or a conversation, as JSON members of a file."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from chatstore import clock, codec, json_text
from chatstore.derived import derive
from chatstore.formats import VIEWS
from chatstore.formats.chatstore import NAME
from chatstore.json_text import quote
from chatstore.messages import ChatMessage
from chatstore.records import Conversation, Row
from chatstore.transfer import strict

_CHARACTERS = r"[ !#-\[\]-\x7f]*+"  # those that stand for themselves
_STRING = rf'"{_CHARACTERS}(?:\\(?:["\\bfnrt]|u[0-9a-f]{{4}}){_CHARACTERS})*+"'
_WORD = rf'"{_CHARACTERS}"'
_ONE_MORE = rf'(?!"tool_call){_WORD}:{_STRING}'
PLAIN = (
    rf'\{{"role":((?!""){_WORD}),"additional_kwargs":\{{(?:{_ONE_MORE})?\}},'
    rf'"blocks":\[\{{"block_type":"text","text":{_STRING}\}}\]'
)
"""The payload of nearly every message, without its last brace: a role and a text, and one text
more at most beside it, which tells of no tool call.

Matching it proves that it is JSON, and a message of the format `chatstore`, at a fifth of what
parsing costs.
"""
HEAD = rf'"created_at":"([^"\\]{{27}})"(?:,"id":({_STRING}))?(,"status":"archived")?'

is_plain = re.compile(PLAIN + r"\}").fullmatch

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_CANNOT_DECODE = (KeyError, ValueError, TypeError, AttributeError)


class Native(NamedTuple):
    """The members that hold the payload, as text, and what was found on the way.

    Attributes:
        members: As JSON, without braces.
        value: The payload's value, if it is JSON as this library writes it.
        view: Its view, if this version knows its format. It may share parts with the value.
    """

    members: str
    value: dict[str, Any] | None
    view: ChatMessage | None


def when(us: int) -> str:
    """The moment as it stands in files; of damage, the nearest that the calendar has."""
    try:
        return (_EPOCH + timedelta(microseconds=us)).isoformat(timespec="microseconds") + "Z"
    except (OverflowError, TypeError):
        return when(clock.nearest(us))


def head(row: Row) -> str:
    """The members that stand outside the payload: the time, the caller's id, the status."""
    text = f'"created_at":"{when(row.created_at)}"'
    if row.id:  # an empty one is damage, which no import would take
        text += f',"id":{quote(row.id)}'
    if row.archived:
        text += ',"status":"archived"'
    return text


def native(row: Row) -> Native:
    """The members that hold the payload of a row that is not plain.

    The derived columns come along only where a reader may not be able to derive them: for other
    formats than `chatstore`, which it may not know, and for what cannot be decoded. They are
    derived anew, here and by the reader: the payload is the truth, so that no file can put lies
    into a store's columns, and a store whose columns lie is mended by export and import.
    """
    try:
        value = strict.load_canonical(row.payload)
    except strict.NotStrictError:
        value = None
    held: dict[str, Any] | None = value if isinstance(value, dict) else None
    shown = view(row.format, row.payload if held is None else held)
    parts = [] if row.format == NAME else [f'"format":{quote(row.format)}']
    if shown is None:
        parts += _columns(row.role, row.kind, _ids(row.tool_call_ids))
    elif row.format != NAME:
        parts += _columns(shown.role, *derive(shown))
    # Spliced, never encoded anew; and what no encoder of ours wrote stays what it is.
    parts.append(f'"raw":{quote(row.payload)}' if held is None else f'"payload":{row.payload}')
    return Native(",".join(parts), held, shown)


def mended(row: Row) -> Row:
    """A damaged row, of which a column holds no text, with what it holds as text."""
    columns = ("id", "format", "payload", "role", "kind", "tool_call_ids")
    held = {name: getattr(row, name) for name in columns}
    texts: dict[str, Any] = {k: v if v is None else codec.as_text(v) for k, v in held.items()}
    return row._replace(**texts)


def told(conversation: Conversation) -> str:
    """The members of what is known of a conversation."""
    parts = [
        f'"created_at":"{when(clock.read(conversation.created_at))}"',
        f'"updated_at":"{when(clock.read(conversation.updated_at))}"',
    ]
    ttl, expires_at = conversation.ttl, conversation.expires_at
    if ttl is not None and expires_at is not None:  # one alone is damage, which no import takes
        parts.append(f'"ttl":{int(ttl) if ttl == int(ttl) else ttl!r}')
        parts.append(f'"expires_at":"{when(clock.read(expires_at))}"')
    if conversation.metadata:
        parts.append(f'"metadata":{codec.encode_metadata(conversation.metadata)}')
    return ",".join(parts)


def _columns(role: str, kind: str | None, ids: str | None) -> list[str]:
    parts = [f'"role":{quote(role)}']
    if kind is not None:
        parts.append(f'"kind":{quote(kind)}')
    if ids is not None:
        parts.append(f'"tool_call_ids":{ids}')
    return parts


def _ids(column: str | None) -> str | None:
    try:
        return None if column is None else json_text.encode(list(map(str, json.loads(column))))
    except (ValueError, TypeError):
        return None


def view(format: str, payload: str | dict[str, Any]) -> ChatMessage | None:
    """The message of a payload, or `None` if this version cannot make one of it."""
    try:
        held = json_text.load(payload) if isinstance(payload, str) else payload.copy()
        return VIEWS[format](held)
    except _CANNOT_DECODE:
        return None
