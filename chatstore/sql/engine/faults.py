"""The one place where a driver's exception becomes an error of ours.

SQLite's errors are told apart by `sqlite_errorname`, PostgreSQL's by SQLSTATE, never by their text:
the text may quote a row. For the same reason our errors are raised `from None` and carry only the
database's name, the code and the remedy.
"""

import errno
import os
import shutil
from pathlib import Path

from chatstore.errors import (
    ChatStoreError,
    ConflictError,
    InvalidMessageError,
    StoreBusyError,
    StoreClosedError,
    StoreCorruptError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnavailableError,
)

_Verdict = tuple[type[ChatStoreError], str]

_BUSY: _Verdict = (
    StoreBusyError,
    "others kept it locked and nothing was written. Repeat the call, open the store with a larger "
    "lock_timeout, or end the process that keeps a transaction open",
)
_FULL: _Verdict = (
    StoreFullError,
    "there is no room left and nothing was written. Free some space, then repeat the call",
)
_READ_ONLY: _Verdict = (
    StoreReadOnlyError,
    "it cannot be written. Give this account write permission on the file and on its folder, "
    "or open the store for reading only",
)
_CORRUPT: _Verdict = (
    StoreCorruptError,
    "it is damaged, or is not a database of this library; writing has stopped. Keep a copy of the "
    "file, look with `chatstore check`, export what can be read and restore the rest from a backup",
)
_FOLDER: _Verdict = (StoreUnavailableError, "it is a folder. Give the name of a file in it")
_UNAVAILABLE: _Verdict = (
    StoreUnavailableError,
    "it cannot be opened. Check the path, and that its folder exists and may be entered",
)
_IO: _Verdict = (
    StoreUnavailableError,
    "the disk reported an error and nothing was written. Check the disk and the mount, "
    "then repeat the call",
)
_CONSTRAINT: _Verdict = (
    ConflictError,
    "the rows do not fit together and nothing was written. Read the conversation again and repeat; "
    "if that does not help, run `chatstore check`",
)
_TOO_BIG: _Verdict = (
    InvalidMessageError,
    "one value is larger than the database can hold and nothing was written. Send it in parts",
)
_REFUSED: _Verdict = (
    ChatStoreError,
    "the database refused a statement and nothing was written. Run `chatstore check`; "
    "if it finds nothing, please report this as a bug",
)

# By the primary code: SQLITE_IOERR_FSYNC is SQLITE_IOERR.
_SQLITE: dict[str, _Verdict] = {
    "BUSY": _BUSY,
    "LOCKED": _BUSY,
    "PROTOCOL": _BUSY,
    "FULL": _FULL,
    "READONLY": _READ_ONLY,
    "PERM": _READ_ONLY,
    "AUTH": _READ_ONLY,
    "CORRUPT": _CORRUPT,
    "NOTADB": _CORRUPT,
    "IOERR": _IO,
    "CANTOPEN": _UNAVAILABLE,
    "CONSTRAINT": _CONSTRAINT,
    "TOOBIG": _TOO_BIG,
}

# Only sqlite3 of Python 3.11 and later carries the code; SQLCipher's driver does not.
_SQLITE_TEXT = {
    "database is locked": "BUSY",
    "database table is locked": "LOCKED",
    "database or disk is full": "FULL",
    "attempt to write a readonly database": "READONLY",
    "database disk image is malformed": "CORRUPT",
    "file is not a database": "NOTADB",
    "disk I/O error": "IOERR",
    "unable to open database file": "CANTOPEN",
}

# What a nearly full disk says when it is the shared memory or the journal that cannot grow.
_LITTLE_ROOM = 1 << 20

_PG_LOST: _Verdict = (
    StoreUnavailableError,
    "the server cannot be reached, or ended the connection. Check that it runs and accepts "
    "connections from here, then repeat the call",
)
_PG_LOGIN: _Verdict = (
    StoreUnavailableError,
    "the server refused the login. Check user, password, database name and pg_hba.conf",
)
_PG_CROWDED: _Verdict = (
    StoreUnavailableError,
    "the server has no connection or memory to spare. Use a smaller pool, or raise its limits",
)
_PG_CANCELLED: _Verdict = (
    StoreBusyError,
    "the server cancelled the statement, for its statement_timeout or at somebody's request, and "
    "nothing was written. Repeat the call, or have a larger statement_timeout set",
)
_PG_READ_ONLY: _Verdict = (
    StoreReadOnlyError,
    "this account or server may not write. Grant INSERT, UPDATE and DELETE on the chatstore_ "
    "tables, or connect to the primary server",
)
_PG_TEXT: _Verdict = (
    InvalidMessageError,
    "a value holds what the database cannot hold and nothing was written",
)

# The longest prefix of the SQLSTATE decides.
_POSTGRES: dict[str, _Verdict] = {
    "08": _PG_LOST,
    "22": _PG_TEXT,
    "23": _CONSTRAINT,
    "25006": _PG_READ_ONLY,
    "25P03": _PG_LOST,
    "25P04": _PG_CANCELLED,
    "28": _PG_LOGIN,
    "3D": _PG_LOGIN,
    "40": _BUSY,
    "42501": _PG_READ_ONLY,
    "53": _PG_CROWDED,
    "53100": _FULL,
    "54": _TOO_BIG,
    "55P03": _BUSY,
    "55006": _BUSY,
    "57014": _PG_CANCELLED,
    "57P": _PG_LOST,
    "58": _IO,
    "XX001": _CORRUPT,
    "XX002": _CORRUPT,
}


