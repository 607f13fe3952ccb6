"""What the server refuses, and which error a caller gets for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from chatstore import (
    ChatMessage,
    ChatStoreError,
    DuplicateMessageError,
    InvalidMessageError,
    SchemaOutdatedError,
    SQLChatStore,
    StoreBusyError,
    StoreCorruptError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from chatstore.sql import schema
from chatstore.sql.engine import open_database
from tests.postgres.support import contradictions, query, stored
from tests.sql.ledger import wait_for


@pytest.fixture
def store(tables_url: str) -> Iterator[SQLChatStore]:
    with SQLChatStore(tables_url) as opened:
        yield opened


def configure(url: str, setting: str) -> None:
    """For sessions that begin from now on."""
    ((name,),) = query(url, "SELECT current_database()")
    query(url, f"ALTER DATABASE {name} SET {setting}")


@pytest.fixture
def reset(tables_url: str) -> Iterator[None]:
    yield
    name = tables_url.rpartition("/")[2]
    with psycopg.connect(tables_url, autocommit=True) as conn:
        conn.execute("SET default_transaction_read_only = off")
        conn.execute(f"ALTER DATABASE {name} RESET ALL".encode())


def test_reading_only_upgrades_nothing(postgres_url: str) -> None:
    with pytest.raises(StoreReadOnlyError, match="has to be upgraded"):
        SQLChatStore(postgres_url, read_only=True, upgrade=True)
    with pytest.raises(SchemaOutdatedError):
        SQLChatStore(postgres_url, read_only=True)
    database = open_database(postgres_url, read_only=True)
    with pytest.raises(StoreReadOnlyError):
        schema.upgrade(database)
    with pytest.raises(StoreReadOnlyError), database.exclusive():
        pass
    database.close()
    assert query(postgres_url, "SELECT 1 FROM pg_class WHERE relname LIKE 'chatstore%%'") == []


@pytest.mark.usefixtures("reset")
def test_a_server_that_is_read_only(tables_url: str, store: SQLChatStore) -> None:
    store.add_message("k", ChatMessage("a"))
    configure(tables_url, "default_transaction_read_only = on")
    with SQLChatStore(tables_url) as late:
        for write in (
            lambda: late.add_message("k", ChatMessage("b")),
            lambda: late.add_message("k", ChatMessage("b"), 0),
            lambda: late.delete_messages("k"),
        ):
            with pytest.raises(StoreReadOnlyError, match="may not write"):
                write()
        assert [m.content for m in late.get_messages("k")] == ["a"]
        with pytest.raises(StoreReadOnlyError):
            late.add_message("new", ChatMessage("b"))
    assert stored(tables_url) == {"k": ["a"]}


def test_a_lock_that_is_not_given_back(tables_url: str, store: SQLChatStore) -> None:
    store.add_message("k", ChatMessage("a", id="m1"))
    with (
        SQLChatStore(tables_url, lock_timeout=0.1) as hasty,
        psycopg.connect(tables_url) as conn,
    ):
        conn.execute("SELECT 1 FROM chatstore_conversation WHERE key = 'k' FOR UPDATE")
        for number in range(3):
            with pytest.raises(StoreBusyError):
                hasty.add_message("k", ChatMessage(f"b{number}"))
            with pytest.raises(StoreBusyError):
                hasty.add_messages("k", [ChatMessage("b")] * 3)
        described = store.get_conversation("k")
        assert described is not None
        with pytest.raises(StoreBusyError):
            hasty.add_message("k", ChatMessage("b"), expected_revision=described.revision)
        conn.rollback()
        hasty.add_message("k", ChatMessage("b"), expected_revision=described.revision)
    assert stored(tables_url) == {"k": ["a", "b"]}


@pytest.mark.usefixtures("reset")
def test_a_statement_that_takes_too_long(tables_url: str, store: SQLChatStore) -> None:
    store.add_message("k", ChatMessage("a"))
    configure(tables_url, "statement_timeout = '100ms'")
    with SQLChatStore(tables_url) as late, psycopg.connect(tables_url) as conn:
        conn.execute("SELECT 1 FROM chatstore_conversation WHERE key = 'k' FOR UPDATE")
        with pytest.raises(StoreBusyError, match="statement_timeout"):
            late.add_message("k", ChatMessage("b"))
        with pytest.raises(StoreBusyError, match="statement_timeout"):
            late.set_metadata("k", {"a": 1})
        conn.rollback()
        late.add_message("k", ChatMessage("c"))
    assert stored(tables_url) == {"k": ["a", "c"]}


@pytest.mark.usefixtures("reset")
def test_an_isolation_of_the_servers_own(tables_url: str, store: SQLChatStore) -> None:
    # With it, an append has a conflict each time that it had to wait for another.
    store.add_message("k", ChatMessage("a"))
    configure(tables_url, "default_transaction_isolation = 'serializable'")
    waiting = (
        "SELECT 1 FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with SQLChatStore(tables_url) as late, psycopg.connect(tables_url, autocommit=True) as conn:
        thread = threading.Thread(target=late.add_message, args=("k", ChatMessage("b")))
        for turn in range(12):
            conn.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            conn.execute("UPDATE chatstore_conversation SET metadata = metadata WHERE key = 'k'")
            if turn == 0:
                thread.start()
            wait_for(lambda: not thread.is_alive() or conn.execute(waiting).fetchone())
            conn.execute("COMMIT")
        thread.join(30)
    assert stored(tables_url) == {"k": ["a", "b"]}
    assert contradictions(tables_url) == []


def test_names_of_statements_are_nobody_elses(tables_url: str, store: SQLChatStore) -> None:
    names = set()
    for _ in range(3):
        with SQLChatStore(tables_url) as other:
            for number in range(10):
                other.add_message("k", ChatMessage(f"{number}"))
            found = other._database.read(
                lambda conn: conn.execute("SELECT name FROM pg_prepared_statements").fetchall()
            )
            assert found
            names |= {name for (name,) in found}
    assert len(names) >= 3
    assert "_pg3_0" not in names


def test_an_id_that_others_take_meanwhile(tables_url: str, store: SQLChatStore) -> None:
    together = threading.Barrier(6)
    ids: list[str] = []

    def write() -> None:
        with SQLChatStore(tables_url) as own:
            for number in range(20):
                together.wait(20)
                ids.append(own.add_message("k", ChatMessage(f"{number}", id=f"m{number}")))

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(ids) == 120
    assert stored(tables_url) == {"k": [f"{number}" for number in range(20)]}
    assert contradictions(tables_url) == []
    with pytest.raises(DuplicateMessageError):
        store.add_message("k", ChatMessage("other", id="m3"))


@contextmanager
def failing(url: str, state: str) -> Iterator[None]:
    """A server on which no message can be inserted."""
    query(
        url,
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION 'secret words' USING ERRCODE = '{state}'; END $$",
    )
    try:
        query(
            url,
            "CREATE TRIGGER failing BEFORE INSERT ON chatstore_message "
            "FOR EACH ROW EXECUTE FUNCTION fail()",
        )
        yield
    finally:
        query(url, "DROP FUNCTION fail CASCADE")


@pytest.mark.parametrize(
    ("state", "ours"),
    [
        ("53100", StoreFullError),  # a full disk
        ("53200", StoreUnavailableError),  # no memory
        ("58030", StoreUnavailableError),  # an I/O error
        ("XX001", StoreCorruptError),  # damaged data
        ("42501", StoreReadOnlyError),  # a missing grant
        ("57014", StoreBusyError),  # cancelled
        ("54000", InvalidMessageError),  # too large
    ],
)
def test_a_write_that_fails_half_way(
    tables_url: str, store: SQLChatStore, state: str, ours: type[ChatStoreError]
) -> None:
    # The server itself says so, when the conversation's row is written and the message is not.
    store.add_messages("k", [ChatMessage("a"), ChatMessage("b")])
    with failing(tables_url, state):
        before = store.get_conversation("k")
        for write in (
            lambda: store.add_message("k", ChatMessage("c")),
            lambda: store.add_messages("k", [ChatMessage("c", id="m1"), ChatMessage("d")]),
            lambda: store.add_message("new", ChatMessage("c")),
            lambda: store.add_message("k", ChatMessage("c"), 1),
            lambda: store.set_messages("k", [ChatMessage("c")]),
        ):
            with pytest.raises(ours) as caught:
                write()
            assert "secret" not in str(caught.value)
        assert store.get_conversation("k") == before
    store.add_message("k", ChatMessage("c"))
    assert stored(tables_url) == {"k": ["a", "b", "c"]}
    assert contradictions(tables_url) == []
