"""From a statement with named parameters to what libpq sends, and from what it got to Python."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

_NAME = re.compile(r"%\((\w+)\)s")
_SQLSTATE = 67  # libpq's PG_DIAG_SQLSTATE


@cache
def numbered(sql: str, codec: str) -> tuple[bytes, list[str]]:
    """The statement with `$1`, `$2`, … in it, and the names that they stand for."""
    names: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        return f"${names.setdefault(found[1], len(names) + 1)}"

    text = _NAME.sub(number, sql).replace("%%", "%")
    return text.encode(codec), list(names)


def dumped(values: Sequence[Any], codec: str) -> tuple[list[bytes | None], list[int]]:
    """What parameters look like on their way, and their formats.

    A text is sent as what PostgreSQL calls binary, which is the text with its length: libpq ends
    the others at the first NUL, in silence.
    """
    formats: list[int] = [type(value) is str for value in values]
    dumps = [
        value.encode(codec) if type(value) is str else None if value is None else b"%d" % value
        for value in values
    ]
    return dumps, formats


def row_of(result: Any) -> tuple[int, ...] | None:
    """The first row of a result, whose columns are integers."""
    if not result.ntuples:
        return None
    return tuple(int(result.get_value(0, column)) for column in range(result.nfields))


def failure(driver: Any, result: Any) -> Exception:
    """The driver's error for a result that is one, or none. Its text may hold values: not told."""
    state = None if result is None else result.error_field(_SQLSTATE)
    if state is None:
        lost: Exception = driver.OperationalError()
        return lost
    try:
        error: Exception = driver.errors.lookup(state.decode())()
    except KeyError:
        error = driver.DatabaseError()
    return error
