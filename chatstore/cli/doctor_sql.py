"""What can be said of a SQLite file, and of a SQL database."""

import contextlib
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from chatstore.cli import stores
from chatstore.cli.finding import Finding, State
from chatstore.cli.terminal import plural, size
from chatstore.transfer.names import UNFINISHED

if TYPE_CHECKING:
    from chatstore.sql.engine import Database

_LITTLE = 500_000_000  # bytes
_SETTINGS = ("server_version", "synchronous_commit", "fsync", "server_encoding")
_RISKY = ("off", "local")


def file(path: Path) -> Iterator[Finding]:
    """What can be said of a SQLite file from outside."""
    from chatstore.sql.engine.sqlite.files import is_remote

    facts = path.stat()
    yield Finding("file", f"{path}, {size(facts.st_size)}")
    if sys.platform != "win32":
        mode = stat.S_IMODE(facts.st_mode)
        if mode & 0o077:
            yield Finding(
                "permissions",
                f"{mode:04o}: others on this machine may open it",
                "warning",
                f"chmod 600 {quote(str(path))}",
            )
        else:
            yield Finding("permissions", f"{mode:04o}")
    if not os.access(path, os.W_OK) or not os.access(path.resolve().parent, os.W_OK):
        yield Finding(
            "writing",
            "this account may not write the file or its folder",
            "warning",
            "Grant it, or open the store with read_only=True.",
        )
    if is_remote(path.resolve()):
        yield Finding(
            "file system",
            "a network file system",
            "warning",
            "WAL cannot work there, and locks may lie: put the file on a local disk.",
        )
    else:
        yield Finding("file system", "local")
    free = shutil.disk_usage(path.resolve().parent).free
    state: State = "warning" if free < max(_LITTLE, facts.st_size) else "ok"
    remedy = "An upgrade needs room for a copy of the file." if state == "warning" else ""
    yield Finding("free disk", size(free), state, remedy)
    yield from _left_behind(path.resolve().parent)


def _left_behind(folder: Path) -> Iterator[Finding]:
    """What imports and exports could not clean up, since they were killed."""
    begin, end = UNFINISHED
    left, hidden = [], f"{begin}*{end}*"  # with what SQLite keeps beside a file
    for file in folder.glob(hidden):
        with contextlib.suppress(FileNotFoundError):
            left.append(file.stat().st_size)
    if left:
        yield Finding(
            "left behind",
            f"{plural(len(left), 'hidden file')} of killed imports or exports, {size(sum(left))}",
            "warning",
            f"If none is running: rm {quote(str(folder))}/{hidden}",
        )


def database(url: str) -> Iterator[Finding]:
    """What can be said of any SQL store, through a connection."""
    from chatstore.sql import schema
    from chatstore.sql.engine import open_database

    database = open_database(stores.target(url), read_only=True, create=False)
    try:
        # Asked through the store's own connection: a second way to open a live file is a risk.
        if database.dialect == "sqlite":
            yield from _sqlite(_ask(database, "PRAGMA journal_mode"), stores.sqlite_path(url))
        else:
            yield from _postgres({name: _ask(database, f"SHOW {name}") for name in _SETTINGS})
        found = schema.current(database)
    finally:
        database.close()
    if found == schema.HEAD:
        yield Finding("schema", f"{found} (head)")
    else:
        yield Finding(
            "schema",
            f"{found or 'none'}; this version needs {schema.HEAD}",
            "problem",
            f"chatstore upgrade {stores.where(url)}",
        )


def _ask(database: "Database", statement: str) -> str:
    return str(database.read(lambda connection: connection.execute(statement).fetchall()[0][0]))


def _sqlite(mode: str, path: str | None) -> Iterator[Finding]:
    if path is None:
        yield Finding("journal mode", f"{mode}: in memory, nothing lasts", "note")
        return
    if mode == "wal":
        yield Finding("journal mode", "wal")
    else:
        yield Finding(
            "journal mode",
            f"{mode}: readers and writers wait for each other",
            "warning",
            "The next write by chatstore sets wal, unless the file system forbids it.",
        )
    yield Finding(
        "durability", "full: survives a power cut (open_store(…, durability='normal') does not)"
    )
    if os.path.exists(path + "-wal"):
        yield Finding("write-ahead log", size(os.stat(path + "-wal").st_size))


def _postgres(facts: dict[str, str]) -> Iterator[Finding]:
    yield Finding("server", f"PostgreSQL {facts['server_version']}")
    for name in ("synchronous_commit", "fsync"):
        if facts[name] in _RISKY:
            yield Finding(name, facts[name], "warning", "A crash may lose the newest messages.")
        else:
            yield Finding(name, facts[name])
    yield Finding("encoding", facts["server_encoding"])
