"""LlamaIndex's messages and ours, both ways, without its serializer.

Its own one changes values in silence (NaN to null, tuples to lists, objects to dicts), fails on
what it wrote (`additional_kwargs["images"]`, a path that is gone), and with pydantic 2.14 in part
does not run at all. Its JSON shape, though, is ours: so a message is stored as `chatstore`, and
as `llama_index`, the same with notes, only where it holds what JSON cannot say.
"""

from pathlib import Path
from typing import Any

from llama_index.core.base.llms.types import (
    AudioBlock,
    BaseContentBlock,
    CacheControl,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from pydantic import AnyUrl, BaseModel, ConfigDict

from chatstore import messages as ours
from chatstore.adapters import values
from chatstore.adapters.doors import is_lost, native
from chatstore.adapters.parts import said
from chatstore.errors import InvalidMessageError
from chatstore.formats import llama_index as format
from chatstore.records import Record


class UnknownBlock(BaseContentBlock):
    """A block of a type that this LlamaIndex does not have, with all that was stored of it."""

    model_config = ConfigDict(extra="allow")

    block_type: str

    @property
    def templatable_attributes(self) -> list[str]:
        """None: nothing in it is known to be a template."""
        return []


_CLASSES: dict[str, type[BaseContentBlock]] = {
    str(cls.model_fields["block_type"].default): cls
    for cls in (
        TextBlock,
        ImageBlock,
        AudioBlock,
        VideoBlock,
        DocumentBlock,
        CachePoint,
        CitableBlock,
        CitationBlock,
        ThinkingBlock,
        ToolCallBlock,
    )
}
_KNOWN = frozenset(_CLASSES.values())
_BYTES = frozenset(("image", "audio", "video", "data"))  # base64 already, as LlamaIndex holds them
_MEDIA = frozenset((ImageBlock, AudioBlock, VideoBlock))
_ELSE = MessageRole.ASSISTANT


def dump(message: ChatMessage, path: str = "message") -> ours.Message:
    """The message as it is stored.

    Raises:
        InvalidMessageError: It would not come back equal; the text names the path.
    """
    if type(message) is not ChatMessage:
        raise InvalidMessageError(
            f"{path} is a {type(message).__name__}, not a ChatMessage of LlamaIndex itself; "
            "its class would be lost"
        )
    role = str(getattr(message.role, "value", message.role))
    notes: values.Notes = []
    blocks = [
        {"block_type": "text", "text": block.text}
        if type(block) is TextBlock
        else _dump(block, f"{path}.blocks[{i}]", notes, ("blocks", i))
        for i, block in enumerate(message.blocks)
    ]
    extra: Any = message.additional_kwargs
    if extra:
        extra = values.plain(extra, notes, ("additional_kwargs",))
    if not notes:
        try:
            return ours.ChatMessage(role=role, blocks=blocks, additional_kwargs=extra)
        except ValueError:
            # What pydantic refuses is refused with its path below.
            pass
    fields = {"role": role, "additional_kwargs": extra, "blocks": blocks, "types": notes}
    return ours.NativeMessage(format.NAME, fields)


def dump_all(messages: list[ChatMessage]) -> list[ours.Message]:
    """The messages as they are stored."""
    return [dump(message, f"messages[{i}]") for i, message in enumerate(messages)]


def _dump(value: Any, path: str, notes: values.Notes, steps: values.Steps) -> Any:
    kind = type(value)
    if kind is UnknownBlock:
        found = {"block_type": value.block_type, **(value.__pydantic_extra__ or {})}
        return values.plain(found, notes, steps)
    if kind is CacheControl:
        return dict(value.__dict__)
    if kind not in _KNOWN:
        raise InvalidMessageError(
            f"{path} is a {kind.__name__}, which is no block of LlamaIndex; its class would be lost"
        )
    fields: dict[str, Any] = {}
    for name in kind.model_fields:
        item = getattr(value, name)
        if isinstance(item, BaseModel):
            item = _dump(item, f"{path}.{name}", notes, (*steps, name))
        elif name == "content" and isinstance(item, list):
            item = [
                _dump(part, f"{path}.{name}[{i}]", notes, (*steps, name, i))
                for i, part in enumerate(item)
            ]
        elif name in _BYTES and isinstance(item, bytes):
            item = _ascii(item, f"{path}.{name}")
        elif isinstance(item, AnyUrl) or (kind in _MEDIA and isinstance(item, Path)):
            item = str(item)
        else:
            item = values.plain(item, notes, (*steps, name))
        fields[name] = item
    return fields


def _ascii(data: bytes, path: str) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise InvalidMessageError(
            f"{path} is bytes that are not base64; give them to the block when it is made"
        ) from None


def load(record: Record) -> ChatMessage:
    """The message of a record, whoever wrote it: equal if LlamaIndex did, else a view."""
    if record.format == format.NAME:
        try:
            fields = native(record)
            notes = fields.pop("types")
            return _message(values.restore(fields, notes))
        except (ValueError, TypeError, KeyError):
            pass
    is_lost(record)  # said, and shown as empty: callers count the places of messages
    return view(record.message)


def load_all(records: list[Record]) -> list[ChatMessage]:
    """The messages of records."""
    return [message for record in records for message in _loaded(record)]


def _loaded(record: Record) -> list[ChatMessage]:
    parts = said(record)
    return [load(record)] if len(parts) == 1 else list(map(view, parts))


def view(message: ours.ChatMessage) -> ChatMessage:
    """One of our messages as one of LlamaIndex's."""
    blocks = message.blocks
    return _message(
        {
            "role": message.role,
            "additional_kwargs": message.additional_kwargs,
            "blocks": blocks,
        }
    )


def _message(fields: dict[str, Any]) -> ChatMessage:
    try:
        role = MessageRole(fields["role"])
    except ValueError:
        role = _ELSE
    # Not validated: a validator of theirs opens files that may be gone, and reads `images`.
    return ChatMessage.model_construct(
        role=role,
        additional_kwargs=fields["additional_kwargs"],
        blocks=[_block(block) for block in fields["blocks"]],
    )


def _block(fields: dict[str, Any]) -> Any:
    cls = _CLASSES.get(fields["block_type"])
    if cls is TextBlock and len(fields) == 2 and isinstance(fields.get("text"), str):
        return TextBlock.model_construct(**fields)
    if cls is None:
        return UnknownBlock.model_construct(**fields)
    try:
        if fields.keys() == cls.model_fields.keys():
            return cls.model_construct(**{k: _field(cls, k, v) for k, v in fields.items()})
        if fields.keys() < cls.model_fields.keys():
            return cls.model_validate(fields)
    except (ValueError, TypeError, OSError):
        pass
    return UnknownBlock.model_construct(**fields)


def _field(cls: type[BaseContentBlock], name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _BYTES and isinstance(value, str):
        return value.encode("ascii")
    if cls in _MEDIA:
        return AnyUrl(value) if name == "url" else Path(value) if name == "path" else value
    if name == "cache_control":
        return CacheControl.model_validate(value)
    if name == "cited_content":
        return _block(value)
    if name == "content" and isinstance(value, list):
        return [_block(part) for part in value]
    return value
