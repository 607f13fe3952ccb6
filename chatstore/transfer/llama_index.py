"""What LlamaIndex can read: one message that it refuses would keep it from a whole document.

These shapes mirror those of its `ChatMessage` (`llama_index.core.base.llms.types`, 0.14), so that
pydantic decides here as it would there; LlamaIndex itself is not imported.
"""

from typing import Annotated, Any, Literal

from pydantic import AnyUrl, BaseModel, Field, TypeAdapter, ValidationError

from chatstore.messages import ChatMessage

ROLES = frozenset(
    ("system", "developer", "user", "assistant", "function", "tool", "chatbot", "model")
)
_ELSE = "assistant"  # whose message it is when LlamaIndex has no such role


class _Text(BaseModel):
    block_type: Literal["text"]
    text: str


class _Image(BaseModel):
    block_type: Literal["image"]
    image: bytes | None = None
    path: None = None  # else LlamaIndex looks for the file
    url: AnyUrl | None = None
    image_mimetype: str | None = None
    detail: str | None = None


class _Audio(BaseModel):
    block_type: Literal["audio"]
    audio: bytes | None = None
    path: None = None
    url: AnyUrl | None = None
    format: str | None = None


class _Video(BaseModel):
    block_type: Literal["video"]
    video: bytes | None = None
    path: None = None
    url: AnyUrl | None = None
    video_mimetype: str | None = None
    detail: str | None = None
    fps: int | None = None


class _Document(BaseModel):
    block_type: Literal["document"]
    data: bytes | None = None
    path: str | None = None
    url: str | None = None
    title: str | None = None
    document_mimetype: str | None = None


class _CacheControl(BaseModel):
    type: str
    ttl: str = "5m"


class _CachePoint(BaseModel):
    block_type: Literal["cache"]
    cache_control: _CacheControl


class _Citable(BaseModel):
    block_type: Literal["citable"]
    title: str
    source: str
    content: str | list[Annotated[_Text | _Image | _Document, Field(discriminator="block_type")]]


class _Citation(BaseModel):
    block_type: Literal["citation"]
    cited_content: str | Annotated[_Text | _Image, Field(discriminator="block_type")]
    source: str
    title: str
    additional_location_info: dict[str, int]


class _Thinking(BaseModel):
    block_type: Literal["thinking"]
    content: str | None = None
    num_tokens: int | None = None
    additional_information: dict[str, Any] = {}


class _ToolCall(BaseModel):
    block_type: Literal["tool_call"]
    tool_call_id: str | None = None
    tool_name: str
    tool_kwargs: dict[str, Any] | str = {}


_BLOCK: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        _Text
        | _Image
        | _Audio
        | _Video
        | _Document
        | _CachePoint
        | _Citable
        | _Citation
        | _Thinking
        | _ToolCall,
        Field(discriminator="block_type"),
    ]
)
_KWARGS: TypeAdapter[Any] = TypeAdapter(dict[str, Any])


def reads(message: dict[str, Any]) -> bool:
    """Whether LlamaIndex reads the message as it is, and loses nothing of it."""
    return (
        message.keys() == {"role", "additional_kwargs", "blocks"}
        and message["role"] in ROLES
        and _holds(_KWARGS, message["additional_kwargs"])
        and all(_holds(_BLOCK, block) for block in message["blocks"])
    )


def shown(view: ChatMessage) -> dict[str, Any]:
    """What LlamaIndex can read of a message."""
    kwargs = view.additional_kwargs
    return {
        "role": view.role if view.role in ROLES else _ELSE,
        "additional_kwargs": kwargs if _holds(_KWARGS, kwargs) else {},
        "blocks": [block for block in view.blocks if _holds(_BLOCK, block)],
    }


def _holds(adapter: TypeAdapter[Any], value: Any) -> bool:
    try:
        adapter.validate_python(value)
    except (ValidationError, UnicodeError):
        return False
    return True
