"""The store in memory: no driver, no file but the one that it is asked to write."""

from chatstore.simple.store import AsyncSimpleChatStore, SimpleChatStore

__all__ = ["AsyncSimpleChatStore", "SimpleChatStore"]
