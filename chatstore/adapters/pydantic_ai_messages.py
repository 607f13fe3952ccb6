"""Between Pydantic AI's messages and payloads, and from anybody's records to its messages."""

import dataclasses
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from chatstore import codec, json_text
from chatstore.adapters.doors import arguments_of, missing
from chatstore.adapters.parts import unfolded
from chatstore.errors import InvalidMessageError
from chatstore.formats import pydantic_ai as format
from chatstore.messages import TEXT, Block, ChatMessage, NativeMessage
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


def encode(message: theirs.ModelMessage, id: str, now: int, path: str, *, as_json: bool) -> Draft:
    """A message as it is written.

    Raises:
        InvalidMessageError: It would not come back equal, and that was not asked for.
    """
    payload = _dumped(_MESSAGES, message, path, as_json=as_json)
    return codec.encode(NativeMessage(format.NAME, payload, id=id), now, path)


def encode_record(record: ConversationRecord, *, as_json: bool) -> str:
    """A record as JSON text.

    Raises:
        InvalidMessageError: It would not come back equal, and that was not asked for.
    """
    return json_text.dump(_dumped(_RECORDS, record, "record", as_json=as_json), "record")


def decode_record(text: str) -> ConversationRecord:
    """The record of JSON text."""
    return _loaded(_RECORDS, text)


def _dumped(adapter: TypeAdapter[list[T]], value: T, path: str, *, as_json: bool) -> Any:
    try:
        [payload] = adapter.dump_python([value], mode="json", warnings=False)
        text = json_text.dump(payload, path)
    except (ValueError, TypeError) as error:
        raise InvalidMessageError(f"{path}: {str(error).splitlines()[0]}") from None
    if not as_json:
        try:
            changed = difference(value, _loaded(adapter, text), path)
        except ValidationError:
            changed = path
        if changed is not None:
            raise InvalidMessageError(
                f"{changed} would not come back equal from Pydantic AI's JSON; make it of JSON's "
                "own values (a tool can return model_dump(mode='json')), or take what comes back, "
                "with as_json=True"
            )
    return payload


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
    pairs: list[tuple[str, Any, Any]]
    if dataclasses.is_dataclass(one) and not isinstance(one, type):
        if not isinstance(other, type(one)) and not isinstance(one, type(other)):
            return path
        names = [field.name for field in dataclasses.fields(one) if field.compare]
        pairs = [(f".{name}", getattr(one, name), getattr(other, name, None)) for name in names]
    elif isinstance(one, dict):
        if type(other) is not dict or list(one) != list(other):
            return path
        pairs = [(f".{name}", value, other[name]) for name, value in one.items()]
    elif isinstance(one, list | tuple):
        if type(other) is not type(one) or len(one) != len(other):
            return path
        pairs = [(f"[{n}]", *both) for n, both in enumerate(zip(one, other))]
    elif type(one) is type(other) or _are_numbers(one, other):
        return None if one == other else path
    else:
        return path
    found = (difference(this, that, path + step) for step, this, that in pairs)
    return next((place for place in found if place is not None), None)


def _are_numbers(one: Any, other: Any) -> bool:
    return all(isinstance(n, int | float) and not isinstance(n, bool) for n in (one, other))


def decode(rows: Sequence[Row]) -> list[theirs.ModelMessage]:
    """The messages of rows; those of other frameworks, and of later versions, as views.

    A view is always the same: its times are those of the record.
    """
    names: dict[str, str] = {}
    found: list[theirs.ModelMessage] = []
    for row in rows:
        message = _own(row) or shown(codec.decode(row), names)
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
