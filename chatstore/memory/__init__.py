"""The newest part of a conversation that fits into a model's context."""

from chatstore.memory.buffer import AsyncChatMemoryBuffer, ChatMemoryBuffer

__all__ = ["AsyncChatMemoryBuffer", "ChatMemoryBuffer"]
