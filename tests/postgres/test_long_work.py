"""Exports and purges: one state, few rows at a time, and nobody waits for them."""

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from chatstore import ChatMessage, SimpleChatStore, SQLChatStore
from chatstore.operations import PurgeExpired
from chatstore.sql import upkeep
from chatstore.sql.carry import WRITES
from chatstore.sql.clauses import PAGE_BYTES
from chatstore.sql.dialects import statements
from chatstore.sql.models import GAP
from chatstore.sql.transfer import PAGE
from chatstore.sql.turn import Turn
from tests.postgres.support import contradictions, query, stored


@pytest.fixture
def store(tables_url: str) -> Iterator[SQLChatStore]:
    with SQLChatStore(tables_url) as opened:
        yield opened


def test_an_export_sees_one_state(
    tables_url: str, store: SQLChatStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(40):
        store.add_messages(f"k{n:02}", [ChatMessage(f"{n}:{part}") for part in "abc"])
    before = stored(tables_url)
    rows, page = Turn.rows, Turn.page
    with SQLChatStore(tables_url) as other:
        works: list[Callable[[], object]] = [
            lambda: other.add_message("k00", ChatMessage("late")),
            lambda: other.add_message("k20", ChatMessage("late"), 0),
            lambda: other.add_message("k99", ChatMessage("late")),
            lambda: other.delete_messages("k39"),
            lambda: other.set_messages("k38", [ChatMessage("late")]),
            lambda: other.delete_message("k37", 0),
        ]
        pending = iter(works)

        def interrupted(turn: Turn, statement: str, **parameters: Any) -> list[Any]:
            """Others write between two statements of the export."""
            found = rows(turn, statement, **parameters)
            others_write(turn)
            return found

        def interrupted_page(
            turn: Turn, statement: str, n: int, **parameters: Any
        ) -> tuple[list[Any], bool]:
            found = page(turn, statement, n, **parameters)
            others_write(turn)
            return found

        def others_write(turn: Turn) -> None:
            if turn.conn is exporting[0]:
                for work in pending:
                    work()
                    break

        exporting: list[Any] = []
        snapshot = store._database.snapshot

        @contextmanager
        def noted() -> Iterator[Any]:
            with snapshot() as conn:
                exporting.append(conn)
                yield conn

        monkeypatch.setattr(Turn, "rows", interrupted)
        monkeypatch.setattr(Turn, "page", interrupted_page)
        monkeypatch.setattr(store._database, "snapshot", noted)
        file = io.StringIO()
        store.export_json(file, format="jsonl")
        assert list(pending) == []
    copy = SimpleChatStore()
    copy.import_json(io.StringIO(file.getvalue()), format="jsonl")
    held = {key: [m.content for m in copy.get_messages(key)] for key in copy.get_keys()}
    assert held == before
    assert "late" in stored(tables_url)["k00"]


def test_an_export_holds_few_rows(
    tables_url: str, store: SQLChatStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for first in range(0, 4500, 1500):
        store.add_messages("long", [ChatMessage(f"{first + n}") for n in range(1500)])
    query(
        tables_url,
        "INSERT INTO chatstore_conversation (namespace, key, next_ordinal, count, revision, "
        "created_at, updated_at) SELECT '', 'k' || n, 1048576, 1, 1, 1, 1 "
        "FROM generate_series(1, 1200) AS n",
    )
    query(
        tables_url,
        "INSERT INTO chatstore_message (conversation_id, ordinal, serial, format, payload, role, "
        "created_at) SELECT id, 0, 1, 'chatstore', '{\"role\": \"user\", \"blocks\": []}', 'user', "
        "1 FROM chatstore_conversation WHERE key <> 'long'",
    )
    sizes: list[int] = []
    rows, page = Turn.rows, Turn.page

    def counted(turn: Turn, statement: str, **parameters: Any) -> list[Any]:
        found = rows(turn, statement, **parameters)
        sizes.append(len(found))
        return found

    def counted_page(
        turn: Turn, statement: str, n: int, **parameters: Any
    ) -> tuple[list[Any], bool]:
        found, more = page(turn, statement, n, **parameters)
        sizes.append(len(found))
        return found, more

    monkeypatch.setattr(Turn, "rows", counted)
    monkeypatch.setattr(Turn, "page", counted_page)
    file = io.StringIO()
    report = store.export_json(file, format="jsonl")
    assert (report.conversations, report.messages) == (1201, 5700)
    assert max(sizes) == PAGE
    assert sum(sizes) == 1201 + 5700


@pytest.mark.parametrize("size", [PAGE_BYTES // 3 - 2000, PAGE_BYTES * 2])
def test_the_server_ends_a_page(tables_url: str, store: SQLChatStore, size: int) -> None:
    """The driver has in memory whatever it is sent, seen by Python or not."""
    store.add_messages("k", [ChatMessage("short")] * 10)
    for _ in range(6):
        store.add_message("k", ChatMessage("x" * size))
    sql = statements("postgresql")
    ((here,),) = query(tables_url, "SELECT id FROM chatstore_conversation")
    place = {"conversation_id": here, "serial": 1, "ordinal": 0, "n": 1000}
    named = {"namespace": "", "key": "k", "now": 1}
    with psycopg.connect(tables_url) as conn:
        page = conn.execute(sql.page.encode(), place).fetchall()
        after = conn.execute(sql.after.encode(), place | named).fetchall()
        last = conn.execute(sql.page.encode(), place | {"ordinal": 15 * GAP}).fetchall()
    large = PAGE_BYTES // size + 1
    assert [len(rows) for rows in (page, after, last)] == [10 + large, 9 + large, 1]


def test_a_purge_goes_in_batches(
    tables_url: str, store: SQLChatStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SQLChatStore(tables_url, ttl=0.001) as brief:
        for n in range(230):
            brief.add_messages(f"k{n}", [ChatMessage("a"), ChatMessage("b")])
    store.add_message("kept", ChatMessage("a"))
    time.sleep(0.01)
    batches: list[int] = []

    def watched(turn: Turn, operation: PurgeExpired) -> int:
        batches.append(upkeep.purge(turn, operation))
        # What the batches before freed is gone for others too, and a write waits for none.
        left = query(tables_url, "SELECT count(*) FROM chatstore_conversation WHERE key <> 'kept'")
        assert left == [(230 - sum(batches[:-1]),)]
        store.add_message("kept", ChatMessage("b"))
        return batches[-1]

    monkeypatch.setitem(WRITES, PurgeExpired, watched)
    assert store.purge_expired() == 230
    assert batches == [100, 100, 30]
    assert stored(tables_url) == {"kept": ["a", "b", "b", "b"]}
    assert query(tables_url, "SELECT count(*) FROM chatstore_message") == [(4,)]
    assert contradictions(tables_url) == []


def test_purges_share_the_work(tables_url: str, store: SQLChatStore) -> None:
    with SQLChatStore(tables_url, ttl=0.001) as brief:
        for n in range(150):
            brief.add_message(f"k{n}", ChatMessage("a"))
    time.sleep(0.01)
    freed: list[int] = []
    threads = [
        threading.Thread(target=lambda: freed.append(store.purge_expired())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(freed) == 150
    assert stored(tables_url) == {}
