"""What callers pass beside messages, and their ids, checked once for every store and both faces."""

import operator
import os
from typing import Any, Final, NamedTuple, final

from chatstore.errors import InvalidKeyError, InvalidMessageError
from chatstore.messages import exact
from chatstore.records import MADE, STATUSES, Status

MAX_KEY_BYTES = 1024
MAX_ID_BYTES = 512
MAX_TIMEOUT = 2_000_000  # seconds; PostgreSQL counts milliseconds in 31 bits
MAX_TTL = 10**10  # seconds; three centuries, so that every expiry is a date that Python can show


@final
class _Absent:
    def __repr__(self) -> str:
        return "chatstore.ABSENT"

    def __reduce__(self) -> str:
        return "ABSENT"  # so that a copy, or what another process is sent, is itself


ABSENT: Final = _Absent()
"""As `expected_revision`: the conversation must not exist."""

Expected = str | _Absent | None
"""The revision that a write expects; `None` expects nothing."""


class Window(NamedTuple):
    """Which messages are read: the `last` ones, or a slice; of one status, or of all."""

    last: int | None = None
    start: int | None = None
    stop: int | None = None
    status: Status | None = None


EVERYTHING = Window()


def check_key(key: str, name: str = "key") -> str:
    """The key, if it may name a conversation; an error calls it by `name`."""
    if type(key) is not str:
        if not isinstance(key, str):
            raise InvalidKeyError(f"a {name} is a str, not {type(key).__name__}")
        key = exact(key)
    if not key:
        raise InvalidKeyError(f"a {name} is empty; give it characters")
    if "\0" in key:
        raise InvalidKeyError(f"a {name} holds NUL; leave it out")
    size = len(key) if key.isascii() else _utf8_size(key, name)
    if size > MAX_KEY_BYTES:
        raise InvalidKeyError(f"a {name} takes {size} bytes of UTF-8; {MAX_KEY_BYTES} are allowed")
    return key


def _utf8_size(text: str, name: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise InvalidKeyError(
            f"a {name} holds a lone surrogate, which has no UTF-8; use whole characters"
        ) from None


def check_id(id: object, path: str) -> str:
    """The id, if a caller may give it to a message."""
    if not isinstance(id, str):
        raise InvalidMessageError(f"{path}.id is a str, not {type(id).__name__}")
    if not id or "\0" in id:
        raise InvalidMessageError(f"{path}.id is empty or holds NUL; give it characters")
    if id.startswith(MADE):
        raise InvalidMessageError(
            f"{path}.id begins with {MADE!r}, as the ids that stores make; rename it, or use None"
        )
    try:
        size = len(id.encode())
    except UnicodeEncodeError:
        raise InvalidMessageError(
            f"{path}.id holds a lone surrogate; use whole characters"
        ) from None
    if size > MAX_ID_BYTES:
        raise InvalidMessageError(f"{path}.id takes {size} bytes; {MAX_ID_BYTES} are allowed")
    return exact(id)


def check_url(url: object) -> str:
    """The URL or path of a store, as text."""
    text = os.fspath(url) if isinstance(url, os.PathLike) else url
    if isinstance(text, bytes):
        raise ValueError("a store's URL is a str or a path, not bytes; os.fsdecode makes it one")
    if not isinstance(text, str):
        raise ValueError(f"a store's URL is a str or a path, not {type(text).__name__}")
    if not text:
        raise ValueError("a store's URL is empty; a path such as 'chat.db' will do")
    if "\0" in text:
        raise ValueError("a store's URL holds NUL; a path such as 'chat.db' will do")
    return text


def check_namespace(namespace: str) -> str:
    """The namespace, if stores can be told apart by it: like a key, or empty."""
    return check_key(namespace, "namespace") if namespace != "" else namespace


def check_prefix(prefix: str) -> str:
    """The prefix, if a key can begin with it."""
    return check_key(prefix, "prefix") if prefix != "" else prefix


def window(last: int | None, start: int | None, stop: int | None, status: Status | None) -> Window:
    """The window of a read."""
    if last is not None:
        if start is not None or stop is not None:
            raise ValueError("give last, or start and stop, not both")
        last = check_count("last", last)
    start = None if start is None else operator.index(start)
    stop = None if stop is None else operator.index(stop)
    return Window(last, start, stop, check_status(status))


def check_status(status: Status | None) -> Status | None:
    """The status, if it is one that messages have."""
    if status is not None and status not in STATUSES:
        raise ValueError(f"status is one of {', '.join(STATUSES)} or None, not {status!r}")
    return status


def check_count(name: str, value: int) -> int:
    """The number of things that an argument asks for."""
    value = operator.index(value)
    if value < 0:
        raise ValueError(f"{name} is {value}; it counts things and cannot be negative")
    return value


def check_timeout(name: str, seconds: float) -> float:
    """The seconds that a call waits at most."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ValueError(f"{name} is a number of seconds, not {type(seconds).__name__}")
    if not 0 <= seconds <= MAX_TIMEOUT:  # neither is NaN
        raise ValueError(f"{name} is {seconds}; it is 0 to {MAX_TIMEOUT} seconds")
    return seconds


def check_durability(durability: str) -> None:
    """Raise unless it is one that a store can promise: a slip must not weaken the promise."""
    if durability not in ("full", "normal"):
        raise ValueError(f"durability is 'full' or 'normal', not {durability!r}")


def check_order(order: str) -> None:
    """Raise unless conversations can be listed so."""
    if order not in ("updated", "key"):
        raise ValueError(f"order is 'updated' or 'key', not {order!r}")


def ttl_in_us(seconds: float | None) -> int | None:
    """A ttl in whole microseconds."""
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ValueError(f"ttl is a number of seconds or None, not {type(seconds).__name__}")
    if not 1e-6 <= seconds <= MAX_TTL:  # neither is NaN
        raise ValueError(
            f"ttl is {seconds}; it is more than 0 and at most {MAX_TTL} seconds (None: for ever)"
        )
    return round(seconds * 1_000_000)


def check_expected(expected: Any) -> Expected:
    """The expected revision, if it can be one."""
    if expected is None or expected is ABSENT:
        return expected
    if isinstance(expected, str):
        return exact(expected)
    raise ValueError(
        "expected_revision is the revision of a Conversation, or chatstore.ABSENT, "
        f"not {type(expected).__name__}"
    )
