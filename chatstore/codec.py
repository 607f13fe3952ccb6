"""Between messages and rows: encoding at the write, decoding at the read, for every store."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from chatstore import arguments, clock, collector, json_text
from chatstore.derived import derive
from chatstore.errors import InvalidMessageError
from chatstore.formats import VIEWS
from chatstore.formats import chatstore as native
from chatstore.messages import (
    ChatMessage,
    Message,
    NativeMessage,
    UndecodableMessage,
    exact,
    is_role,
    what_is_wrong,
)
from chatstore.records import Draft, Record, Row

MAX_PAYLOAD_BYTES = 255 << 20
"""Of JSON, in a message or in metadata: what is stored must fit into a line of an export."""

_new = tuple.__new__  # makes a `Draft` without the Python that its own constructor runs


def encode(message: Message, now: int, path: str = "message") -> Draft:
    """The message as it is written.

    Args:
        message: A `ChatMessage` or a `NativeMessage`.
        now: The time that it gets unless it has one, in microseconds.
        path: How an error calls the message.

    Raises:
        InvalidMessageError: It is no message, or holds what JSON cannot hold.
    """
    try:
        if type(message) is ChatMessage:  # nearly every one
            name, payload, shown = native.NAME, native.payload(message), message
        elif isinstance(message, UndecodableMessage):
            raise InvalidMessageError(
                f"{path} could not be decoded when it was read; write it as "
                "NativeMessage(m.format, json.loads(m.raw)) with a version that knows its format"
            )
        elif isinstance(message, ChatMessage):
            name, payload, shown = native.NAME, native.payload(message), message
        elif isinstance(message, NativeMessage):
            name, payload, shown = exact(message.format), *_native(message, path)
        else:
            raise InvalidMessageError(f"{path} is a {_named(message)}")
    except json_text.NotJSONError as error:
        raise InvalidMessageError(f"{path}{error}") from None
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise _too_large(payload, path)
    id = None if message.id is None else arguments.check_id(message.id, path)
    kind, calls = derive(shown)
    created_at = now if message.created_at is None else _moment(message.created_at, path)
    role = shown.role if type(shown.role) is str else exact(shown.role)
    return _new(Draft, (id, name, payload, role, kind, calls, False, created_at))


def encode_text(
    name: str, payload: str, id: str, now: int, path: str, *, text_of: str | None = None
) -> Draft:
    """A payload that a framework has encoded itself, with an id, as it is written.

    Args:
        name: The format.
        payload: JSON text, ASCII only, that `json_text.check` has passed.
        id: The message's own.
        now: Its time, in microseconds.
        path: How an error calls the message.
        text_of: The role of one that is known to be a text and nothing else; its view is not made.

    Raises:
        InvalidMessageError: It is no message of the format, is too large, or has no good id.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise _too_large(payload, path)
    id = arguments.check_id(id, path)
    if text_of is not None:
        return Draft(id, name, payload, text_of, None, None, False, now)
    shown = _shown(name, payload, path)
    return Draft(id, name, payload, shown.role, *derive(shown), False, now)


def _named(other: object) -> str:
    """What a caller gave for a message, and what to do about it."""
    kind = type(other)
    if kind.__module__ == "builtins":
        return f"{kind.__name__}; use ChatMessage(role=…, content=…)"
    # Frameworks call theirs ChatMessage, too.
    return (
        f"{kind.__module__}.{kind.__qualname__}; use chatstore.ChatMessage, or the adapter of its "
        "framework in chatstore.adapters"
    )


def encode_all(messages: Iterable[Message], now: int) -> list[Draft]:
    """The messages as they are written; an error names the place of the one that it is about."""
    if isinstance(messages, ChatMessage | NativeMessage | str):
        raise InvalidMessageError("this call takes a list of messages; put the one into a list")
    with collector.paused():
        return [encode(message, now, f"messages[{i}]") for i, message in enumerate(messages)]


def decode(row: Row, *, strict: bool = False) -> ChatMessage:
    """The message of a row, or an `UndecodableMessage`.

    Raises:
        InvalidMessageError: It cannot be decoded, and `strict` was asked for.
    """
    try:
        payload = json_text.load(row.payload)
        if type(payload) is not dict:
            raise ValueError("the payload is no JSON object")
        message = VIEWS[row.format](payload)
        fields = message.__dict__
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        message = _undecodable(row, error, strict)
        fields = message.__dict__
    fields["id"] = row.id
    try:
        fields["created_at"] = clock.show(row.created_at)
    except (TypeError, OverflowError):  # damaged, and no reason to hide what was said
        fields["created_at"] = None
    return message


