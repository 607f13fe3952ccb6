"""What can be said of a Redis or Valkey server."""

from collections.abc import Iterator
from typing import Any

from chatstore.cli.finding import Finding
from chatstore.cli.terminal import size

_EVICTING = "allkeys"


def server(url: str) -> Iterator[Finding]:
    """What can be said of the server at a URL."""
    import redis

    if "+" in url.partition("://")[0]:
        yield Finding("server", "a cluster or sentinel: ask each node by its own URL", "note")
        return
    plain = url.replace("valkeys://", "rediss://", 1).replace("valkey://", "redis://", 1)
    client = redis.Redis.from_url(plain, decode_responses=True, socket_timeout=5)
    try:
        facts: dict[str, Any] = client.info()
        name = "Valkey" if "valkey_version" in facts else "Redis"
        yield Finding(
            "server",
            f"{name} {facts.get('valkey_version', facts['redis_version'])}, "
            f"{size(facts['used_memory'])} in use",
        )
        yield from _eviction(facts)
        yield from _persistence(facts, _settings(client))
    except redis.RedisError as error:
        yield Finding(
            "server", f"it does not answer ({type(error).__name__})", "problem", "Check the URL."
        )
    finally:
        client.close()


def _eviction(facts: dict[str, Any]) -> Iterator[Finding]:
    policy, limit = str(facts.get("maxmemory_policy", "unknown")), int(facts.get("maxmemory", 0))
    if policy == "noeviction" or not limit:
        yield Finding("eviction", f"{policy}, {size(limit) if limit else 'no'} memory limit")
        return
    what = "any conversation" if policy.startswith(_EVICTING) else "conversations with a ttl"
    yield Finding(
        "eviction",
        f"{policy}: under memory pressure the server drops {what}",
        "warning",
        "CONFIG SET maxmemory-policy noeviction",
    )


def _persistence(facts: dict[str, Any], settings: dict[str, str]) -> Iterator[Finding]:
    if facts.get("aof_enabled"):
        when = settings.get("appendfsync", "unknown")
        lost = {"always": "nothing", "everysec": "about a second"}.get(when, "an unknown part")
        yield Finding("persistence", f"append-only file, fsync {when}: a crash loses {lost}")
    elif settings.get("save") == "":
        yield Finding(
            "persistence",
            "none: a restart loses everything",
            "warning",
            "CONFIG SET appendonly yes",
        )
    else:
        yield Finding(
            "persistence",
            "snapshots only: a crash loses what came after the last one",
            "warning",
            "CONFIG SET appendonly yes",
        )
    role, replicas = facts.get("role"), facts.get("connected_slaves", 0)
    yield Finding("replication", f"{role}, {replicas} replicas connected")


def _settings(client: Any) -> dict[str, str]:
    import redis

    try:
        return {**client.config_get("appendfsync"), **client.config_get("save")}
    except redis.RedisError:  # an account may not, and some hosts rename CONFIG
        return {}
