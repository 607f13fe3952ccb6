"""Connections that a store keeps: a command on one takes half of what it takes through redis-py.

For each command, redis-py takes a connection out of its pool, looks whether it still lives, and
wraps what it does into retries and measurements. That is as much work as the command itself.
"""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis.exceptions import ResponseError

_pack: Any = None
with suppress(ImportError):
    from hiredis import pack_command as _pack

KEPT = 16
"""How many connections are kept while they have nothing to do; the others go back to the pool."""

IDLE = 1.0
"""After so many seconds without a command, the pool looks whether a connection still lives."""


class Broken(Exception):  # noqa: N818 - nobody sees it
    """The connection failed, and the command may have been carried out."""


class Lines:
    """Connections out of a pool, each for one command at a time; safe for threads and forks.

    Args:
        pool: Of a `redis.Redis` that nobody else uses.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._pid = os.getpid()
        self._free: list[tuple[float, Any]] = []

    def ask(self, words: Sequence[str | int]) -> Any:
        """The reply to a command, never decoded.

        Raises:
            Broken: Ask redis-py, which connects and repeats as it was told to.
            ResponseError: The server refused.
        """
        connection = self._take()
        try:
            connection.send_packed_command((packed(words),))
            reply = connection.read_response(disable_decoding=True)
        except ResponseError:
            self._give_back(connection)
            raise
        except BaseException as error:
            # Whatever happened, a reply may be on its way: nobody may take it for theirs.
            connection.disconnect()
            self._pool.release(connection)
            if isinstance(error, Exception):
                raise Broken from None
            raise
        self._give_back(connection)
        return reply

    def let_go(self) -> None:
        """Give all that have nothing to do back to the pool."""
        while self._free:
            self._pool.release(self._free.pop()[1])

    def _take(self) -> Any:
        if self._pid != os.getpid():  # after a fork they are the parent's
            self._pid, self._free = os.getpid(), []
        while self._free:
            try:
                since, connection = self._free.pop()
            except IndexError:  # another thread took it
                break
            if time.monotonic() - since < IDLE:
                return connection
            self._pool.release(connection)
        return self._pool.get_connection()

    def _give_back(self, connection: Any) -> None:
        # The driver marks those that shall connect anew: the pool sees to it.
        if len(self._free) >= KEPT or connection.should_reconnect():
            self._pool.release(connection)
        else:
            self._free.append((time.monotonic(), connection))


def packed(words: Sequence[str | int]) -> bytes:
    """A command as it is sent. All that the store sends is ASCII."""
    if _pack is not None:
        whole: bytes = _pack(tuple(words))
        return whole
    texts = [f"${len(text)}\r\n{text}\r\n" for text in map(str, words)]
    return f"*{len(texts)}\r\n{''.join(texts)}".encode("ascii")
