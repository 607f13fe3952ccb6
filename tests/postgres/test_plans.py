"""How the server finds what it is asked for: by its indexes, whatever is beside it."""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from chatstore import SQLChatStore
from chatstore.sql.clauses import EVERYTHING
from chatstore.sql.dialects import statements
from chatstore.sql.models import GAP
from chatstore.sql.reading import bounds

CROWD = 10_000
"""So many conversations of three messages each, one in forty expired, in two namespaces."""

LONG = 10_000
"""So many messages in one conversation, which statistics take for one as short as the others."""

_LOAD = (
    "INSERT INTO chatstore_conversation (namespace, key, next_ordinal, count, revision, created_at,"
    f" updated_at, expires_at) SELECT CASE n % 2 WHEN 0 THEN '' ELSE 'other' END, 'user' || n,"
    f" 3 * {GAP}::bigint, 3, 3, n, (n * 7919) % {CROWD}, CASE n % 40 WHEN 0 THEN n END"
    f" FROM generate_series(1, {CROWD}) AS n",
    "INSERT INTO chatstore_message (conversation_id, ordinal, serial, format, payload, role,"
    f" created_at) SELECT c.id, n * {GAP}::bigint, n + 1, 'chatstore', repeat('x', 300), 'user', n"
    " FROM chatstore_conversation AS c, generate_series(0, 2) AS n",
    "INSERT INTO chatstore_conversation (namespace, key, next_ordinal, count, revision, created_at,"
    f" updated_at) VALUES ('', 'long', {LONG * GAP}, {LONG}, {LONG}, 1, 1)",
    "INSERT INTO chatstore_message (conversation_id, ordinal, serial, format, payload, role,"
    f" created_at) SELECT c.id, n * {GAP}::bigint, n + 1, 'chatstore', repeat('x', 300), 'user', n"
    f" FROM chatstore_conversation AS c, generate_series(0, {LONG - 1}) AS n WHERE c.key = 'long'",
    "VACUUM ANALYZE chatstore_conversation, chatstore_message, chatstore_block",
)

MESSAGES = "chatstore_message_pkey"
KEYS = "uq_chatstore_conversation_key"
TIMES = "ix_chatstore_conversation_updated"
EXPIRIES = "ix_chatstore_conversation_expires"
IDS = "uq_chatstore_message_id"


@pytest.fixture(scope="module")
def conn(postgres_server: Any) -> Iterator[psycopg.Connection[Any]]:
    name = postgres_server.new_database()
    url = postgres_server.url_of(name)
    SQLChatStore(url, upgrade=True).close()
    with psycopg.connect(url, autocommit=True) as opened:
        for statement in _LOAD:
            opened.execute(statement.encode())
        yield opened
    postgres_server.drop_database(name)


def plan(conn: psycopg.Connection[Any], text: str, parameters: dict[str, Any]) -> str:
    rows = conn.execute(b"EXPLAIN (COSTS OFF) " + text.encode(), parameters).fetchall()
    return "\n".join(row[0] for row in rows)


def parameters(conn: psycopg.Connection[Any], **more: Any) -> dict[str, Any]:
    """What the statements may ask for; each takes what it needs."""
    low, high = bounds("", "user5")
    row = conn.execute("SELECT id FROM chatstore_conversation WHERE key = 'long'").fetchone()
    assert row is not None
    here = {"conversation_id": row[0], "ordinal": 5000 * GAP, "serial": 5001, "id": "m1"}
    edges = {"low": low, "high": high, "n": 20, "skip": 0, "archived": False}
    mine = {"namespace": "", "key": "long", "now": CROWD // 2, "updated_at": CROWD // 2}
    return here | edges | mine | more


@pytest.mark.parametrize(
    ("name", "indexes"),
    [
        ("last", {MESSAGES, KEYS}),
        ("all", {MESSAGES, KEYS}),
        ("after", {MESSAGES, KEYS}),
        ("last_of_status", {MESSAGES, KEYS}),
        ("from_ordinal", {MESSAGES}),
        ("page", {MESSAGES}),
        ("from_end", {MESSAGES}),
        ("at_ordinal", {MESSAGES}),
        ("by_id", {IDS}),
        ("find", {KEYS}),
        ("describe", {KEYS}),
        ("lock", {KEYS}),
        ("keys", {KEYS}),
        ("by_key", {KEYS}),
        ("recent", {TIMES}),
        ("expired", {EXPIRIES}),
        ("delete_before", {MESSAGES}),
        ("delete_message", {MESSAGES}),
        ("delete_conversation", {"chatstore_conversation_pkey"}),
    ],
)
def test_it_is_found_by_an_index(
    conn: psycopg.Connection[Any], name: str, indexes: set[str]
) -> None:
    found = plan(conn, getattr(statements("postgresql"), name), parameters(conn))
    assert "Seq Scan" not in found, found
    assert "Sort" not in found or name == "all", found
    for index in indexes:
        assert index in found, found


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("recent", {"updated_at": EVERYTHING, "key": ""}),
        ("by_key", {"low": "", "high": chr(0x10FFFF) * 300}),
        ("keys", {"low": "", "high": chr(0x10FFFF) * 300}),
    ],
)
def test_a_first_page_reads_no_more_than_it_shows(
    conn: psycopg.Connection[Any], name: str, options: dict[str, Any]
) -> None:
    text = getattr(statements("postgresql"), name)
    explain = b"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) " + text.encode()
    rows = [row[0] for row in conn.execute(explain, parameters(conn, **options)).fetchall()]
    assert "Index" in "".join(rows), rows
    removed = sum(int(row.split(":")[1]) for row in rows if "Rows Removed by Filter" in row)
    assert removed < 50, rows  # the expired among them


@pytest.mark.parametrize("name", ["last", "from_ordinal", "page", "after", "keys", "recent"])
def test_it_is_planned_alike_without_the_values(conn: psycopg.Connection[Any], name: str) -> None:
    # As a prepared statement may be: for a conversation of average length, and any window.
    text = getattr(statements("postgresql"), name)
    given = parameters(conn)
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", text)))
    for place, parameter in enumerate(names, 1):
        text = text.replace(f"%({parameter})s", f"${place}")
    values = sql.SQL(", ").join(sql.Literal(given[parameter]) for parameter in names)
    conn.execute("SET plan_cache_mode = force_generic_plan")
    conn.execute(f"PREPARE {name} AS {text}".encode())
    explain = sql.SQL("EXPLAIN (COSTS OFF) EXECUTE {}({})").format(sql.Identifier(name), values)
    found = "\n".join(row[0] for row in conn.execute(explain).fetchall())
    assert "$1" in found, found
    assert "Seq Scan" not in found, found
    assert "Sort" not in found, found
