"""From a URL to a store."""

import os
from typing import TYPE_CHECKING, Any, Literal

from chatstore import arguments

if TYPE_CHECKING:
    from chatstore.aio import AsyncChatStore
    from chatstore.store import ChatStore

Durability = Literal["full", "normal"]
_Kind = Literal["memory", "sql", "redis"]

_KINDS: dict[str, _Kind] = {
    "memory": "memory",
    "sqlite": "sql",
    "postgresql": "sql",
    "postgres": "sql",
    "redis": "redis",
    "rediss": "redis",
    "unix": "redis",
    "valkey": "redis",
    "valkeys": "redis",
}


def open_store(
    url: str | os.PathLike[str],
    *,
    ttl: float | None = None,
    namespace: str = "",
    durability: Durability = "full",
    upgrade: bool | None = None,
    strict: bool = False,
    **options: Any,
) -> "ChatStore":
    """The store that a URL names, for callers that block.

    Args:
        url: "chat.db" or "sqlite:///chat.db" for a SQLite file, which is created if need be;
            "sqlite://" for SQLite in memory; "memory://"; "postgresql://…"; "redis://…",
            "redis+cluster://…", "redis+sentinel://…".
        ttl: Seconds that new conversations live after each write; `None`: for ever.
        namespace: Stores with different namespaces over one database never see each other.
        durability: On SQLite, "full" survives a power cut, "normal" the death of the process.
            Other stores give what their servers' configuration gives.
        upgrade: Whether an older schema is upgraded; `None`: on SQLite yes, on PostgreSQL no.
        strict: Raise for a stored message that cannot be decoded, instead of returning an
            `UndecodableMessage`.
        **options: Those of `SQLChatStore` or `RedisChatStore`.

    Raises:
        ValueError: The URL names no store; an argument is out of its range.
        ChatStoreError: The store cannot be opened; the kind of error says why.

    Example:
        >>> with open_store("memory://", ttl=300) as store:
        ...     store.get_keys()
        []
    """
    arguments.check_durability(durability)
    kind = _kind(url)
    if kind == "memory":
        from chatstore.simple import SimpleChatStore

        return SimpleChatStore(ttl=ttl, namespace=namespace, strict=strict, **options)
    common: dict[str, Any] = {"ttl": ttl, "namespace": namespace, "strict": strict, **options}
    if kind == "redis":
        from chatstore.redis import RedisChatStore

        return RedisChatStore(os.fspath(url), **common)
    from chatstore.sql import SQLChatStore

    return SQLChatStore(url, durability=durability, upgrade=upgrade, **common)


def open_async_store(
    url: str | os.PathLike[str],
    *,
    ttl: float | None = None,
    namespace: str = "",
    durability: Durability = "full",
    upgrade: bool | None = None,
    strict: bool = False,
    **options: Any,
) -> "AsyncChatStore":
    """The store that a URL names, for callers that await. It is no coroutine itself.

    Args:
        url: As in `open_store`.
        ttl: As in `open_store`.
        namespace: As in `open_store`.
        durability: As in `open_store`.
        upgrade: As in `open_store`.
        strict: As in `open_store`.
        **options: As in `open_store`.

    Raises:
        ValueError: As in `open_store`.
        ChatStoreError: The store cannot be opened; what takes input and output is done, and may
            fail, at the first call.

    Example:
        >>> import asyncio
        >>> async def main():
        ...     async with open_async_store("memory://", ttl=300) as store:
        ...         return await store.get_keys()
        >>> asyncio.run(main())
        []
    """
    arguments.check_durability(durability)
    kind = _kind(url)
    if kind == "memory":
        from chatstore.simple import AsyncSimpleChatStore

        return AsyncSimpleChatStore(ttl=ttl, namespace=namespace, strict=strict, **options)
    common: dict[str, Any] = {"ttl": ttl, "namespace": namespace, "strict": strict, **options}
    if kind == "redis":
        from chatstore.redis import AsyncRedisChatStore

        return AsyncRedisChatStore(os.fspath(url), **common)
    from chatstore.sql import AsyncSQLChatStore

    return AsyncSQLChatStore(url, durability=durability, upgrade=upgrade, **common)


def _kind(url: str | os.PathLike[str]) -> _Kind:
    text = arguments.check_url(url)
    scheme, found, _ = text.partition("://")
    if not found:
        scheme, colon, _ = text.partition(":")
        if colon and scheme.partition("+")[0].lower() in _KINDS:
            # A slip would make a file of that name, and all seem well.
            raise ValueError(
                f"a store's URL begins with {scheme}://, not {scheme}:; a file of such a name is "
                "./… in front of it"
            )
        return "sql"  # the path of a SQLite file
    kind = _KINDS.get(scheme.partition("+")[0].lower())
    if kind is None:
        raise ValueError(
            f"no store is opened by {scheme}://; use chat.db, sqlite:///chat.db, memory://, "
            "postgresql://…, redis://…, redis+cluster://… or redis+sentinel://…"
        )
    return kind
