"""What a Redis store was opened with; the same for both faces."""

from dataclasses import dataclass
from typing import Any

from chatstore import arguments, errors
from chatstore.redis import faults
from chatstore.redis.address import Address, read
from chatstore.redis.keys import Names
from chatstore.redis.plans import Plans
from chatstore.redis.retries import Patience


@dataclass(slots=True)
class Settings:
    """Arguments, checked.

    Attributes:
        plans: How operations are carried out.
        address: What the URL says; `None` with a client of the caller's.
        where: How errors and `repr` call the server.
        replicas: How many must confirm a write.
        wait_ms: For how long they are waited for.
    """

    plans: Plans
    address: Address | None
    where: str
    replicas: int
    wait_ms: int

    @property
    def holds(self) -> bool:
        """Whether the store may keep connections: they are its own, and are not numbered."""
        address = self.address
        return (
            address is not None
            and address.kind != "cluster"
            and "max_connections" not in address.options
        )

    def fault(self, error: Exception, key: str | None) -> errors.ChatStoreError:
        """The error for a caller, for one of the driver's; the key is the caller's."""
        return faults.translated(error, self.where, key)

    def is_stale(self, fault: errors.ChatStoreError) -> bool:
        """Whether connections sit on a master of before, and the next call must make new ones."""
        return isinstance(fault, errors.StoreReadOnlyError) and self.address is not None

    def patience(self) -> Patience:
        """For one call."""
        return Patience(None if self.address is None else self.address.kind)


def settings(
    redis_url: str,
    redis_client: Any,
    *,
    awaited: bool,
    ttl: float | None,
    namespace: str,
    prefix: str,
    wait_replicas: int,
    wait_ms: int,
) -> Settings:
    """Check the arguments of a store.

    Raises:
        ValueError: One is out of its range.
    """
    names = Names(prefix, arguments.check_namespace(namespace))
    ttl_us = arguments.ttl_in_us(ttl)
    replicas = arguments.check_count("wait_replicas", wait_replicas)
    wait_ms = arguments.check_count("wait_ms", wait_ms)
    if wait_ms == 0:
        raise ValueError("wait_ms is 0, which would wait for ever; give milliseconds")
    if redis_client is None:
        address = read(arguments.check_url(redis_url))
        clustered, where = address.kind == "cluster", address.where
    else:
        address, clustered = None, _is_cluster(redis_client, awaited=awaited)
        where = "the server of redis_client"
    return Settings(Plans(names, ttl_us, clustered=clustered), address, where, replicas, wait_ms)


def _is_cluster(client: Any, *, awaited: bool) -> bool:
    import redis
    import redis.asyncio

    blocking = redis.Redis | redis.RedisCluster
    awaiting = redis.asyncio.Redis | redis.asyncio.RedisCluster
    if not isinstance(client, awaiting if awaited else blocking):
        right = "redis.asyncio.Redis or RedisCluster" if awaited else "redis.Redis or RedisCluster"
        other = "RedisChatStore" if awaited else "AsyncRedisChatStore"
        raise ValueError(
            f"redis_client is a {right} here, not {type(client).__module__}."
            f"{type(client).__qualname__}; {other} takes the other kind"
        )
    return isinstance(client, redis.RedisCluster | redis.asyncio.RedisCluster)
