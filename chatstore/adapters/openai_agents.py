"""The OpenAI Agents SDK on a store.

Example:
    >>> async with ChatStoreSession("user1", "memory://") as session:
    ...     await session.add_items([{"role": "user", "content": "Hello"}])
    ...     await session.get_items()
    [{'role': 'user', 'content': 'Hello'}]
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

from chatstore import arguments
from chatstore.adapters.doors import (
    AnyStoreOrURL,
    again,
    arguments_of,
    awaiting,
    is_lost,
    missing,
    native,
)
from chatstore.adapters.parts import said, unfolded, without_last_part
from chatstore.errors import ConflictError, InvalidMessageError
from chatstore.formats import openai_responses as format
from chatstore.messages import TEXT, Block, ChatMessage, NativeMessage, UndecodableMessage
from chatstore.records import Record

try:
    from agents import SessionSettings
    from agents.items import TResponseInputItem
except ImportError as error:
    raise missing("openai-agents", error) from error

__all__ = ["ChatStoreSession"]

_ROLES = frozenset(("user", "assistant", "system", "developer"))
_RESULTS = frozenset(("tool", "function"))


class _Snapshot(NamedTuple):
    """What the SDK reads of a snapshot; its own class is private."""

    items: list[TResponseInputItem]
    complete: bool
    replace_suffix: Callable[[int, list[TResponseInputItem]], Awaitable[bool]]


class ChatStoreSession:
    """The `Session` of the OpenAI Agents SDK: a conversation of a store, item by item.

    Items come back equal to what went in. What other frameworks wrote is shown as items that say
    the same; the model is never shown a tool output at the start of a window whose call is
    missing (the SDK leaves it out; `get_items` itself returns exactly the newest ones).

    Args:
        session_id: The key of the conversation.
        store: A `ChatStore`, an `AsyncChatStore`, or a URL to open; only what was opened here is
            closed by `close()`.
        session_settings: Its `limit` is what `get_items()` returns at most; a dict will do.

    Raises:
        InvalidKeyError: `session_id` is no key.
        TypeError: `store` is none of these, or there is no such setting.

    Example:
        >>> from chatstore import open_store
        >>> with open_store("memory://") as store:
        ...     session = ChatStoreSession("user1", store)
        ...     await session.add_items([{"role": "user", "content": "Hello"}])
        ...     store.get_messages("user1")[0].content
        'Hello'
    """

    session_id: str
    session_settings: SessionSettings | None

    def __init__(
        self,
        session_id: str,
        store: AnyStoreOrURL,
        *,
        session_settings: SessionSettings | dict[str, Any] | None = None,
    ) -> None:
        self.session_id = arguments.check_key(session_id)
        self.session_settings = _settings(session_settings)
        self._store, self._opened = awaiting(store)

    def __repr__(self) -> str:
        return f"ChatStoreSession({self.session_id!r}, {self._store!r})"

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """The newest `limit` items, oldest first; without a limit, that of the settings.

        Raises:
            ValueError: The limit is negative.
        """
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        if limit is None:
            return _items(await self._store.get_records(self.session_id))
        n = arguments.check_count("limit", limit)
        while n:
            records = await self._store.get_records(self.session_id, last=n)
            items = _items(records)
            if len(items) >= limit or len(records) < n:
                return items[-limit:]
            n *= 2  # other frameworks' messages may be no item at all
        return []

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Append items, all or none.

        Raises:
            InvalidMessageError: One holds what JSON cannot hold; the text names the path.
        """
        await self._store.add_messages(self.session_id, _native_all(items))

    async def pop_item(self) -> TResponseInputItem | None:
        """Remove and return the newest item; `None` if there is none."""
        key, store = self.session_id, self._store
        while (conversation := await store.get_conversation(key)) is not None:
            newest = await store.get_records(key, last=1)
            items = _items(newest)
            revision = conversation.revision
            with suppress(ConflictError):
                if len(items) > 1:
                    # Another framework's message is several items: the rest of it stays.
                    rest = _without_last(newest[0].message)
                    await store.update_message(key, -1, rest, expected_revision=revision)
                    return items[-1]
                if newest and isinstance(newest[0].message, UndecodableMessage):
                    raise InvalidMessageError(
                        f"the newest item of {key!r} cannot be decoded; remove it with "
                        "delete_last_message of its store, or upgrade chatstore-sql"
                    )
                await store.delete_last_message(key, expected_revision=revision)
                if newest:
                    return items[0] if items else _empty(newest[0].message)
        return None

    async def clear_session(self) -> None:
        """Remove the conversation."""
        await self._store.delete_messages(self.session_id)

    # How the SDK's `OpenAIResponsesCompactionSession` asks a session to put a summary in the place
    # of what it sums up. A session without these is cleared first and written then, and whoever
    # is killed in between loses the conversation; what others wrote meanwhile is lost anyway.

    async def _atomic_replace_items(self, items: list[TResponseInputItem]) -> bool:
        """Put items in the place of all others in one step; `False`: do it in another way."""
        if type(self) is not ChatStoreSession:
            return False  # a subclass may keep other items than it shows
        await self._store.set_messages(self.session_id, _native_all(items))
        return True

    async def _get_compaction_snapshot(self, limit: int, **options: Any) -> Any:
        """All items, if there are at most so many, and how to replace the last of them.

        That fails if the conversation changed in between. `None`: it cannot be replaced so.
        """
        key, store = self.session_id, self._store
        if type(self) is not ChatStoreSession or options.get("prune_prefix") is not None:
            return None
        conversation = await store.get_conversation(key)
        records = await store.get_records(key, last=limit)
        # A message of another framework is no item, or several of them.
        kept = all(r.format == format.NAME and r.status == "active" for r in records)
        if conversation is None or conversation.count > len(records) or not kept:
            return None

        async def replace_suffix(start: int, output: list[TResponseInputItem]) -> bool:
            messages = [*map(again, records[:start]), *_native_all(output)]
            with suppress(ConflictError):
                await store.set_messages(key, messages, expected_revision=conversation.revision)
                return True
            return False

        return _Snapshot(_items(records), True, replace_suffix)

    async def close(self) -> None:
        """Close the store if it was opened here. Closing twice is fine."""
        if self._opened:
            await self._store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


