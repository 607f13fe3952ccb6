"""Writes the dumps of a revision: `python -m tests.migrations.dumping 0001_messages`.

A dump of each released revision stays in dumps/ for ever, so that what was written with it can be
upgraded by every later version. Make a revision's when it is released, and not again.
"""

import contextlib
import io
import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command
from alembic.config import Config

from chatstore import ChatMessage, SQLChatStore
from chatstore import operations as ops
from chatstore.records import StateDraft
from chatstore.sql import schema
from chatstore.sql.engine import open_database
from tests.migrations.nasty import START, talks
from tests.migrations.support import DUMPS, FIRST, INI, SECOND, THIRD, opened

_TABLES = {
    FIRST: ("chatstore_conversation", "chatstore_message"),
    SECOND: ("chatstore_conversation", "chatstore_message", "chatstore_block"),
    THIRD: (
        *("chatstore_conversation", "chatstore_message", "chatstore_block"),
        "chatstore_state",
    ),
}


def main(revision: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "chat.db"
        made_first(path)
        if revision != FIRST:
            edited_second(path)
        if revision == THIRD:
            with_states(path)
        DUMPS.mkdir(exist_ok=True)
        with opened(path) as conn:
            dump = "\n".join(conn.iterdump()) + "\n"
            (DUMPS / f"{revision}.sqlite.sql").write_text(dump, "utf-8")
            lines = [_ddl(revision), *_rows(conn, revision)]
            (DUMPS / f"{revision}.postgresql.sql").write_text("\n".join(lines) + "\n", "utf-8")


def made_first(path: Path) -> None:
    """As the first version left it: numbered 0 to n-1."""
    database = open_database(path)
    schema.upgrade(database, FIRST)
    database.close()
    with opened(path) as conn:
        for talk in talks():
            row = (talk.namespace, talk.key, len(talk.lines), len(talk.lines), talk.revision)
            times = (START, START + 1, talk.ttl, talk.expires_at, json.dumps(talk.metadata))
            here = conn.execute(
                "INSERT INTO chatstore_conversation (namespace, key, next_ordinal, count, revision,"
                " created_at, updated_at, ttl, expires_at, metadata) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row + times,
            ).lastrowid
            conn.executemany(
                "INSERT INTO chatstore_message (conversation_id, ordinal, id, format, payload,"
                " role, kind, tool_call_ids, archived, created_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(here, place, *line) for place, line in enumerate(talk.lines)],
            )
        # One was deleted: its id must not come again.
        conn.execute("INSERT INTO chatstore_conversation VALUES (77,'','gone',0,0,0,0,0,0,0,'{}')")
        conn.execute("DELETE FROM chatstore_conversation WHERE id = 77")


def edited_second(path: Path) -> None:
    """As the second version left it: with inserts, deletions and a removed beginning."""
    with SQLChatStore(path, backup=False) as store:
        for place in (5, 5, 5, 300):
            store.add_message("long", ChatMessage(f"inserted at {place}"), idx=place)
        for place in (0, 7, 260):
            store.delete_message("long", place)
        store.archive_messages("long", 4)
        store.delete_message("archived in part", 12)
        store.set_metadata("tools", {"edited": True})


def with_states(path: Path) -> None:
    """As the third version left it: with states beside conversations, and without messages."""
    state = StateDraft('{"text":"\\u0000 \\ud83d"}', '[{"entry":"left"}]', "Zürich 🌍", START)
    with SQLChatStore(path, backup=False) as store:
        for key in ("tools", "long", "begun"):
            store._execute(ops.WriteState(key, state, [], False, None))
        store.archive_messages("long", 1)
        store._execute(ops.WriteState("empty", state._replace(scope=None), [], False, None))


def _ddl(revision: str) -> str:
    text = io.StringIO()
    config = Config(INI, output_buffer=text, stdout=io.StringIO())
    config.set_main_option("sqlalchemy.url", "postgresql://")
    with contextlib.redirect_stderr(io.StringIO()):
        command.upgrade(config, revision, sql=True)
    return text.getvalue()


def _rows(conn: sqlite3.Connection, revision: str) -> Iterator[str]:
    for table in _TABLES[revision]:
        cursor = conn.execute(f"SELECT * FROM {table}")
        names = [column for column, *_ in cursor.description]
        for row in cursor:
            values = ", ".join(
                _literal(
                    bool(value) if (table, name) == ("chatstore_message", "archived") else value
                )
                for name, value in zip(names, row)
            )
            yield f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values});"
    yield "SELECT setval('chatstore_conversation_id_seq', 77);"
    if revision == THIRD:
        yield "SELECT setval('chatstore_state_id_seq', (SELECT max(id) FROM chatstore_state));"


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


if __name__ == "__main__":
    main(*sys.argv[1:])