def sqlite_code(error: BaseException) -> str:
    """The name of SQLite's code, without its `SQLITE_`: `BUSY_SNAPSHOT`; `""` if there is none."""
    name = getattr(error, "sqlite_errorname", None)
    if isinstance(name, str):
        return name.removeprefix("SQLITE_")
    return _SQLITE_TEXT.get(str(error), "")


def is_busy(error: BaseException) -> bool:
    """Whether waiting may help."""
    return sqlite_code(error).startswith(("BUSY", "LOCKED"))


def is_damage(error: BaseException) -> bool:
    """Whether a part of the file is not what it was."""
    return sqlite_code(error).startswith(("CORRUPT", "NOTADB"))


def is_bad_text(error: BaseException) -> bool:
    """Whether Python's sqlite3 found text that is no UTF-8; it has no code of its own."""
    return str(error).startswith("Could not decode to UTF-8")


def from_sqlite(error: BaseException, name: str, path: Path | None) -> ChatStoreError:
    """Our error for one of SQLite's. `name` is what a user calls the database."""
    code = sqlite_code(error)
    if not code and "closed database" in str(error):
        return closed(name)
    primary = code.partition("_")[0]
    verdict = _SQLITE.get(primary, _REFUSED)
    if primary == "CANTOPEN" and path is not None and path.is_dir():
        verdict = _FOLDER
    elif primary == "IOERR" and path is not None and _is_full(path):
        verdict = _FULL
    elif primary == "CANTOPEN" and path is not None and _is_unwritable(path):
        verdict = _READ_ONLY
    return _compose(verdict, name, f"SQLITE_{code}" if code else type(error).__name__)


def from_postgres(error: BaseException, name: str) -> ChatStoreError:
    """Our error for one of psycopg's. An error without SQLSTATE is a connection that failed."""
    state = getattr(error, "sqlstate", None)
    if state is None:
        kind = type(error).__name__
        return _compose(_without_state(error, kind), name, kind)
    prefixes = (state[:n] for n in (5, 3, 2))
    verdict = next((_POSTGRES[p] for p in prefixes if p in _POSTGRES), _REFUSED)
    return _compose(verdict, name, state)


def _without_state(error: BaseException, kind: str) -> _Verdict:
    """Why a connection was refused is in libpq's text only; that text is not shown."""
    if kind == "DataError":
        return _PG_TEXT
    if kind not in {"OperationalError", "ConnectionTimeout", "InterfaceError"}:
        return _REFUSED
    text = str(error)
    if "too many clients" in text or "connection slots" in text:
        return _PG_CROWDED
    refused = ("authentication failed", "no password", "pg_hba.conf", "does not exist")
    return _PG_LOGIN if any(reason in text for reason in refused) else _PG_LOST


def busy(name: str, seconds: float) -> StoreBusyError:
    """Our own wait for a lock has ended."""
    return StoreBusyError(f"{name}: after {seconds:g} seconds {_BUSY[1]}.")


def closed(name: str) -> StoreClosedError:
    """The database was closed by its owner."""
    return StoreClosedError(f"{name}: the store is closed. Open it again with open_store(…).")


def forked(name: str) -> StoreUnavailableError:
    """A copy in a child process, of a database that was in use when it forked."""
    return StoreUnavailableError(
        f"{name}: this process was forked while a read or a write was under way, so that it cannot "
        "use the store. Fork when the store is idle, or start the child with the spawn method."
    )


def vanished(name: str) -> StoreUnavailableError:
    """The file is not the one that was opened."""
    return StoreUnavailableError(
        f"{name}: the file was deleted or replaced while the store was open, and nothing was "
        "written. Put it back, or close the store and open it again."
    )


def rolled_back(name: str) -> ChatStoreError:
    """A COMMIT that the server answered with ROLLBACK."""
    return _compose(_REFUSED, name, "ROLLBACK")


def in_doubt(name: str) -> StoreUnavailableError:
    """The connection was lost after COMMIT was sent and before the answer came."""
    return StoreUnavailableError(
        f"{name}: the connection was lost while the server was committing, so that nobody knows "
        "whether it was stored. Read the conversation; a message with an id may be sent again."
    )


def unreachable(name: str, error: OSError) -> ChatStoreError:
    """Our error where the operating system refuses a file. Its text names the path only."""
    verdict = _UNAVAILABLE
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        verdict = _READ_ONLY
    elif error.errno in {errno.ENOSPC, errno.EDQUOT}:
        verdict = _FULL
    return _compose(verdict, name, errno.errorcode.get(error.errno or 0, type(error).__name__))


def _compose(verdict: _Verdict, name: str, code: str) -> ChatStoreError:
    kind, remedy = verdict
    return kind(f"{name}: {remedy} ({code}).")


def _is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _LITTLE_ROOM
    except OSError:
        return False


def _is_unwritable(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return False
    return not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
