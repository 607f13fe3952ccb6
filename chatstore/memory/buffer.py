"""`ChatMemoryBuffer`, and its async twin."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Self

from chatstore.aio import AsyncChatStore
from chatstore.memory import tokens
from chatstore.memory.tokens import Tokenizer
from chatstore.memory.window import Count, fit, is_instruction
from chatstore.messages import ChatMessage, Message
from chatstore.records import Record
from chatstore.simple import AsyncSimpleChatStore, SimpleChatStore
from chatstore.store import ChatStore

DEFAULT_LIMIT = 3000
DEFAULT_KEY = "chat_history"

_FIRST_PAGE = 32
"""How many of the newest messages are read at first; each further try reads twice as many."""


class _Limit:
    """The limit, and what is chosen within it."""

    def __init__(self, token_limit: int, tokenizer_fn: Tokenizer | None) -> None:
        if token_limit < 1:
            raise ValueError(f"token_limit is {token_limit}; it is at least 1")
        self.tokens = token_limit
        self.tokenizer = tokenizer_fn or tokens.default_tokenizer()
        self.count: Count = partial(tokens.count, tokenizer=self.tokenizer)

    def left(self, initial_token_count: int) -> int:
        """What an initial count leaves."""
        if initial_token_count > self.tokens:
            raise ValueError(
                f"initial_token_count is {initial_token_count}, more than the limit of "
                f"{self.tokens}; shorten the prompt or raise token_limit"
            )
        return self.tokens - initial_token_count

    def choose(
        self, newest: Sequence[ChatMessage], first: ChatMessage | None, limit: int, *, whole: bool
    ) -> list[ChatMessage] | None:
        """The window, or `None` if older messages must be seen."""
        if first is None or not is_instruction(first):
            return fit(newest, limit, self.count, whole=whole)
        rest = newest[1:] if whole and newest[:1] == [first] else newest
        chosen = fit(rest, limit - self.count(first), self.count, whole=whole)
        if chosen is None:
            return None
        if not rest or sum(map(self.count, chosen)) + self.count(first) <= limit:
            return [first, *chosen]
        return fit(rest, limit, self.count, whole=whole)


def _shown(records: Sequence[Record]) -> ChatMessage | None:
    """The leading message, unless it is archived."""
    return next((record.message for record in records if record.status == "active"), None)


class ChatMemoryBuffer:
    """The newest messages of a conversation that fit into a number of tokens.

    `get()` reads from the newest end and only as far as the window reaches, so that it costs the
    same with a million messages behind it. Every block and every tool call counts. A leading
    system message stays in front. A tool call and its results are shown together or not at all.
    If even the newest message is longer than the limit, it comes alone (with the call that it
    answers). Archived messages are not shown.

    Args:
        token_limit: The tokens that `get()` may return, at least 1.
        chat_store: Where the messages are kept; a `SimpleChatStore` if none is given.
        chat_store_key: The key of the conversation.
        tokenizer_fn: From a text to its tokens, of which the number counts. By default tiktoken's,
            if it is installed with its vocabulary, else a token for every four bytes of UTF-8.

    Raises:
        ValueError: `token_limit` is less than 1.

    Example:
        >>> memory = ChatMemoryBuffer.from_defaults(token_limit=8, tokenizer_fn=str.split)
        >>> memory.put(ChatMessage("a question of six words, long"))
        >>> memory.put(ChatMessage("a short answer", role="assistant"))
        >>> [message.content for message in memory.get()]
        ['a short answer']
    """

    def __init__(
        self,
        token_limit: int = DEFAULT_LIMIT,
        chat_store: ChatStore | None = None,
        chat_store_key: str = DEFAULT_KEY,
        tokenizer_fn: Tokenizer | None = None,
    ) -> None:
        self._limit = _Limit(token_limit, tokenizer_fn)
        self.chat_store = SimpleChatStore() if chat_store is None else chat_store
        self.chat_store_key = chat_store_key

    @classmethod
    def from_defaults(
        cls,
        token_limit: int = DEFAULT_LIMIT,
        chat_store: ChatStore | None = None,
        chat_store_key: str = DEFAULT_KEY,
        tokenizer_fn: Tokenizer | None = None,
        chat_history: Sequence[Message] | None = None,
    ) -> Self:
        """A buffer; `chat_history`, unless empty, takes the place of what the store holds."""
        memory = cls(token_limit, chat_store, chat_store_key, tokenizer_fn)
        if chat_history:
            memory.set(chat_history)
        return memory

    @property
    def token_limit(self) -> int:
        """The tokens that `get()` may return."""
        return self._limit.tokens

    def get(self, input: Any = None, initial_token_count: int = 0) -> list[ChatMessage]:  # noqa: A002
        """The window, oldest first.

        Args:
            input: Taken for the sake of callers that pass it; nothing depends on it.
            initial_token_count: Tokens that something else takes of the limit.

        Raises:
            ValueError: `initial_token_count` is more than the limit.
        """
        limit = self._limit.left(initial_token_count)
        key, store = self.chat_store_key, self.chat_store
        first = _shown(store.get_records(key, start=0, stop=1))
        n = _FIRST_PAGE
        while True:
            newest = store.get_messages(key, last=n, status="active")
            window = self._limit.choose(newest, first, limit, whole=len(newest) < n)
            if window is not None:
                return window
            n *= 2

    def get_all(self) -> list[ChatMessage]:
        """All messages of the conversation."""
        return self.chat_store.get_messages(self.chat_store_key)

    def put(self, message: Message) -> None:
        """Append a message."""
        self.chat_store.add_message(self.chat_store_key, message)

    def put_messages(self, messages: Sequence[Message]) -> None:
        """Append messages, all or none."""
        self.chat_store.add_messages(self.chat_store_key, messages)

    def set(self, messages: Sequence[Message]) -> None:
        """Put messages in the place of the conversation."""
        self.chat_store.set_messages(self.chat_store_key, messages)

    def reset(self) -> None:
        """Remove the conversation."""
        self.chat_store.delete_messages(self.chat_store_key)


class AsyncChatMemoryBuffer:
    """`ChatMemoryBuffer` over an `AsyncChatStore`.

    Args:
        token_limit: As in `ChatMemoryBuffer`.
        chat_store: As in `ChatMemoryBuffer`; an `AsyncSimpleChatStore` if none is given.
        chat_store_key: As in `ChatMemoryBuffer`.
        tokenizer_fn: As in `ChatMemoryBuffer`.

    Raises:
        ValueError: `token_limit` is less than 1.

    Example:
        >>> import asyncio
        >>> async def main():
        ...     memory = await AsyncChatMemoryBuffer.from_defaults()
        ...     await memory.put(ChatMessage("Hello"))
        ...     return await memory.get()
        >>> asyncio.run(main())[0].content
        'Hello'
    """

    def __init__(
        self,
        token_limit: int = DEFAULT_LIMIT,
        chat_store: AsyncChatStore | None = None,
        chat_store_key: str = DEFAULT_KEY,
        tokenizer_fn: Tokenizer | None = None,
    ) -> None:
        self._limit = _Limit(token_limit, tokenizer_fn)
        self.chat_store = AsyncSimpleChatStore() if chat_store is None else chat_store
        self.chat_store_key = chat_store_key

    @classmethod
    async def from_defaults(
        cls,
        token_limit: int = DEFAULT_LIMIT,
        chat_store: AsyncChatStore | None = None,
        chat_store_key: str = DEFAULT_KEY,
        tokenizer_fn: Tokenizer | None = None,
        chat_history: Sequence[Message] | None = None,
    ) -> Self:
        """A buffer; `chat_history`, unless empty, takes the place of what the store holds."""
        memory = cls(token_limit, chat_store, chat_store_key, tokenizer_fn)
        if chat_history:
            await memory.set(chat_history)
        return memory

    @property
    def token_limit(self) -> int:
        """The tokens that `get()` may return."""
        return self._limit.tokens

    async def get(self, input: Any = None, initial_token_count: int = 0) -> list[ChatMessage]:  # noqa: A002
        """The window, oldest first.

        Args:
            input: Taken for the sake of callers that pass it; nothing depends on it.
            initial_token_count: Tokens that something else takes of the limit.

        Raises:
            ValueError: `initial_token_count` is more than the limit.
        """
        limit = self._limit.left(initial_token_count)
        key, store = self.chat_store_key, self.chat_store
        first = _shown(await store.get_records(key, start=0, stop=1))
        n = _FIRST_PAGE
        while True:
            newest = await store.get_messages(key, last=n, status="active")
            window = self._limit.choose(newest, first, limit, whole=len(newest) < n)
            if window is not None:
                return window
            n *= 2

    async def get_all(self) -> list[ChatMessage]:
        """All messages of the conversation."""
        return await self.chat_store.get_messages(self.chat_store_key)

    async def put(self, message: Message) -> None:
        """Append a message."""
        await self.chat_store.add_message(self.chat_store_key, message)

    async def put_messages(self, messages: Sequence[Message]) -> None:
        """Append messages, all or none."""
        await self.chat_store.add_messages(self.chat_store_key, messages)

    async def set(self, messages: Sequence[Message]) -> None:
        """Put messages in the place of the conversation."""
        await self.chat_store.set_messages(self.chat_store_key, messages)

    async def reset(self) -> None:
        """Remove the conversation."""
        await self.chat_store.delete_messages(self.chat_store_key)