def decode_one(row: Row | None, *, strict: bool = False) -> ChatMessage | None:
    """The message of a row, if there is one.

    What a write removed is never decoded strictly: it would be lost with the error.
    """
    return None if row is None else decode(row, strict=strict)


def decode_all(rows: Sequence[Row], *, strict: bool = False) -> list[ChatMessage]:
    """The messages of rows, in their order."""
    with collector.paused(len(rows)):
        return [decode(row, strict=strict) for row in rows]


def record(row: Row, *, strict: bool = False) -> Record:
    """The row as a `Record`."""
    message = decode(row, strict=strict)
    return Record(
        id=row.record_id,
        ordinal=row.ordinal,
        format=row.format,
        payload=row.payload,
        role=row.role,
        text=message.content,
        kind=row.kind or "message",
        tool_call_ids=_listed(row.tool_call_ids) if row.tool_call_ids else (),
        status="archived" if row.archived else "active",
        created_at=message.created_at or clock.show(0),
        message=message,
    )


def _listed(column: str) -> tuple[str, ...]:
    try:
        return tuple(map(str, json.loads(column)))
    except (ValueError, TypeError):  # damaged
        return ()


def records(rows: Sequence[Row], *, strict: bool = False) -> list[Record]:
    """The rows as records, in their order."""
    with collector.paused(len(rows)):
        return [record(row, strict=strict) for row in rows]


def encode_metadata(metadata: dict[str, Any]) -> str:
    """Metadata as JSON text.

    Raises:
        InvalidMessageError: It is not a dict that JSON can hold.
    """
    if not isinstance(metadata, dict):
        raise InvalidMessageError(f"metadata is a dict, not {type(metadata).__name__}")
    try:
        text = json_text.dump(metadata, "metadata")
    except json_text.NotJSONError as error:
        raise InvalidMessageError(str(error)) from None
    if len(text) > MAX_PAYLOAD_BYTES:
        raise _too_large(text, "metadata")
    return text


def same_content(draft: Draft, format: str, payload: str) -> bool:
    """Whether a stored payload is that of the draft: equal as JSON, whatever the order of keys."""
    if draft.format != format:
        return False
    if draft.payload == payload:
        return True
    try:
        return _sorted(draft.payload) == _sorted(payload)
    except ValueError:  # the stored one is damaged
        return False


def _sorted(payload: str) -> str:
    # Compared as text: to Python's `==`, 1, 1.0 and True are one value.
    return json.dumps(json_text.load(payload), sort_keys=True)


def _moment(moment: object, path: str) -> int:
    try:
        us = clock.read(moment)  # type: ignore[arg-type]  # fields can be set to anything
        clock.show(us)
    except (TypeError, OverflowError):
        raise InvalidMessageError(
            f"{path}.created_at is no datetime with a time zone, in the years 1 to 9999 of UTC; "
            "use datetime.now(UTC)"
        ) from None
    return us


def _native(message: NativeMessage, path: str) -> tuple[str, ChatMessage]:
    if message.format not in VIEWS:
        raise InvalidMessageError(
            f"{path}: no format is called {message.format!r}; known are {', '.join(sorted(VIEWS))}"
        )
    if not isinstance(message.payload, dict):
        raise InvalidMessageError(f"{path}.payload is no dict, as that of a NativeMessage is")
    payload = json_text.dump(message.payload, ".payload")
    return payload, _shown(message.format, payload, path)


def _shown(name: str, payload: str, path: str) -> ChatMessage:
    try:
        return VIEWS[name](json_text.load(payload))
    except (ValueError, TypeError) as error:
        raise InvalidMessageError(
            f"{path}.payload is no {name} message: {_reason(error)}"
        ) from None


def _too_large(text: str, path: str) -> InvalidMessageError:
    return InvalidMessageError(
        f"{path} takes {len(text)} bytes as JSON; {MAX_PAYLOAD_BYTES} are allowed: "
        "keep large data elsewhere, and its address in the message"
    )


def _undecodable(row: Row, error: Exception, strict: bool) -> UndecodableMessage:
    reason = f"unknown format {row.format!r}" if row.format not in VIEWS else _reason(error)
    if strict:
        raise InvalidMessageError(
            f"a stored message cannot be decoded: {reason}; open without strict=True to read its "
            "neighbours, or upgrade chatstore-sql if a newer version wrote it"
        )
    return UndecodableMessage(
        role=row.role if is_role(row.role) else "assistant",
        raw=as_text(row.payload),
        format=as_text(row.format),
        error=reason,
    )


def as_text(value: object) -> str:
    r"""What a damaged column holds, as text; bytes that are no UTF-8 stand as `\xff`."""
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return str(value)


def _reason(error: Exception) -> str:
    if not isinstance(error, ValueError):
        return type(error).__name__
    return what_is_wrong(error) or str(error).splitlines()[0]
