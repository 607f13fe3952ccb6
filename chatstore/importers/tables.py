"""Tables of other chat stores, in SQLite files and in databases, read without a trace."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from chatstore.errors import TransferError
from chatstore.importers.source import Source
from chatstore.importers.talks import Talk, Talks
from chatstore.messages import Message


class Shape(NamedTuple):
    """What a table of another store looks like.

    Attributes:
        columns: All of its columns; the first one holds the key of the conversation.
        order: The columns that order a conversation.
        prefix: What the name of the table begins with.
    """

    columns: tuple[str, ...]
    order: tuple[str, ...]
    prefix: str = ""


Made = tuple[Message, bool]
"""A message, and whether it is archived."""


def holds(source: Source, shape: Shape) -> bool:
    """Whether a file is a SQLite database with such a table."""
    try:
        with closing(_open(source)) as conn:
            return bool(_names(conn, shape.columns, shape.prefix))
    except sqlite3.Error:
        return False


def talks(
    source: Source,
    key_prefix: str | None,
    name: str,
    shape: Shape,
    make: Callable[[Sequence[Any]], Made],
) -> Talks:
    """The conversations of all tables of a shape, each under its own key.

    Args:
        source: The database.
        key_prefix: What goes in front of the keys.
        name: Of the importer.
        shape: Of the tables.
        make: From the columns of a row to a message; a `ValueError` or `TypeError` tells that
            the row is broken.

    Raises:
        TransferError: It is no database, has no such table, or a broken row.
        StoreUnavailableError: There is no way to it.
    """
    with _opened(source) as tables:
        found = tables.having(shape.columns, shape.prefix)
        if not found:
            source.fail("the database", f"has no table of {name}")
        for table in found:
            yield from _conversations(source, key_prefix, name, shape, make, tables, table)


class Database(Source):
    """A database that is read by its URL; what is not kept in a file.

    Args:
        url: One of SQLAlchemy's.

    Raises:
        ValueError: It is none.
    """

    def __init__(self, url: str) -> None:
        from chatstore.sql import foreign

        super().__init__(foreign.shown(url))
        self.url = url


class _Tables(Protocol):
    """What is read of a database, in a file or behind a URL."""

    def having(self, columns: Sequence[str], prefix: str) -> list[str]:
        """The names of the tables with exactly these columns."""

    def rows(
        self, table: str, columns: Sequence[str], order: Sequence[str]
    ) -> Iterator[Sequence[Any]]:
        """The rows of a table in an order."""


class _File:
    """The tables of a SQLite file."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def having(self, columns: Sequence[str], prefix: str) -> list[str]:
        return _names(self._conn, columns, prefix)

    def rows(
        self, table: str, columns: Sequence[str], order: Sequence[str]
    ) -> Iterator[Sequence[Any]]:
        wanted, by = ", ".join(map(_quoted, columns)), ", ".join(map(_quoted, order))
        statement = f"SELECT {wanted} FROM {_quoted(table)} ORDER BY {by}"  # noqa: S608
        return self._conn.execute(statement)


@contextmanager
def _opened(source: Source) -> Iterator[_Tables]:
    if isinstance(source, Database):
        from chatstore.sql import foreign

        with foreign.opened(source.url) as tables:
            yield tables
        return
    try:
        with closing(_open(source)) as conn:
            yield _File(conn)
    except sqlite3.Error as error:
        raise TransferError(
            f"{source.path}: it cannot be read as a SQLite database ({error}); check the path; "
            "nothing was imported"
        ) from None


def _open(source: Source) -> sqlite3.Connection:
    # Read only: a file that is not there is not created, and one that is there not changed.
    # A generator has no thread of its own: whoever closes it may not be who began it.
    place = Path(source.path).absolute().as_uri()
    conn = sqlite3.connect(f"{place}?mode=ro", uri=True, check_same_thread=False)
    conn.isolation_level = None
    return conn


def _names(conn: sqlite3.Connection, wanted: Sequence[str], prefix: str) -> list[str]:
    tables = conn.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    found = []
    for (table,) in tables.fetchall():
        columns = conn.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
        if {column for (column,) in columns} == set(wanted) and table.startswith(prefix):
            found.append(table)
    return found


def _conversations(
    source: Source,
    key_prefix: str | None,
    name: str,
    shape: Shape,
    make: Callable[[Sequence[Any]], Made],
    tables: _Tables,
    table: str,
) -> Talks:
    rows = tables.rows(table, shape.columns, (shape.columns[0], *shape.order))
    for key, group in groupby(rows, key=lambda row: row[0]):
        place = f"table {table}, key {key!r}"
        if not isinstance(key, str):
            source.fail(place, "is no text")
        messages: list[Message] = []
        archived: list[int] = []
        for number, row in enumerate(group, 1):
            try:
                message, is_archived = make(row)
            except (ValueError, TypeError, KeyError) as error:
                source.fail(f"{place}, message {number}", f"is broken ({type(error).__name__})")
            if is_archived:
                archived.append(len(messages))
            messages.append(message)
        metadata = {"source": {"format": name, "table": table}}
        yield Talk(place, f"{key_prefix or ''}{key}", messages, metadata, archived=archived)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def parsed(source: Source, text: object) -> dict[str, Any]:
    """The JSON object in a column."""
    if not isinstance(text, str):
        raise TypeError("a message is JSON text")
    value = source.parse(text, "a message")
    if not isinstance(value, dict):
        raise TypeError("a message is an object")
    return value
