"""The store in memory: no driver, no file but the one that it is asked to write."""

from chatstore.simple.aio import AsyncSimpleChatStore
from chatstore.simple.store import SimpleChatStore

__all__ = ["AsyncSimpleChatStore", "SimpleChatStore"]
