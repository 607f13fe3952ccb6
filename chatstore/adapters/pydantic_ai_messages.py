"""Between Pydantic AI's messages and payloads, and from anybody's records to its messages."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from chatstore import codec, json_text
from chatstore.adapters.doors import arguments_of, is_lost, missing
from chatstore.adapters.parts import unfolded
from chatstore.errors import InvalidMessageError
from chatstore.formats import pydantic_ai as format
from chatstore.messages import TEXT, Block, ChatMessage
from chatstore.records import Draft, Row

try:
    from pydantic_ai import messages as theirs
    from pydantic_ai.conversation_store import ConversationRecord
except ImportError as error:
    raise missing("pydantic-ai", error) from error

T = TypeVar("T")

_MESSAGES = theirs.ModelMessagesTypeAdapter
# As the messages are: what a record holds besides are tool calls, with values of tools.
_RECORDS: TypeAdapter[list[ConversationRecord]] = TypeAdapter(
    list[ConversationRecord], config=ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
)
_TEXTS: dict[tuple[type, type], str] = {
    (theirs.ModelRequest, theirs.UserPromptPart): "user",
    (theirs.ModelResponse, theirs.TextPart): "assistant",
}
_PLAIN = frozenset((str, int, float, bool, type(None), datetime))


def encode(message: theirs.ModelMessage, id: str, now: int, path: str, *, as_json: bool) -> Draft:
    """A message as it is written.

    Raises:
        InvalidMessageError: It would not come back equal, and that was not asked for.
    """
    text, _ = _dumped(_MESSAGES, message, path, as_json=as_json)
    return codec.encode_text(format.NAME, text, id, now, path, text_of=_text_of(message))


def _text_of(message: theirs.ModelMessage) -> str | None:
    """The role of a message that is one text; `None` for any other."""
    if len(message.parts) == 1:
        [part] = message.parts
        role = _TEXTS.get((type(message), type(part)))
        if role is not None and type(part.content) is str:  # type: ignore[union-attr]
            return role
    return None


def encode_record(
    record: ConversationRecord, *, as_json: bool
) -> tuple[str, ConversationRecord | str]:
    """A record as JSON text, and what may be kept of it: a copy, or that text."""
    dumped = _dumped(_RECORDS, record, "record", as_json=as_json)
    text, copy = dumped
    return text, text if copy is None else copy


def recalled(kept: ConversationRecord | str, head: str | None) -> ConversationRecord:
    """What `encode_record` kept, or JSON text, as the record of a conversation with a head."""
    record = decode_record(kept) if isinstance(kept, str) else kept
    return record if record.head_id == head else dataclasses.replace(record, head_id=head)


def decode_record(text: str) -> ConversationRecord:
    """The record of JSON text."""
    return _loaded(_RECORDS, text)


def _dumped(
    adapter: TypeAdapter[list[T]], value: T, path: str, *, as_json: bool
) -> tuple[str, T | None]:
    """The value as JSON text, and as it comes back, if that was looked at.

    Raises:
        InvalidMessageError: It would not come back equal, and that was not asked for.
    """
    try:
        text = _text(adapter, value, path)
    except (ValueError, TypeError) as error:
        raise InvalidMessageError(f"{path}: {str(error).splitlines()[0]}") from None
    if as_json:
        return text, None
    try:
        back: T | None = _loaded(adapter, text)
        changed = difference(value, back, path)
    except ValidationError:
        back, changed = None, path
    if changed is not None:
        raise InvalidMessageError(
            f"{changed} would not come back equal from Pydantic AI's JSON; make it of JSON's "
            "own values (a tool can return model_dump(mode='json')), or take what comes back, "
            "with as_json=True"
        )
    return text, back


def _text(adapter: TypeAdapter[list[T]], value: T, path: str) -> str:
    try:
        # Straight to text: half of what Python's values of it, looked at and encoded, cost.
        dumped = adapter.dump_json([value], ensure_ascii=True, warnings=False)
    except ValueError:
        # It refuses lone surrogates, which Python's encoder keeps.
        [payload] = adapter.dump_python([value], mode="json", warnings=False)
        return json_text.dump(payload, path)
    text = str(dumped, "ascii")[1:-1]
    json_text.check(text, path)
    return text


def _loaded(adapter: TypeAdapter[list[T]], text: str) -> T:
    text = f"[{text}]"
    try:
        [value] = adapter.validate_json(text)
    except ValidationError:
        if "\\ud" not in text:
            raise
        # The fast parser refuses lone surrogates; Python's keeps them.
        [value] = adapter.validate_python(json.loads(text))
    return value


def difference(one: Any, other: Any, path: str) -> str | None:
    """The path to a value that is not the same in both; `None` if all are.

    What the framework's own `==` passes over, it passes over, too.
    """
    steps = _difference(one, other)
    return None if steps is None else path + steps


def _difference(one: Any, other: Any) -> str | None:
    """The steps to a value that is not the same in both; '' is the value itself."""
    kind = type(one)
    if kind in _PLAIN and kind is type(other):  # nearly all of what messages hold
        return None if one == other else ""
    if (fields := _compared(kind)) is not None:  # type: ignore[arg-type]  # classes are hashable
        if not isinstance(other, kind) and not isinstance(one, type(other)):
            return ""
        names, values = fields
        those = values(other) if type(other) is kind else [getattr(other, n, None) for n in names]
        for name, this, that in zip(names, values(one), those):
            # In most fields is what is there once: None, a small number.
            if this is not that and (found := _difference(this, that)) is not None:
                return f".{name}{found}"
        return None
    if isinstance(one, dict | list | tuple):
        return _difference_inside(one, other)
    same = (kind is type(other) or _are_numbers(one, other)) and one == other
    return None if same else ""


def _difference_inside(one: Any, other: Any) -> str | None:
    pairs: Iterable[tuple[str, Any, Any]]
    if isinstance(one, dict):
        if type(other) is not dict or list(one) != list(other):
            return ""
        pairs = ((f".{name}", value, other[name]) for name, value in one.items())
    else:
        if type(other) is not type(one) or len(one) != len(other):
            return ""
        pairs = ((f"[{n}]", *both) for n, both in enumerate(zip(one, other)))
    for step, this, that in pairs:
        if (found := _difference(this, that)) is not None:
            return step + found
    return None


@cache
def _compared(kind: type) -> tuple[Sequence[str], Callable[[Any], Sequence[Any]]] | None:
    """The fields of a dataclass that its `==` looks at, and their values; `None`: it is none."""
    if not dataclasses.is_dataclass(kind):
        return None
    names = [field.name for field in dataclasses.fields(kind) if field.compare]
    # Of one name it would make no tuple.
    values = attrgetter(*names) if len(names) > 1 else lambda one: [getattr(one, n) for n in names]
    return names, values


def _are_numbers(one: Any, other: Any) -> bool:
    return all(isinstance(n, int | float) and not isinstance(n, bool) for n in (one, other))


def decode(rows: Sequence[Row]) -> list[theirs.ModelMessage]:
    """The messages of rows; those of other frameworks, and of later versions, as views.

    A view is always the same: its times are those of the record.
    """
    names: dict[str, str] = {}
    found: list[theirs.ModelMessage] = []
    for row in rows:
        message = _own(row)
        if message is None:
            record = codec.record(row)
            is_lost(record)  # said, and shown as empty: entries are one for each message
            message = shown(record.message, names)
        for part in message.parts:
            if isinstance(part, theirs.ToolCallPart):
                names[part.tool_call_id] = part.tool_name
        found.append(message)
    return found


def _own(row: Row) -> theirs.ModelMessage | None:
    if row.format != format.NAME:
        return None
    try:
        return _loaded(_MESSAGES, row.payload)
    except (ValueError, TypeError, KeyError):
        return None  # a part or a field that this version does not have


def shown(message: ChatMessage, names: dict[str, str] | None = None) -> theirs.ModelMessage:
    """A message of any other framework as Pydantic AI's: its role, texts, calls and results.

    Args:
        message: The view.
        names: The names of tools by the ids of calls, for results, which have only the id.

    Example:
        >>> shown(ChatMessage("Hello")).parts[0].content
        'Hello'
    """
    at = message.created_at or datetime.fromtimestamp(0, UTC)
    if message.role == "assistant":
        parts = [part for block in message.blocks if (part := _response_part(block)) is not None]
        return theirs.ModelResponse(parts=parts, timestamp=at)
    requests: list[Any] = []
    for one in unfolded(message):
        call = one.additional_kwargs.get("tool_call_id")
        if one.role in ("tool", "function") and isinstance(call, str):
            name = one.additional_kwargs.get("name") or (names or {}).get(call) or "tool"
            requests.append(theirs.ToolReturnPart(str(name), one.content or "", call, timestamp=at))
        elif one.role in ("system", "developer"):
            requests.append(theirs.SystemPromptPart(one.content or "", timestamp=at))
        else:
            requests.append(theirs.UserPromptPart(_prompt(one), timestamp=at))
    return theirs.ModelRequest(parts=requests)


def _response_part(block: Block) -> Any:
    kind = block["block_type"]
    if kind == TEXT and isinstance(block.get("text"), str):
        return theirs.TextPart(block["text"])
    if kind == "thinking" and isinstance(block.get("content"), str):
        return theirs.ThinkingPart(block["content"])
    call = block.get("tool_call_id")
    if kind == "tool_call" and isinstance(call, str):
        args = arguments_of(block)
        return theirs.ToolCallPart(str(block.get("tool_name") or "tool"), args, call)
    return None


def _prompt(message: ChatMessage) -> str | list[Any]:
    urls = [
        block.get("url") if block["block_type"] == "image" else None for block in message.blocks
    ]
    if not any(isinstance(url, str) for url in urls):
        return message.content or ""
    return [
        theirs.ImageUrl(url) if isinstance(url, str) else str(block.get("text") or "")
        for url, block in zip(urls, message.blocks)
        if isinstance(url, str) or block["block_type"] == TEXT
    ]
