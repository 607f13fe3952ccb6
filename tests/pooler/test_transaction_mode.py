"""A session of the server is anybody's after each transaction: nothing may be left in it."""

import io
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chatstore import ChatMessage, ConflictError, SQLChatStore
from chatstore.sql import schema
from chatstore.sql.engine import open_database
from tests.backends import PostgresBackend
from tests.migrations.support import DUMPS, FIRST, contents_of
from tests.pooler.conftest import through
from tests.servers.fixtures import Running
from tests.servers.given import GivenPostgres
from tests.servers.pgbouncer import PgBouncer, find
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.pgbouncer

ROOT = Path(__file__).parents[2]
FOLLOWED = ("application_name", "client_encoding", "DateStyle", "TimeZone", "IntervalStyle")
"""Settings that pgbouncer keeps for each client, and sets again where they differ."""


@contextmanager
def client(url: str) -> Iterator["psycopg.Connection[Any]"]:
    """A client that prepares nothing, and whose statements are transactions."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as conn:
        yield conn


def left_behind(conn: "psycopg.Connection[Any]") -> dict[str, Any]:
    """What the next client would find in the session."""
    questions = {
        "settings": "SELECT name, setting FROM pg_settings WHERE source = 'session' "
        "AND name <> ALL (%(followed)s) ORDER BY 1",
        "path": "SHOW search_path",
        "user": "SELECT session_user, current_user",
        "cursors": "SELECT name FROM pg_cursors WHERE name <> ''",
        "locks": "SELECT locktype, mode FROM pg_locks WHERE pid = pg_backend_pid() "
        "AND locktype IN ('advisory', 'tuple')",
        "channels": "SELECT pg_listening_channels()",
        "temporary": "SELECT relname FROM pg_class WHERE relpersistence = 't'",
    }
    followed = {"followed": list(FOLLOWED)}
    return {
        name: conn.execute(sql.encode(), followed).fetchall() for name, sql in questions.items()
    }


def test_no_call_leaves_anything_in_a_session(
    postgres_server: PostgresServer | GivenPostgres, postgres_url: str, running: Running
) -> None:
    # One session, so that what is left is found.
    url = through(running(PgBouncer(postgres_server, sessions=1)), postgres_url)
    with client(url) as conn:
        pid = conn.execute("SELECT pg_backend_pid()").fetchone()
        before = left_behind(conn)
        for name in (None, "apart"):
            with SQLChatStore(url, upgrade=True, ttl=1000, schema=name) as store:
                everything(store)
        with closing(open_database(url)) as database:
            assert schema.check(database) == []
        assert left_behind(conn) == before
        assert conn.execute("SELECT pg_backend_pid()").fetchone() == pid


def everything(store: SQLChatStore) -> None:
    """Each call, often enough for its statements to be prepared; and one that fails."""
    for turn in range(8):
        store.add_message("a", ChatMessage(f"{turn}"))
        store.add_messages("a", [ChatMessage("x", id=f"m{turn}"), ChatMessage("y")])
        store.add_message("a", ChatMessage("first"), 0)
        store.update_message("a", 1, ChatMessage("changed"))
        store.archive_messages("a", 1)
        store.set_metadata("a", {"turn": turn})
        store.set_ttl("a", 5000)
        store.copy_conversation("a", f"b{turn}", 3)
        with pytest.raises(ConflictError):
            store.copy_conversation("a", f"b{turn}")
        store.get_messages("a", last=2)
        store.get_messages("a", start=1, stop=3)
        list(store.iter_messages("a"))
        store.get_conversations(limit=2)
        store.get_conversations(order="key", prefix="b")
        store.get_keys()
        store.delete_message("a", 0)
        store.delete_last_message("a")
        store.set_messages(f"b{turn}", [ChatMessage("new")])
        store.erase(f"b{turn}")
        store.purge_expired()
    file = io.BytesIO()
    store.export_json(file, format="jsonl")
    store.delete_messages("a")
    file.seek(0)
    store.import_json(file, format="jsonl")
    assert store.check().ok


def test_a_statement_of_another_client_is_not_run(
    postgres_server: PostgresServer | GivenPostgres, postgres_url: str, running: Running
) -> None:
    url = through(running(PgBouncer(postgres_server, sessions=2)), postgres_url)
    with SQLChatStore(postgres_url, upgrade=True) as store:
        store.add_message("user1", ChatMessage("Hello"))
    with SQLChatStore(url) as store, client(url) as first, client(url) as second:
        # Ours is prepared in the only session that there is yet.
        for _ in range(8):
            assert store.get_conversation("user1") is not None
        # While that one is taken, somebody else prepares under the name that psycopg always gives
        # first, in the other one; and goes.
        with first.transaction():
            first.execute("SELECT 1")
            wrong = (
                "DELETE FROM chatstore_conversation "
                "WHERE namespace = %s AND key = %s AND updated_at < %s"
            )
            second.prepare_threshold = 5
            second.execute(wrong.encode(), ("", "nobody", 1 << 40), prepare=True)
            conversation = store.get_conversation("user1")
        assert conversation is not None
        assert conversation.key == "user1"
    with client(postgres_url) as conn:
        assert conn.execute("SELECT count(*) FROM chatstore_conversation").fetchone() == (1,)


def keeps_statements() -> bool:
    """Whether this pgbouncer knows prepared statements in transaction mode: since 1.21."""
    told = subprocess.run([find(), "--version"], capture_output=True, text=True, check=True)
    major, minor = told.stdout.split()[1].split(".")[:2]
    return (int(major), int(minor)) >= (1, 21)


@pytest.mark.parametrize("kept", [True, False])
def test_prepared_statements_are_used_where_the_pooler_keeps_them(
    kept: bool,
    postgres_server: PostgresServer | GivenPostgres,
    postgres_url: str,
    running: Running,
) -> None:
    known = {"max_prepared_statements": "100" if kept else "0"} if keeps_statements() else {}
    url = through(running(PgBouncer(postgres_server, sessions=2, settings=known)), postgres_url)
    with SQLChatStore(url, upgrade=True) as store:

        def work(number: int) -> None:
            for turn in range(30):
                store.add_message(f"{number}", ChatMessage(f"{turn}"))
                store.get_messages(f"{number}", last=3)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(work, range(6)))
        assert [one.count for one in store.get_conversations()] == [30] * 6
        server: Any = store._database
        gave_up = server._server.prepare_after is None
        assert gave_up is not (kept and bool(known))


def test_eight_processes_append_to_one_key_through_three_sessions(
    pooled_url: str, postgres_url: str, request: pytest.FixtureRequest
) -> None:
    SQLChatStore(pooled_url, upgrade=True).close()
    doors = PostgresBackend(postgres_url)
    request.addfinalizer(doors.close)
    script = """
        import sys
        from chatstore import ChatMessage, ConflictError, SQLChatStore
        with SQLChatStore(sys.argv[1]) as store:
            for turn in range(200):
                store.add_message("one", ChatMessage(f"{sys.argv[2]}:{turn}"))
    """
    command = [sys.executable, "-c", textwrap.dedent(script), pooled_url]
    children = [subprocess.Popen([*command, str(number)], cwd=ROOT) for number in range(8)]
    assert [child.wait(300) for child in children] == [0] * 8
    with SQLChatStore(postgres_url) as store:
        said = [message.content or "" for message in store.get_messages("one")]
    assert len(said) == 1600
    for number in range(8):
        mine = [text for text in said if text.startswith(f"{number}:")]
        assert mine == [f"{number}:{turn}" for turn in range(200)]
    assert doors.faults("one") == []


def contents(conn: "psycopg.Connection[Any]") -> dict[Any, Any]:
    return contents_of(lambda sql: conn.execute(sql.encode()).fetchall())


@pytest.mark.parametrize("name", [None, "tenant"])
def test_a_crowd_upgrades_through_three_sessions(
    pooled_url: str, postgres_url: str, name: str | None
) -> None:
    with client(postgres_url) as conn:
        if name is None:
            conn.execute((DUMPS / f"{FIRST}.postgresql.sql").read_bytes())
            conn.execute("SELECT set_config('search_path', 'public', false)")
        before = contents(conn) if name is None else {}
        together = threading.Barrier(8)
        told: Counter[bool] = Counter()

        def one() -> None:
            database = open_database(pooled_url)
            try:
                together.wait()
                told[schema.upgrade(database, schema=name).before == schema.HEAD] += 1
            finally:
                database.close()

        threads = [threading.Thread(target=one) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert told == {True: 7, False: 1}
        assert (contents(conn) if name is None else {}) == before
    with closing(open_database(pooled_url)) as database:
        assert schema.check(database, schema=name) == []
    with client(pooled_url) as conn:
        for _ in range(6):
            assert conn.execute("SHOW search_path").fetchone() == ('"$user", public',)


def test_an_export_is_one_state_while_others_write(pooled_url: str) -> None:
    stop = threading.Event()
    with SQLChatStore(pooled_url, upgrade=True) as store:

        def write() -> None:
            turn = 0
            while not stop.is_set():
                # The higher key first: an export that saw several states would have one of them.
                for key in ("b", "a"):
                    store.add_message(key, ChatMessage(f"{turn}"))
                turn += 1

        writer = threading.Thread(target=write)
        store.add_message("b", ChatMessage("begin"))
        store.add_message("a", ChatMessage("begin"))
        writer.start()
        try:
            for _ in range(10):
                file = io.BytesIO()
                store.export_json(file, format="jsonl")
                file.seek(0)
                with SQLChatStore("sqlite://") as copy:
                    copy.import_json(file, format="jsonl")
                    a, b = copy.count_messages("a"), copy.count_messages("b")
                    assert b - a in {0, 1}
                    assert copy.check().ok
        finally:
            stop.set()
            writer.join()


def test_a_pooler_that_restarts(
    postgres_server: PostgresServer | GivenPostgres, postgres_url: str, running: Running
) -> None:
    pooler = running(PgBouncer(postgres_server))
    with SQLChatStore(through(pooler, postgres_url), upgrade=True) as store:
        for turn in range(3):
            store.add_message("a", ChatMessage(f"{turn}"))
            pooler.stop()
            pooler.start()
            assert store.count_messages("a") == turn + 1


def test_a_writer_that_is_killed_holds_nothing(pooled_url: str) -> None:
    script = """
        import sys
        from chatstore import ChatMessage, ConflictError, SQLChatStore
        with SQLChatStore(sys.argv[1]) as store:
            store.add_message("one", ChatMessage("acknowledged"))
            with store._database.snapshot():
                def work(conn):
                    conn.execute("SELECT id FROM chatstore_conversation FOR UPDATE").fetchall()
                    print("locked", flush=True)
                    sys.stdin.read()
                store._database.write(work)
    """
    with SQLChatStore(pooled_url, upgrade=True, lock_timeout=20) as store:
        for turn in range(4):  # more than there are sessions
            child = subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(script), pooled_url],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert child.stdout is not None
            assert child.stdout.readline() == b"locked\n"
            child.kill()
            child.communicate()
            store.add_message("one", ChatMessage("after"))
            assert store.count_messages("one") == 2 * (turn + 1)
