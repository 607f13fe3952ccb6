"""What a driver's connection looks like to the rooms above.

The hot statements run on the driver's own connection, because each layer above it costs more than
the statement (times raw sqlite3, one append: SQLAlchemy's connection 2.2, `engine.begin()` 3.9, a
session 17). `sqlite3.Connection` and `psycopg.Connection` share the few methods that we need.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, Self


class Cursor(Protocol):
    """The part of a driver's cursor that we use."""

    @property
    def rowcount(self) -> int:
        """How many rows the last statement changed."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Self:
        """Runs one statement."""

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> object:
        """Runs one statement for each set of parameters."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> list[Any]:
        """All the rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...

    def close(self) -> None:
        """Ends the statement."""


class Conn(Protocol):
    """A driver's connection, as `work` gets it. It never begins, commits or rolls back itself."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Cursor:
        """Runs one statement on a new cursor."""

    def cursor(self) -> Cursor:
        """A new cursor."""

    def close(self) -> None:
        """Closes the connection."""


@contextmanager
def lenient(conn: Any) -> Iterator[None]:
    r"""Lets text be read of which a byte is damaged: where it is no UTF-8, it stands as `\xff`.

    SQLite's driver refuses the whole statement for it, and so would hide all that is sound.
    """
    conn.text_factory = _shown
    try:
        yield
    finally:
        conn.text_factory = str


def _shown(text: bytes) -> str:
    return text.decode(errors="backslashreplace")
