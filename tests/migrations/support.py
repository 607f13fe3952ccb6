"""Looking at databases behind the library's back, with the raw driver."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
INI = ROOT / "alembic.ini"
DUMPS = Path(__file__).parent / "dumps"
FIRST, SECOND, THIRD = "0001_messages", "0002_spaced_ordinals", "0003_adapter_state"
HEAD = THIRD

Query = Callable[[str], list[tuple[Any, ...]]]

# What both schemas say of a conversation and of a message, but for counters and places.
_TALK = "namespace, key, count, created_at, updated_at, ttl, expires_at, metadata"
_LINE = "m.id, m.format, m.payload, m.role, m.kind, m.tool_call_ids, m.archived, m.created_at"


def load(revision: str, path: Path) -> Path:
    """A file as that version left it."""
    with opened(path) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.executescript((DUMPS / f"{revision}.sqlite.sql").read_text("utf-8"))
    return path


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        yield conn


def contents(path: Path) -> dict[Any, Any]:
    with opened(path) as conn:
        return contents_of(lambda sql: conn.execute(sql).fetchall())


def contents_of(query: Query) -> dict[Any, Any]:
    """All that users stored, by conversation, messages in their order."""
    talks: dict[Any, Any] = {
        row[:2]: (*row[2:], []) for row in query(f"SELECT {_TALK} FROM chatstore_conversation")
    }
    for namespace, key, *line in query(
        f"SELECT c.namespace, c.key, {_LINE} FROM chatstore_message AS m "
        "JOIN chatstore_conversation AS c ON c.id = m.conversation_id "
        "ORDER BY m.conversation_id, m.ordinal"
    ):
        line[6] = bool(line[6])
        talks[namespace, key][-1].append(tuple(line))
    return talks


def master(path: Path) -> list[tuple[Any, ...]]:
    """Everything that sqlite_master says, page numbers apart."""
    with opened(path) as conn:
        sql = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
        return conn.execute(sql).fetchall()


def version(path: Path) -> str | None:
    with opened(path) as conn:
        names = {name for (name,) in conn.execute("SELECT name FROM sqlite_master")}
        if "chatstore_alembic_version" not in names:
            return None
        rows = conn.execute("SELECT version_num FROM chatstore_alembic_version").fetchall()
        [found] = rows or [(None,)]
        return None if found[0] is None else str(found[0])


def sound(path: Path) -> bool:
    with opened(path) as conn:
        damage = conn.execute("PRAGMA integrity_check").fetchall()
        orphans = conn.execute("PRAGMA foreign_key_check").fetchall()
    return damage == [("ok",)] and not orphans


def digest(path: Path) -> str:
    """Only of files that this process has not open: closing them would drop SQLite's locks."""
    return sha256(path.read_bytes()).hexdigest()
