"""From an address to a redis-py client, blocking or not, for one server, a Cluster or Sentinel."""

from typing import Any

from chatstore.redis import retries
from chatstore.redis.address import Address, unknown_option


def client(address: Address, *, awaited: bool) -> Any:
    """A client for an address; it connects when it is first used, but a Cluster's does at once."""
    library: Any
    if awaited:
        import redis.asyncio as library
        from redis.asyncio.cluster import ClusterNode
        from redis.asyncio.retry import Retry
        from redis.asyncio.sentinel import Sentinel
    else:
        import redis as library
        from redis.cluster import ClusterNode  # type: ignore[assignment]
        from redis.retry import Retry  # type: ignore[assignment]
        from redis.sentinel import Sentinel  # type: ignore[assignment]
    options: dict[str, Any] = {
        "socket_timeout": 5.0,
        "socket_connect_timeout": 5.0,
        **address.options,
    }
    if awaited and "connection_class" in options:  # the driver has each of them twice
        from redis.asyncio import connection

        options["connection_class"] = getattr(connection, options["connection_class"].__name__)
    if "path" not in options:
        options.setdefault("socket_keepalive", True)
    if address.kind == "cluster":
        nodes = [ClusterNode(host, port) for host, port in address.hosts]
        # Slots that nobody serves are an error of the calls that need them, and of no others.
        try:
            return library.RedisCluster(startup_nodes=nodes, require_full_coverage=False, **options)
        except TypeError as error:
            raise unknown_option(error) from None
    options["retry"] = retries.retry(Retry, address.kind, awaited=awaited)
    if address.kind == "sentinel":
        login = {name: options[name] for name in ("ssl",) if name in options}
        watchers = Sentinel(  # type: ignore[no-untyped-call]
            address.hosts, sentinel_kwargs={"socket_timeout": 1.0, **login}, **options
        )
        return watchers.master_for(address.service)
    return library.Redis.from_pool(library.ConnectionPool(**options))


def parts(client: Any) -> list[Any]:
    """What must be closed with a client: itself, and those that it asks for the master."""
    pool = getattr(client, "connection_pool", None)
    manager = getattr(pool, "sentinel_manager", None)
    return [client, *getattr(manager, "sentinels", ())]
