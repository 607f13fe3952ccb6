"""The store in Redis or Valkey, and its async face."""

from chatstore.redis.aio import AsyncRedisChatStore
from chatstore.redis.store import RedisChatStore

__all__ = ["AsyncRedisChatStore", "RedisChatStore"]
