"""How a PostgreSQL connection is made, and what an error says about trying again.

Nothing is kept in a session: every setting is of one transaction, so that a pooler in transaction
mode may stand between. Prepared statements are the exception, because they halve the time of an
append and of a read. A pooler that knows them (pgbouncer from 1.21 on) keeps them; behind one that
does not, a session has those of others and lacks ours. Ours are then missed, never mistaken, since
no two connections give the same name to one; and they are given up at the first that is missed.
"""

import contextlib
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chatstore.sql.engine import faults
from chatstore.sql.engine.postgres.poll import READ, Poll
from chatstore.sql.engine.target import borrowed, url_of

if TYPE_CHECKING:
    import psycopg
    import sqlalchemy as sa

CONNECTIONS = 15
"""As many as SQLAlchemy's own pool opens, if it is left as it is."""

_DRIVERS = frozenset({"", "psycopg"})
_PREPARE_AFTER = 5
_CONNECT_SECONDS = 10
IDLE = 0  # libpq's PQTRANS_IDLE, which a connection that is closed or broken has not


class Server:
    """One PostgreSQL database, by URL or through a host's engine.

    Attributes:
        limit: How many connections a store opens at most.
    """

    def __init__(self, target: "str | sa.URL | sa.Engine") -> None:
        self.driver = driver()
        url = url_of(target)
        # Without its options, which may hold a password too.
        self.name = url.set(query={}).render_as_string(hide_password=True)
        self.prepare_after: int | None = _PREPARE_AFTER
        # A server that never answered is not one that restarts.
        self.answered = False
        engine = borrowed(target)
        if engine is None:
            self.limit, url = _limited(url)
            self._connect = _from_url(url)
        else:
            self.limit = _room(engine.pool)
            self._connect = _borrow(engine)

    def connect(self) -> "psycopg.Connection[Any]":
        """A new connection, which begins nothing by itself. Raises the driver's errors."""
        conn = self._connect()
        self.answered = True
        if self.prepare_after is not None and not _name_apart(conn):
            self.prepare_after = None
        return conn

    def translate(self, error: BaseException) -> BaseException:
        """Our error for a driver's; any other as it is."""
        if isinstance(error, self.driver.Error):
            return faults.from_postgres(error, self.name)
        return error

    def is_conflict(self, error: BaseException) -> bool:
        """Whether the server rolled back for the sake of another transaction."""
        return getattr(error, "sqlstate", None) in {"40001", "40P01"}

    def is_lost(self, error: BaseException) -> bool:
        """Whether the connection is gone, or could not be made."""
        state: str | None = getattr(error, "sqlstate", None)
        if state is not None:
            return state.startswith(("57P", "08", "25P03"))
        return isinstance(error, self.driver.OperationalError | self.driver.InterfaceError)

    def gives_up_preparing(self, error: BaseException) -> bool:
        """Whether a pooler mixed up prepared statements; from then on there are none.

        Several calls may find that out, each on the connection that it had by then.
        """
        mixed_up = getattr(error, "sqlstate", None) in {"26000", "42P05"}
        if mixed_up:
            self.prepare_after = None
        return mixed_up


def driver() -> Any:
    """The module psycopg, imported when the first PostgreSQL database is opened."""
    try:
        import psycopg
    except ImportError:
        message = "PostgreSQL needs psycopg: run `pip install 'chatstore-sql[postgres]'`"
        raise ImportError(message) from None
    return psycopg


def is_usable(conn: "psycopg.Connection[Any]") -> bool:
    """Whether an idle connection is still there, without asking the server.

    An idle connection has nothing to read but a farewell: the server's, when it stopped or when
    somebody terminated the session.
    """
    if conn.closed:
        return False
    poll = Poll()
    poll.register(conn.fileno(), READ)
    return not poll.wait(0)


def tidy(conn: "psycopg.Connection[Any]") -> bool:
    """Rolls back what is left of a transaction; whether the connection can be used again."""
    if conn.pgconn.transaction_status == IDLE:
        return True
    with contextlib.suppress(Exception):
        conn.rollback()
        return conn.pgconn.transaction_status == IDLE
    return False


def _name_apart(conn: "psycopg.Connection[Any]") -> bool:
    """Number the connection's statements from a random number on; whether that can be done.

    psycopg calls them `_pg3_0`, `_pg3_1`, … on every connection. Behind a pooler that hands out one
    session to many clients, `_pg3_0` may be a statement of somebody else's, and would be run.
    """
    manager: Any = getattr(conn, "_prepared", None)
    if not isinstance(getattr(manager, "_prepared_idx", None), int):
        return False
    manager._prepared_idx = secrets.randbits(62)
    return True


def _limited(url: "sa.URL") -> "tuple[int, sa.URL]":
    """The limit that a URL sets, under redis-py's name for it, and the URL as libpq takes it."""
    given = url.query.get("max_connections")
    if given is None:
        return CONNECTIONS, url
    if not (isinstance(given, str) and given.isdecimal() and int(given)):
        message = "max_connections in the URL is a number of connections: ?max_connections=5."
        raise ValueError(message)
    return int(given), url.difference_update_query(["max_connections"])


def _room(pool: "sa.Pool") -> int:
    """As many as the host's own pool may open, if that has a limit."""
    from sqlalchemy.pool import QueuePool

    if not isinstance(pool, QueuePool) or pool.size() == 0:
        return CONNECTIONS
    overflow: int = getattr(pool, "_max_overflow", -1)
    return CONNECTIONS if overflow < 0 else pool.size() + overflow


def _from_url(url: "sa.URL") -> "Callable[[], psycopg.Connection[Any]]":
    from sqlalchemy.dialects.postgresql import psycopg as dialect

    name = url.drivername.partition("+")[2]
    if name not in _DRIVERS:
        message = f"postgresql+{name}: only psycopg can be used. Write postgresql://…."
        raise ValueError(message)
    translator: Any = dialect.dialect
    _, options = translator().create_connect_args(url)
    defaults = {
        "application_name": "chatstore",
        "client_encoding": "UTF8",
        "connect_timeout": _CONNECT_SECONDS,
    }
    open_one = driver().connect

    def connect() -> "psycopg.Connection[Any]":
        conn: psycopg.Connection[Any] = open_one(**(defaults | options), autocommit=True)
        return conn

    return connect


def _borrow(engine: "sa.Engine") -> "Callable[[], psycopg.Connection[Any]]":
    if engine.dialect.driver != "psycopg":
        message = (
            f"The engine's driver {engine.dialect.driver} cannot be used, only psycopg: "
            "create_engine('postgresql+psycopg://…')."
        )
        raise ValueError(message)
    # Configured as theirs, events included, but without a share in their limit.
    pool = engine.pool.recreate()
    rows = driver().rows.tuple_row

    def connect() -> "psycopg.Connection[Any]":
        fairy = pool.connect()
        conn: Any = fairy.driver_connection
        fairy.detach()
        conn.rollback()
        conn.autocommit = True
        conn.row_factory = rows
        own: psycopg.Connection[Any] = conn
        return own

    return connect
