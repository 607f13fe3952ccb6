"""Imports into PostgreSQL: several at once, and how often they ask the server."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from chatstore import (
    ChatMessage,
    Conversation,
    SimpleChatStore,
    SQLChatStore,
    TransferError,
    clock,
)
from chatstore.codec import encode
from chatstore.transfer import NEW, Stream

TALKS, EACH = 300, 10
NOW = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.fixture
def store(postgres_url: str) -> Iterator[SQLChatStore]:
    with SQLChatStore(postgres_url, upgrade=True) as opened:
        yield opened


def exported(prefix: str = "user", talks: int = TALKS) -> bytes:
    file = io.BytesIO()
    with SimpleChatStore() as some:
        for number in range(talks):
            texts = (f"{number}:{place}" for place in range(EACH))
            some.add_messages(f"{prefix}{number:04}", [ChatMessage(text) for text in texts])
        some.export_json(file, format="jsonl")
    return file.getvalue()


def test_imports_of_the_same_at_once_store_it_once(store: SQLChatStore) -> None:
    data = exported()

    def work(_: int) -> tuple[int, int]:
        report = store.import_json(io.BytesIO(data), format="jsonl", on_conflict="skip")
        return report.conversations, report.skipped

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(work, range(4)))
    assert sorted(told) == [(0, TALKS)] * 3 + [(TALKS, 0)]
    assert store.check().ok
    assert sum(one.count for one in store.get_conversations()) == TALKS * EACH


def test_of_imports_that_must_not_meet_one_wins(store: SQLChatStore) -> None:
    data = exported()

    def work(_: int) -> bool:
        try:
            store.import_json(io.BytesIO(data), format="jsonl")
        except TransferError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(work, range(4))) == [False, False, False, True]
    assert store.check().ok


def test_a_conversation_costs_a_round_trip_and_its_messages_none(
    store: SQLChatStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = 0
    wait = psycopg.Connection.wait

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal waits
        waits += 1
        return wait(*arguments, **options)

    data = exported()
    monkeypatch.setattr(psycopg.Connection, "wait", counted)
    store.import_json(io.BytesIO(data), format="jsonl")
    # One for the row of each; for the messages, some for each thousand of them.
    assert waits < TALKS * 1.1


def test_a_key_that_comes_again_finds_what_came_before(store: SQLChatStore) -> None:
    told = Conversation("b", 1, NOW, NOW, None, None, {}, NEW)
    draft = encode(ChatMessage("once", id="m1"), clock.read(NOW))

    def stream() -> Stream:
        yield told, [draft]
        yield told, [draft]

    report = store._restore(stream, "append")
    assert (report.conversations, report.messages) == (2, 1)
    assert [message.content for message in store.get_messages("b")] == ["once"]
    assert store.check().ok
