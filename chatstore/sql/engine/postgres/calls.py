"""Calls on connections of a pool, which are repeated where that is safe."""

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from chatstore.sql.engine import faults
from chatstore.sql.engine.pool import Pool
from chatstore.sql.engine.postgres.server import Server, is_usable, tidy

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")

_CONFLICTS = 5
_RESTART_SECONDS = 5.0


class Attempt:
    """How far a call got, which decides whether it may be repeated.

    `committing`: whether it may have been stored, and must not be twice.
    """

    __slots__ = ("committing", "conflicts")

    def __init__(self, conflicts: int = 0, *, committing: bool = False) -> None:
        self.committing = committing
        self.conflicts = conflicts


class Calls:
    """Runs calls, each on a connection that it takes out of the pool and puts back."""

    def __init__(self, server: Server, pool: "Pool[psycopg.Connection[Any]]") -> None:
        self._server = server
        self._pool = pool

    def run(
        self,
        call: "Callable[[psycopg.Connection[Any], Attempt], T]",
        *,
        first: "Callable[[], psycopg.Connection[Any]] | None" = None,
        committing: bool = False,
    ) -> T:
        """Runs a call, again if the server or the network failed it and repeating is safe.

        `first` is where the first attempt gets its connection; or it raises how that attempt went,
        if somebody else made it, and `committing` is what that was.
        """
        attempt, take = Attempt(committing=committing), first or self.take
        tries = conflicts = 0
        begun: float | None = None
        while True:
            conn = None
            try:
                conn = take()
                return call(conn, attempt)
            except self._server.driver.Error as error:
                begun = begun or time.monotonic()
                tries += 1
                conflicts += self._server.is_conflict(error)
                if not self._may_repeat(error, attempt, tries, time.monotonic() - begun):
                    lost = self._server.is_lost(error) and attempt.committing
                    doubt = faults.in_doubt(self._server.name)
                    raise doubt if lost else self._server.translate(error) from None
            finally:
                if conn is not None:
                    self.put_back(conn)
            time.sleep(random.uniform(0.5, 1.0) * min(0.5, 0.005 * 2**tries))  # noqa: S311
            attempt, take = Attempt(conflicts), self.take

    def _may_repeat(
        self, error: BaseException, attempt: Attempt, tries: int, seconds: float
    ) -> bool:
        server = self._server
        if server.gives_up_preparing(error):
            return tries <= self._pool.limit
        if server.is_conflict(error):
            return attempt.conflicts < _CONFLICTS
        return (
            server.is_lost(error)
            and server.answered
            and not attempt.committing
            and seconds < _RESTART_SECONDS
        )

    def take(self) -> "psycopg.Connection[Any]":
        """A connection that is there, as far as can be seen without asking the server."""
        while True:
            conn = self._pool.take()
            if is_usable(conn):
                conn.prepare_threshold = self._server.prepare_after
                return conn
            self._pool.drop(conn)

    def open(self) -> "psycopg.Connection[Any]":
        """A new connection, for which there is room in the pool because that was reserved."""
        conn = self._pool.open()
        conn.prepare_threshold = self._server.prepare_after
        return conn

    def put_back(self, conn: "psycopg.Connection[Any]") -> None:
        """Gives it back, or closes it if it is of no use any more."""
        if tidy(conn):
            self._pool.give(conn)
        else:
            self._pool.drop(conn)
