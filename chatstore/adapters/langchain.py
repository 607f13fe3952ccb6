"""LangChain on a store.

Example:
    >>> with ChatStoreMessageHistory("user1", "memory://") as history:
    ...     history.add_user_message("Hello")
    ...     history.messages
    [HumanMessage(content='Hello', additional_kwargs={}, response_metadata={})]
"""

import json
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, cast

from chatstore import arguments
from chatstore.adapters import values
from chatstore.adapters.doors import (
    AnyStoreOrURL,
    arguments_of,
    blocking,
    is_lost,
    missing,
    native,
)
from chatstore.adapters.parts import said
from chatstore.aio import AsyncChatStore
from chatstore.errors import InvalidMessageError
from chatstore.formats import langchain as format
from chatstore.messages import TEXT, Block, ChatMessage, NativeMessage
from chatstore.records import Record
from chatstore.settle import in_thread
from chatstore.store import ChatStore

try:
    from langchain_core import messages as theirs
    from langchain_core.chat_history import BaseChatMessageHistory
    from langchain_core.messages import BaseMessage, messages_from_dict
except ImportError as error:
    raise missing("langchain", error) from error

__all__ = ["ChatStoreMessageHistory"]

_CLASSES: dict[str, type[BaseMessage]] = {
    cls.model_fields["type"].default: cls
    for cls in (
        theirs.AIMessage,
        theirs.AIMessageChunk,
        theirs.ChatMessage,
        theirs.ChatMessageChunk,
        theirs.FunctionMessage,
        theirs.FunctionMessageChunk,
        theirs.HumanMessage,
        theirs.HumanMessageChunk,
        theirs.RemoveMessage,
        theirs.SystemMessage,
        theirs.SystemMessageChunk,
        theirs.ToolMessage,
        theirs.ToolMessageChunk,
    )
}
_KNOWN = frozenset(_CLASSES.values())
_BY_ROLE: dict[str, type[BaseMessage]] = {
    "user": theirs.HumanMessage,
    "assistant": theirs.AIMessage,
    "system": theirs.SystemMessage,
}


