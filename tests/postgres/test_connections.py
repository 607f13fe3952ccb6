"""How many connections a store opens, and that each number of them is enough."""

import asyncio
import io
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool, SingletonThreadPool

from chatstore import AsyncSQLChatStore, ChatMessage, SQLChatStore, StoreBusyError
from chatstore.cli import main
from chatstore.sql.engine.postgres.server import CONNECTIONS, Server
from tests.postgres.support import awaited, contradictions, engine, limited, query, stored
from tests.sql.ledger import wait_for

OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'chatstore'"


@awaited
async def test_a_url_says_how_many(url: str, holder: psycopg.Connection[Any]) -> None:
    """Threads, tasks, and a snapshot share them."""
    async with AsyncSQLChatStore(limited(url, 3)) as store:
        tasks = [
            asyncio.create_task(store.add_message("held", ChatMessage(f"{n}"))) for n in range(9)
        ]
        reads = [asyncio.create_task(store.get_messages("held")) for _ in range(9)]
        calls = [asyncio.to_thread(engine(store).read, lambda _: None) for _ in range(9)]
        pool = engine(store)._pool
        await asyncio.to_thread(wait_for, lambda: len(pool._open) == 3 and not pool.free)
        assert query(url, OURS) == [(3,)]
        holder.rollback()
        await asyncio.gather(*tasks, *reads, *calls)
        assert query(url, OURS) == [(3,)]
    assert sorted(stored(url)["held"]) == sorted(["0", *(f"{n}" for n in range(9))])


@pytest.mark.parametrize("limit", [1, 2, 40])
def test_each_number_is_enough(url: str, limit: int, tmp_path: Path) -> None:
    with SQLChatStore(limited(url, limit)) as store:
        threads = [
            threading.Thread(
                target=store.add_messages, args=(f"k{n % 3}", [ChatMessage(f"{n}")] * 2)
            )
            for n in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        store.add_message("k0", ChatMessage("middle"), 3)
        store.copy_conversation("k0", "copy")
        query(url, "UPDATE chatstore_conversation SET expires_at = 1 WHERE key = 'copy'")
        assert store.purge_expired() == 1
        assert len(list(store.iter_messages("k0"))) == 9
        assert store.check().ok
        store.export_json(tmp_path / "all.jsonl")
        assert store.import_json(tmp_path / "all.jsonl", on_conflict="replace").conversations == 4
        assert len(engine_of(store)._pool._open) <= limit
    assert contradictions(url) == []


@pytest.mark.parametrize("limit", [1, 2])
@awaited
async def test_tasks_share_a_few(url: str, limit: int) -> None:
    async with AsyncSQLChatStore(limited(url, limit)) as store:

        async def work(who: int) -> None:
            for n in range(5):
                await store.add_message(f"k{who}", ChatMessage(f"{n}"))
                await store.get_messages(f"k{who}", start=0, stop=2)
                await store.update_message(f"k{who}", n, ChatMessage(f"{n}!"))
            await store.export_json(io.StringIO(), format="jsonl")

        await asyncio.gather(*map(work, range(12)))
        assert len(engine(store)._pool._open) <= limit
    held = stored(url)
    assert [held[f"k{who}"] for who in range(12)] == [[f"{n}!" for n in range(5)]] * 12


def test_who_waits_for_the_only_one_is_told(url: str) -> None:
    with SQLChatStore(limited(url, 1), lock_timeout=0.05) as store:
        with (
            engine_of(store).snapshot(),
            pytest.raises(StoreBusyError, match="all 1 connections were busy"),
        ):
            store.count_messages("held")
        assert store.count_messages("held") == 1


def test_every_door_takes_it(
    postgres_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["upgrade", limited(postgres_url, 2)]) == 0
    monkeypatch.setenv("CHATSTORE_URL", limited(postgres_url, 2))
    assert main(["check", limited(postgres_url, 2)]) == 0
    assert "max_connections" not in capsys.readouterr().out
    url = sa.make_url(limited(postgres_url, 2)).update_query_dict({"connect_timeout": "3"})
    with SQLChatStore(url) as store:
        assert engine_of(store)._pool.limit == 2
        info = store._database.read(lambda conn: conn.info.get_parameters())  # type: ignore[attr-defined]
        assert info["connect_timeout"] == "3"


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "1.5", "2&max_connections=3"])
def test_what_is_no_number(wrong: str) -> None:
    with pytest.raises(ValueError, match="max_connections") as refused:
        SQLChatStore(f"postgresql://ada:secret@localhost/chat?max_connections={wrong}")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({}, CONNECTIONS),
        ({"pool_size": 2, "max_overflow": 0}, 2),
        ({"pool_size": 20, "max_overflow": 4}, 24),
        ({"pool_size": 3, "max_overflow": -1}, CONNECTIONS),
        ({"pool_size": 0}, CONNECTIONS),
        ({"poolclass": NullPool}, CONNECTIONS),
        ({"poolclass": SingletonThreadPool}, CONNECTIONS),
    ],
)
def test_an_engine_says_it_by_its_pool(options: dict[str, Any], limit: int) -> None:
    host = sa.create_engine("postgresql+psycopg://ada@localhost/chat", **options)
    assert Server(host).limit == limit


def engine_of(store: SQLChatStore) -> Any:
    return store._database