def _settings(given: SessionSettings | dict[str, Any] | None) -> SessionSettings:
    if isinstance(given, SessionSettings):
        return given
    known = {field.name for field in fields(SessionSettings)}
    if unknown := (given or {}).keys() - known:
        raise TypeError(f"Unknown session settings: {', '.join(sorted(unknown))}")
    return SessionSettings(**given or {})


def _native_all(items: Sequence[Any]) -> list[NativeMessage]:
    return [_native(item, place) for place, item in enumerate(items)]


def _native(item: Any, place: int) -> NativeMessage:
    if not isinstance(item, Mapping):
        raise InvalidMessageError(f"items[{place}]: an item is a dict, not {type(item).__name__}")
    return NativeMessage(format.NAME, cast(Mapping[str, Any], item))


def _items(records: Sequence[Record]) -> list[TResponseInputItem]:
    found: list[Any] = []
    for record in records:
        if is_lost(record):
            continue  # it was said, for their own sessions drop such items without a word
        if record.format == format.NAME:
            found.append(native(record))
        else:
            found += [item for message in said(record) for item in shown(message)]
    return found


def shown(message: ChatMessage) -> list[dict[str, Any]]:
    """A message of any other framework as items: its texts, then its calls.

    Example:
        >>> shown(ChatMessage("21 C", role="tool", additional_kwargs={"tool_call_id": "c1"}))
        [{'type': 'function_call_output', 'call_id': 'c1', 'output': '21 C'}]
    """
    call_id = message.additional_kwargs.get("tool_call_id")
    if message.role in _RESULTS and isinstance(call_id, str):
        return [
            {"type": "function_call_output", "call_id": call_id, "output": message.content or ""}
        ]
    role = message.role if message.role in _ROLES else "assistant"
    images = [_image(block) for block in message.blocks] if role == "user" else []
    items: list[dict[str, Any]] = []
    if any(images):
        parts = [_part(block) for block in message.blocks]
        items.append({"role": role, "content": [part for part in parts if part is not None]})
    elif message.content is not None:
        items.append({"role": role, "content": message.content})
    return items + [_call(block) for block in message.blocks if _is_call(block)]


def _part(block: Block) -> dict[str, Any] | None:
    if block["block_type"] == TEXT and isinstance(block.get("text"), str):
        return {"type": "input_text", "text": block["text"]}
    url = _image(block)
    return url and {"type": "input_image", "image_url": url, "detail": "auto"}


def _empty(message: ChatMessage) -> TResponseInputItem:
    return cast(TResponseInputItem, {"role": message.role, "content": ""})


def _image(block: Block) -> Any:
    if block["block_type"] != "image":
        return None
    if isinstance(block.get("image"), str):
        return f"data:{block.get('image_mimetype') or 'image/png'};base64,{block['image']}"
    return block.get("url") or None


def _is_call(block: Block) -> bool:
    return block["block_type"] == "tool_call" and isinstance(block.get("tool_call_id"), str)


def _call(block: Block) -> dict[str, Any]:
    return {
        "type": "function_call",
        "call_id": block["tool_call_id"],
        "name": block.get("tool_name") or "",
        "arguments": arguments_of(block),
    }


def _without_last(message: ChatMessage) -> ChatMessage:
    """The message without its last call, or the last part of its request."""
    if len(unfolded(message)) > 1:
        return without_last_part(message)
    last = max(place for place, block in enumerate(message.blocks) if _is_call(block))
    blocks = [block for place, block in enumerate(message.blocks) if place != last]
    # The other calls are in `tool_calls` too, where the last one would live on.
    extra = {k: v for k, v in message.additional_kwargs.items() if k != "tool_calls"}
    return ChatMessage(role=message.role, blocks=blocks, additional_kwargs=extra, id=message.id)