class ChatStoreMessageHistory(BaseChatMessageHistory):
    """LangChain's `BaseChatMessageHistory`: a conversation of a store.

    Messages come back equal to what went in, and what could not is refused; those of other
    frameworks are shown as views. A batch is stored whole or not at all.

    Args:
        session_id: The key of the conversation.
        store: A `ChatStore`, or a URL to open; only what was opened here is closed by `close()`.
            With an `AsyncChatStore`, only the methods that await work.

    Raises:
        InvalidKeyError: `session_id` is no key.
        TypeError: `store` is none of these.

    Example:
        >>> from chatstore import open_store
        >>> with open_store("memory://") as store:
        ...     ChatStoreMessageHistory("user1", store).add_ai_message("Hello")
        ...     store.get_messages("user1")[0].role
        'assistant'
    """

    def __init__(self, session_id: str, store: AnyStoreOrURL) -> None:
        self.session_id = arguments.check_key(session_id)
        self._awaited: AsyncChatStore | None = None
        self._blocking: ChatStore | None = None
        self._opened = False
        if isinstance(store, AsyncChatStore):
            self._awaited = store
        else:
            self._blocking, self._opened = blocking(store)

    def __repr__(self) -> str:
        return f"ChatStoreMessageHistory({self.session_id!r}, {self._awaited or self._blocking!r})"

    @property
    def _store(self) -> ChatStore:
        if self._blocking is None:
            raise TypeError(
                "this history is on an AsyncChatStore; await aget_messages, aadd_messages and "
                "aclear, or give it a ChatStore"
            )
        return self._blocking

    @property
    def messages(self) -> list[BaseMessage]:
        """All messages, oldest first, in a new list."""
        return _load_all(self._store.get_records(self.session_id))

    @messages.setter
    def messages(self, messages: Sequence[BaseMessage]) -> None:
        self._store.set_messages(self.session_id, _dump(messages))

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append messages, all or none.

        Raises:
            InvalidMessageError: One would not come back equal; the text names the path.
        """
        self._store.add_messages(self.session_id, _dump(messages))

    def clear(self) -> None:
        """Remove the conversation."""
        self._store.delete_messages(self.session_id)

    async def aget_messages(self) -> list[BaseMessage]:
        """`messages`, awaited."""
        if self._awaited is None:
            return await in_thread(lambda: self.messages)
        return _load_all(await self._awaited.get_records(self.session_id))

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """`add_messages`, awaited."""
        if self._awaited is None:
            await in_thread(self.add_messages, messages)
        else:
            await self._awaited.add_messages(self.session_id, _dump(messages))

    async def aclear(self) -> None:
        """`clear`, awaited."""
        if self._awaited is None:
            await in_thread(self.clear)
        else:
            await self._awaited.delete_messages(self.session_id)

    def close(self) -> None:
        """Close the store if it was opened here. Closing twice is fine."""
        if self._opened:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _dump(messages: Sequence[BaseMessage]) -> list[NativeMessage]:
    return [_native(message, f"messages[{place}]") for place, message in enumerate(messages)]


def _native(message: BaseMessage, path: str) -> NativeMessage:
    if type(message) not in _KNOWN:
        raise InvalidMessageError(
            f"{path} is a {type(message).__name__}, which is no message of LangChain itself; "
            "its class would be lost"
        )
    notes: values.Notes = []
    # Its fields themselves: `model_dump` would make dicts of objects, and say nothing of it.
    fields = {**message.__dict__, **(message.__pydantic_extra__ or {})}
    payload = {"type": message.type, "data": values.plain(fields, notes)}
    if notes:
        payload["types"] = notes
    return NativeMessage(format.NAME, payload)


def _load_all(records: Sequence[Record]) -> list[BaseMessage]:
    return [message for record in records for message in _loaded(record)]


def _loaded(record: Record) -> list[BaseMessage]:
    if record.format == format.NAME:
        try:
            payload = native(record)
            data = values.restore(payload["data"], payload.get("types"))
            return [_made(payload["type"], data)]
        except (ValueError, TypeError, KeyError):
            pass  # a type or a field that this LangChain does not have
    # Shown as empty, it would be sent to models that refuse a message without text.
    return [] if is_lost(record) else list(map(shown, said(record)))


def _made(kind: str, data: dict[str, Any]) -> BaseMessage:
    cls = _CLASSES.get(kind)
    if cls is not None and data.keys() >= cls.model_fields.keys():
        # As it was dumped above. A validator would fill in what the caller had left out.
        return cls.model_construct(**data)
    return messages_from_dict([{"type": kind, "data": data}])[0]


def shown(message: ChatMessage) -> BaseMessage:
    """A message of any other framework as LangChain's: its role, texts, calls and the rest.

    Example:
        >>> shown(ChatMessage("21 C", role="tool", additional_kwargs={"tool_call_id": "c1"}))
        ToolMessage(content='21 C', tool_call_id='c1')
    """
    blocks = [block for block in message.blocks if block["block_type"] != "tool_call"]
    fields: dict[str, Any] = {"content": _content(blocks)}
    extra = message.additional_kwargs
    if message.id is not None:
        fields["id"] = message.id
    call_id = extra.get("tool_call_id")
    if message.role in ("tool", "function") and isinstance(call_id, str):
        rest = {k: v for k, v in extra.items() if k != "tool_call_id"}
        return theirs.ToolMessage(**fields, tool_call_id=call_id, additional_kwargs=rest)
    fields["additional_kwargs"] = dict(extra)
    cls = _BY_ROLE.get(message.role)
    if cls is None:
        return theirs.ChatMessage(role=message.role, **fields)
    if cls is theirs.AIMessage:
        calls = [_call(block) for block in message.blocks if block["block_type"] == "tool_call"]
        fields["tool_calls"] = [call for call in calls if isinstance(call["args"], dict)]
        fields["invalid_tool_calls"] = [call for call in calls if isinstance(call["args"], str)]
    return cls(**fields)


def _content(blocks: list[Block]) -> str | list[str | dict[str, Any]]:
    if len(blocks) == 1 and isinstance(blocks[0].get("text"), str):
        return cast(str, blocks[0]["text"])
    return [_part(block) for block in blocks] or ""


def _part(block: Block) -> str | dict[str, Any]:
    kind = block["block_type"]
    rest = {name: value for name, value in block.items() if name != "block_type"}
    if kind == TEXT:
        return {"type": "text", **rest}
    if kind == "image":
        data = block.get("image")
        mime = block.get("image_mimetype") or "image/png"
        url = f"data:{mime};base64,{data}" if isinstance(data, str) else block.get("url")
        return {"type": "image_url", "image_url": {"url": url}}
    if kind == "thinking":
        return {"type": "reasoning", "reasoning": block.get("content") or ""}
    return {**rest, "type": kind}


def _call(block: Block) -> dict[str, Any]:
    text = arguments_of(block)
    call = {"name": str(block.get("tool_name") or ""), "id": block.get("tool_call_id")}
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if isinstance(given, dict):
        return {**call, "args": given, "type": "tool_call"}
    return {**call, "args": text, "error": "not the JSON of an object", "type": "invalid_tool_call"}
