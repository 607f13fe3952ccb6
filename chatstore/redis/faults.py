"""What Redis and its driver say, in the words of `chatstore.errors`. Nothing else translates.

Neither a password nor the text of a message gets through: of what the driver says only what names
addresses is passed on, and of what the server says only its code.
"""

import re
from collections.abc import Callable

from redis import exceptions as redis_errors

from chatstore import errors

DRIVER = (redis_errors.RedisError, redis_errors.RedisClusterException, OSError)
"""What the driver raises."""

_CODE = re.compile(
    r"\b(CHATSTORE-[A-Z]+|WRONGTYPE|OOM|READONLY|NOAUTH|WRONGPASS|NOPERM|LOADING|BUSY|MASTERDOWN"
    r"|CLUSTERDOWN|TRYAGAIN|CROSSSLOT|NOREPLICAS|MISCONF|MOVED|ASK|NOPROTO|UNKILLABLE)\b"
)


def translated(error: Exception, where: str, key: str | None) -> errors.ChatStoreError:
    """The error for a caller.

    Args:
        error: The driver's.
        where: The store, without its password.
        key: The caller's key, where the call is about one.
    """
    code = _code(error)
    if code in _ABOUT_KEY:
        return _ABOUT_KEY[code](key or "?")
    if code in _ABOUT_SERVER:
        kind, said = _ABOUT_SERVER[code]
        return kind(f"{where} {said}")
    if isinstance(error, OSError | redis_errors.ConnectionError | redis_errors.TimeoutError):
        return unavailable(where, error)
    if isinstance(error, redis_errors.ClusterError | redis_errors.RedisClusterException):
        return unavailable(where, error)
    word = re.match(r"[A-Z]+\b", str(error))
    return errors.StoreUnavailableError(
        f"{where} refused the call ({word[0] if word else type(error).__name__}); see its log"
    )


def told(text: str, key: str) -> errors.ChatStoreError:
    """The error that a script speaks of, about another key than its own."""
    found = _CODE.search(text)
    return _ABOUT_KEY.get(found and found[1], foreign)(key)


def _code(error: Exception) -> str | None:
    # The driver makes classes of some codes, and cuts them off the text.
    for kind, code in _BY_CLASS:
        if isinstance(error, kind):
            return code
    if isinstance(error, redis_errors.ResponseError):
        text = str(error)
        found = _CODE.search(text[:400])
        if found is None and "used memory > 'maxmemory'" in text:
            return "OOM"
        return found[1] if found else None
    return None


def foreign(key: str) -> errors.StoreCorruptError:
    """For a Redis key of somebody else's in the place of a conversation."""
    return errors.StoreCorruptError(
        f"the Redis key of the conversation {key!r} holds something that chatstore did not write; "
        "it was not touched: open the store with another prefix or namespace"
    )


def newer(key: str) -> errors.SchemaTooNewError:
    """For a conversation of a layout that this version does not know."""
    return errors.SchemaTooNewError(
        f"the conversation {key!r} was written by a newer chatstore-sql; it was not touched: "
        "upgrade chatstore-sql"
    )


def unavailable(where: str, error: Exception) -> errors.StoreUnavailableError:
    """For a server that does not answer."""
    said = re.sub(r"\s+", " ", str(error)).strip().rstrip(".")[:200] or type(error).__name__
    return errors.StoreUnavailableError(
        f"{where} cannot be reached: {said}. Start it or correct the URL; the store works on when "
        "it is back. A write that failed so may have been stored: give messages an id to repeat it"
    )


def unconfirmed(where: str, confirmed: int, wanted: int, wait_ms: int) -> Exception:
    """For a write that too few replicas have."""
    return errors.StoreUnavailableError(
        f"{where} has stored the write, but {confirmed} of {wanted} replicas confirmed it within "
        f"{wait_ms} ms; it is lost if the server fails now. Give messages an id to repeat it"
    )


_BY_CLASS: tuple[tuple[type[Exception], str], ...] = (
    (redis_errors.AuthenticationError, "WRONGPASS"),
    (redis_errors.NoPermissionError, "NOPERM"),
    (redis_errors.OutOfMemoryError, "OOM"),
    (redis_errors.ReadOnlyError, "READONLY"),
    (redis_errors.BusyLoadingError, "LOADING"),
    (redis_errors.MovedError, "MOVED"),
    (redis_errors.AskError, "ASK"),
)


def _miscounted(key: str) -> errors.StoreCorruptError:
    return errors.StoreCorruptError(
        f"the conversation {key!r} does not hold what its header counts; nothing was written: "
        "run check(), export it and import it again"
    )


_ABOUT_KEY: dict[str | None, Callable[[str], errors.ChatStoreError]] = {
    "CHATSTORE-FOREIGN": foreign,
    "CHATSTORE-NEWER": newer,
    "CHATSTORE-COUNTS": _miscounted,
    "WRONGTYPE": foreign,
}

_ABOUT_SERVER: dict[str | None, tuple[type[errors.ChatStoreError], str]] = {
    "OOM": (
        errors.StoreFullError,
        "has reached its maxmemory; nothing was written: delete conversations or raise the limit",
    ),
    "MISCONF": (
        errors.StoreFullError,
        "cannot save to its disk and takes no writes; nothing was written: see its log",
    ),
    "READONLY": (
        errors.StoreReadOnlyError,
        "is a replica and takes no writes: use the master's URL, or redis+sentinel://",
    ),
    "NOREPLICAS": (
        errors.StoreReadOnlyError,
        "takes no writes, for too few replicas follow it (min-replicas-to-write)",
    ),
    "NOAUTH": (
        errors.StoreUnavailableError,
        "wants a password: redis://user:password@host, percent-encoded",
    ),
    "WRONGPASS": (
        errors.StoreUnavailableError,
        "refuses the user name or the password; correct them in the URL, percent-encoded",
    ),
    "NOPERM": (
        errors.StoreUnavailableError,
        "forbids its user what the store needs; the ACL must allow +@read +@write +@scripting "
        "+@connection -@dangerous on ~prefix:*",
    ),
    "LOADING": (
        errors.StoreUnavailableError,
        "is loading its data; wait until it has, the store works on",
    ),
    "MASTERDOWN": (
        errors.StoreUnavailableError,
        "is a replica without a master; wait for the fail-over",
    ),
    "CLUSTERDOWN": (
        errors.StoreUnavailableError,
        "has slots that nobody serves; wait for the fail-over",
    ),
    "TRYAGAIN": (errors.StoreBusyError, "is moving the slot of the key; repeat the call"),
    "MOVED": (errors.StoreUnavailableError, "is part of a Cluster: use redis+cluster://host:port"),
    "ASK": (errors.StoreUnavailableError, "is part of a Cluster: use redis+cluster://host:port"),
    "CROSSSLOT": (
        errors.StoreUnavailableError,
        "is part of a Cluster: use redis+cluster://host:port",
    ),
    "BUSY": (
        errors.StoreBusyError,
        "runs somebody's long script; repeat the call, or end it with SCRIPT KILL",
    ),
}
