"""What a URL, a path or a host's engine means."""

import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from chatstore.arguments import check_url
from chatstore.sql.engine.sqlite.connector import Place

_DRIVERS = frozenset({"pysqlite", "aiosqlite"})


def url_of(target: str | sa.URL | sa.Engine) -> sa.URL:
    """The target's URL. The text of a broken one is not repeated: it may hold a password."""
    refuse_async(target)
    if isinstance(target, sa.Engine):
        return target.url
    if not isinstance(target, sa.URL):
        scheme, colon, rest = check_url(target).partition("://")
        target = f"{scheme.lower()}{colon}{rest}"
    try:
        return sa.make_url(target)
    except sa.exc.ArgumentError:
        message = "This is no database URL. Write, for example, sqlite:///chat.db."
        raise ValueError(message) from None


def borrowed(target: str | sa.URL | sa.Engine) -> sa.Engine | None:
    """The host's engine, if it is one."""
    return target if isinstance(target, sa.Engine) else None


def is_postgres(target: str | sa.URL | sa.Engine) -> bool:
    """Whether it is PostgreSQL, or speaks its language. `postgres://` is an old name of it."""
    return url_of(target).get_backend_name() in {"postgresql", "postgres"}


def refuse_async(target: object) -> None:
    """An AsyncEngine has no connection that a thread could use."""
    module = sys.modules.get("sqlalchemy.ext.asyncio")
    is_async = module is not None and isinstance(target, module.AsyncEngine)
    if is_async or (isinstance(target, sa.Engine) and target.dialect.is_async):
        message = (
            "An AsyncEngine cannot be used: both faces of the store run on a plain Engine. "
            "Give the URL, or create_engine(…) without an async driver."
        )
        raise TypeError(message)


def sqlite_place(target: str | Path | sa.URL | sa.Engine) -> Place:
    """Where the database is."""
    if isinstance(target, Path):
        check_url(target)
        return Place(str(target), target.resolve())
    url = url_of(target)
    if url.get_backend_name() != "sqlite":
        message = f"{url.get_backend_name()}: not a database that this store can use."
        raise ValueError(message)
    database, query = url.database or ":memory:", dict(url.query)
    if str(query.get("uri", "")).lower() in {"true", "1", "yes", "on"}:
        parts = urlsplit(database)
        query |= {name: values[-1] for name, values in parse_qs(parts.query).items()}
        database = unquote(parts.path)
    memory = database == ":memory:" or query.get("mode") == "memory"
    path = None if memory else Path(database).resolve()
    place = Place("sqlite://" if path is None else database, path)
    if isinstance(target, sa.Engine):
        _borrow(place, target)
    else:
        _check_url(url, query)
        place.read_only = query.get("mode") == "ro"
        place.create = query.get("mode") != "rw"
    return place


def _check_url(url: sa.URL, query: dict[str, Any]) -> None:
    if url.host or url.username:
        # `sqlite://chat.db` would be a database in memory, and lost with the process.
        message = "A SQLite URL has three slashes before a path: sqlite:///chat.db, or four."
        raise ValueError(message)
    driver = url.drivername.partition("+")[2]
    unknown = sorted(set(query) - {"uri", "mode", "check_same_thread"})
    if driver and driver not in _DRIVERS:
        message = f"sqlite+{driver}: only Python's own sqlite3 can be used. Write sqlite:///…."
        raise ValueError(message)
    if query.get("mode", "rwc") not in {"ro", "rw", "rwc", "memory"}:
        unknown.append("mode, which is ro, rw, rwc or memory")
    if unknown:
        message = f"The SQLite URL has options that are not understood: {', '.join(unknown)}."
        raise ValueError(message)


def _borrow(place: Place, engine: sa.Engine) -> None:
    if engine.dialect.driver != "pysqlite":
        message = f"The engine's driver {engine.dialect.driver} cannot be used, only sqlite3."
        raise ValueError(message)
    pool = engine.pool
    if place.path is not None:
        # Configured as theirs, events included, but without a share in their limit.
        ours = pool.recreate()
        place.lent = lambda: _detached(ours)
        return
    if not isinstance(pool, StaticPool):
        message = (
            "This engine gives each thread a database in memory of its own. Make it with "
            "create_engine('sqlite://', poolclass=StaticPool, "
            "connect_args={'check_same_thread': False})."
        )
        raise ValueError(message)
    # Not through a checkout, whose return would roll back what the host has begun on it.
    place.lent = lambda: _movable(pool.connection.dbapi_connection)


def _detached(pool: sa.Pool) -> sqlite3.Connection:
    """A connection with all that the host's events do to it, which then is ours alone."""
    fairy = pool.connect()
    raw: Any = fairy.dbapi_connection
    fairy.detach()
    try:
        conn = _movable(raw)
    except ValueError:
        raw.close()
        raise
    conn.row_factory, conn.text_factory = None, str
    return conn


def _movable(conn: Any) -> sqlite3.Connection:
    """Refuses a connection that only the thread that opened it may use."""
    failures: list[BaseException] = []

    def probe() -> None:
        try:
            conn.cursor().close()
        except sqlite3.ProgrammingError as error:
            failures.append(error)

    thread = threading.Thread(target=probe)
    thread.start()
    thread.join()
    if failures:
        message = "The engine's connections are bound to a thread: set check_same_thread=False."
        raise ValueError(message)
    own: sqlite3.Connection = conn
    return own
