"""A single statement on its way on a connection, without anybody who waits for it.

It is sent by libpq's own functions, which psycopg offers as `pgconn`. A statement that a
connection has had a few times is prepared first, as psycopg does it.
"""

import secrets
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from chatstore.sql.engine.op import Op
from chatstore.sql.engine.postgres.server import IDLE, Server
from chatstore.sql.engine.postgres.single import Single
from chatstore.sql.engine.postgres.wire import dumped, failure, numbered, row_of

if TYPE_CHECKING:
    import psycopg

_GOOD = frozenset({1, 2})  # libpq's PGRES_COMMAND_OK and PGRES_TUPLES_OK


class Known:
    """What a connection knows: the names of statements, and how often the others were used."""

    __slots__ = ("codec", "names", "uses")

    def __init__(self, conn: "psycopg.Connection[Any]") -> None:
        self.codec = conn.info.encoding
        self.names: dict[bytes, bytes] = {}
        self.uses: Counter[bytes] = Counter()


class Flight:
    """An op, whose work is a `Single`, on a connection.

    `sent`: whether it may have been carried out. `writing`: whether some of it is to be written
    still, when the network takes it. All methods raise the driver's errors.
    """

    __slots__ = (
        *("conn", "fd", "known", "op", "sent", "work", "writing"),
        *("_pgconn", "_preparing", "_result"),
    )

    def __init__(self, conn: "psycopg.Connection[Any]", known: Known, op: Op) -> None:
        self.conn = conn
        # Kept, because a connection that was lost does not tell it any more.
        self.fd = conn.fileno()
        self.known = known
        self.op = op
        self.work = cast(Single[Any], op.work)
        self.sent = self.writing = False
        self._pgconn = conn.pgconn
        self._preparing: bytes | None = None
        self._result: Any = None

    @property
    def is_over(self) -> bool:
        """Whether the connection can be used for something else."""
        return self._pgconn.transaction_status == IDLE

    def send(self, server: Server) -> None:
        """Prepares the statement, or sends it."""
        known, text, names = self.known, *numbered(self.work.sql, self.known.codec)
        name = None
        if server.prepare_after is not None:
            name = known.names.get(text)
            if name is None:
                known.uses[text] += 1
                if known.uses[text] > server.prepare_after:
                    # Unlike any other: a pooler may hand out the session of another client.
                    self._preparing = b"chatstore_%x" % secrets.randbits(62)
                    self._pgconn.send_prepare(self._preparing, text)
                    self._flush()
                    return
        parameters = self.work.parameters()
        values, formats = dumped([parameters[each] for each in names], known.codec)
        self.sent = True
        if name is None:
            self._pgconn.send_query_params(text, values, param_formats=formats)
        else:
            self._pgconn.send_query_prepared(name, values, param_formats=formats)
        self._flush()

    def advance(self, server: Server, *, readable: bool) -> bool:
        """Goes on when the connection is ready; whether all is there."""
        if readable:
            self._pgconn.consume_input()
        if self.writing:
            self._flush()
        while not self._pgconn.is_busy():
            result = self._pgconn.get_result()
            if result is not None:
                # A second one is an error: the statement was good, and its commit was not.
                if self._result is None or result.status not in _GOOD:
                    self._result = result
                continue
            if self._result is None or self._result.status not in _GOOD:
                raise failure(server.driver, self._result)
            if self.sent:
                return True
            self._has_prepared()
            self.send(server)
        return False

    def row(self) -> tuple[int, ...] | None:
        """The row that came."""
        return row_of(self._result)

    def _has_prepared(self) -> None:
        text, _ = numbered(self.work.sql, self.known.codec)
        if self._preparing is not None:
            self.known.names[text] = self._preparing
        self._result = None

    def _flush(self) -> None:
        self.writing = bool(self._pgconn.flush())
