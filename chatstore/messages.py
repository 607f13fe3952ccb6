"""The message that goes in and comes out: `ChatMessage`, and its two special kinds."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

Block = dict[str, Any]
"""A part of a message: a dict with a `block_type`, whose other items depend on that type."""

TEXT = "text"


def text_block(text: str) -> Block:
    """The block that holds `text`.

    Example:
        >>> text_block("Hello")
        {'block_type': 'text', 'text': 'Hello'}
    """
    return {"block_type": TEXT, "text": text}


_UNKEPT = re.compile("[\0\ud800-\udfff]")


def is_kept(value: object) -> bool:
    """Whether it is a text of characters that every database keeps: no NUL, no lone surrogate.

    Example:
        >>> is_kept("alice"), is_kept("a" + chr(0))
        (True, False)
    """
    return isinstance(value, str) and (value.isprintable() or not _UNKEPT.search(value))


def exact(text: str) -> str:
    """The text as a plain `str`, whatever a subclass makes of itself.

    A member of an enum is a `str` as well, and a format string shows its name instead.

    Example:
        >>> import enum
        >>> class Role(str, enum.Enum):
        ...     USER = "user"
        >>> exact(Role.USER)
        'user'
    """
    return text if type(text) is str else str.__str__(text)


def is_role(value: object) -> bool:
    """Whether it can be a role: a text that every database keeps, and not empty.

    Example:
        >>> is_role("assistant"), is_role("")
        (True, False)
    """
    return value != "" and is_kept(value)


def _plain(value: object) -> object:
    return value.value if isinstance(value, Enum) else value


def _role(value: str) -> str:
    if not is_role(value):
        raise ValueError("a role is not empty, and holds neither NUL nor a lone surrogate")
    return value


def _typed(blocks: list[Block]) -> list[Block]:
    for place, block in enumerate(blocks):
        if not isinstance(block.get("block_type"), str):
            raise ValueError(
                f"block {place} has no block_type; a text is {{'block_type': 'text', 'text': '…'}}"
            )
    return blocks


def _blocks(content: str | Sequence[Block] | None) -> list[Block]:
    if content is None:
        return []
    return [text_block(content)] if isinstance(content, str) else list(content)


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("in UTC the moment is outside the years 1 to 9999") from None


class ChatMessage(BaseModel):
    """A message of a conversation, in the JSON shape of LlamaIndex's `ChatMessage`.

    Two messages are equal when their role, blocks, `additional_kwargs`, other fields and id are;
    `created_at` is a fact of storage and does not count.

    Args:
        content: The text, or the blocks. `None` makes a message without blocks.
        role: Who speaks: "user", "assistant", "system", "tool", or any other word.
        blocks: The parts, each a dict with a `block_type`; types unknown here are kept as they are.
        additional_kwargs: Whatever else belongs to the message and JSON can hold.
        id: The caller's own id, unique in its conversation: a message that is sent twice under
            the same id is stored once. The store never invents one.
        created_at: When it was stored: timezone-aware UTC, set by the store unless given.

    Raises:
        pydantic.ValidationError: (a `ValueError`) a field has the wrong type, `created_at` has no
            time zone, or both `content` and `blocks` are given.

    Example:
        >>> message = ChatMessage("Hello", role="user")
        >>> message.content
        'Hello'
        >>> message == ChatMessage(role="user", blocks=[text_block("Hello")])
        True
    """

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    role: Annotated[str, BeforeValidator(_plain), AfterValidator(_role)] = "user"
    additional_kwargs: dict[str, Any] = Field(default_factory=dict)
    blocks: Annotated[list[Block], AfterValidator(_typed)] = Field(default_factory=list)
    id: str | None = None
    created_at: Annotated[AwareDatetime, AfterValidator(_utc)] | None = None

    def __init__(self, /, content: str | Sequence[Block] | None = None, **data: Any) -> None:
        if content is not None:
            if data.get("blocks"):
                raise ValueError("a message takes content or blocks, not both")
            data["blocks"] = [text_block(content)] if isinstance(content, str) else content
        super().__init__(**data)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, as pydantic makes it; `content` in `update` replaces the blocks.

        Example:
            >>> ChatMessage("Hello", id="m1").model_copy(update={"content": "Hi"}).content
            'Hi'
        """
        if update is not None and "content" in update:
            if "blocks" in update:
                raise ValueError("a message takes content or blocks, not both")
            rest = {name: value for name, value in update.items() if name != "content"}
            update = rest | {"blocks": _blocks(update["content"])}
        return super().model_copy(update=update, deep=deep)

    @property
    def content(self) -> str | None:
        """The texts of the text blocks, joined by newlines; `None` when there is none.

        Setting it replaces all blocks, as the constructor's `content` would.
        """
        texts = [block.get("text") for block in self.blocks if block["block_type"] == TEXT]
        return "\n".join(text for text in texts if isinstance(text, str)) if texts else None

    @content.setter
    def content(self, content: str | Sequence[Block] | None) -> None:
        self.blocks = _blocks(content)

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ChatMessage):
            return NotImplemented
        return (
            type(self) is type(other)
            and self.id == other.id
            and self.role == other.role
            and self.blocks == other.blocks
            and self.additional_kwargs == other.additional_kwargs
            and (self.__pydantic_extra__ or {}) == (other.__pydantic_extra__ or {})
        )

    def __str__(self) -> str:
        return f"{self.role}: {self.content or ''}"


class UndecodableMessage(ChatMessage):
    """A stored message that this version cannot decode; its neighbours come back as ever.

    It has no blocks. The payload is in `raw`, exactly as stored.

    Args:
        raw: The stored payload.
        format: Whose JSON it claims to be.
        error: Why it could not be decoded.

    Example:
        >>> message = UndecodableMessage(raw="{}", format="chatstore/9", error="unknown format")
        >>> message.blocks, message.raw
        ([], '{}')
    """

    raw: str
    format: str
    error: str


class NativeMessage:
    """A message in the JSON of the framework that made it, stored as it is.

    It is accepted wherever a `ChatMessage` is written. `get_records` returns its payload unchanged,
    `get_messages` a view of it.

    Args:
        format: Whose JSON the payload is, as in `chatstore.formats`: "openai.chat", …
        payload: A JSON object as Python values.
        id: As in `ChatMessage`.
        created_at: As in `ChatMessage`.

    Example:
        >>> NativeMessage("openai.chat", {"role": "user", "content": "Hello"}).format
        'openai.chat'
    """

    __slots__ = ("created_at", "format", "id", "payload")

    def __init__(
        self,
        format: str,
        payload: Mapping[str, Any],
        *,
        id: str | None = None,
        created_at: datetime | None = None,
    ) -> None:
        if created_at is not None and created_at.tzinfo is None:
            raise ValueError("created_at has no time zone; use datetime.now(UTC)")
        self.format = format
        self.payload = payload
        self.id = id
        self.created_at = created_at

    def __repr__(self) -> str:
        return f"NativeMessage({self.format!r}, id={self.id!r})"


def what_is_wrong(error: ValueError) -> str | None:
    """What a message was refused for, without its text; `None`: another error.

    Example:
        >>> try:
        ...     ChatMessage("Hello", role="")
        ... except ValueError as error:
        ...     what_is_wrong(error)
        'role: a role is not empty, and holds neither NUL nor a lone surrogate'
    """
    if not isinstance(error, ValidationError):
        return None
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = "".join(f"{name}: " for name in first["loc"][:1])  # deeper ones may quote a key
    return field + first["msg"].removeprefix("Value error, ")


Message = ChatMessage | NativeMessage
"""What can be written."""
