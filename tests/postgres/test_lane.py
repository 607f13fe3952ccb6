"""Tasks append: many statements on their way in one thread, each for itself."""

import asyncio
import gc
import os
import threading
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from chatstore import (
    AsyncSQLChatStore,
    ChatMessage,
    DuplicateMessageError,
    InvalidMessageError,
    StoreBusyError,
    StoreClosedError,
    StoreUnavailableError,
)
from chatstore.sql.engine.postgres import lane
from chatstore.sql.engine.postgres.server import CONNECTIONS
from chatstore.sql.engine.postgres.single import Single
from tests.postgres.support import (
    awaited,
    blocked,
    contradictions,
    engine,
    query,
    stored,
    waiting,
)
from tests.sql.ledger import wait_for


class Echo(Single[Any]):
    """A statement that says how long a text is."""

    weight = 0

    def __init__(self, text: str, sql: str = "SELECT length(%(text)s::text)") -> None:
        self.text = text
        self.sql = sql

    def parameters(self) -> dict[str, Any]:
        return {"text": self.text}

    def result(self, row: Sequence[int] | None) -> int | None:
        return None if row is None else row[0]


@awaited
async def test_a_crowd_loses_nothing(url: str, store: AsyncSQLChatStore) -> None:
    async def work(who: int) -> None:
        for n in range(20):
            await store.add_message(f"k{who % 40}", ChatMessage(f"{who}:{n}"))

    await asyncio.gather(*(work(who) for who in range(64)))
    assert len(engine(store)._pool._open) <= CONNECTIONS
    held = stored(url)
    for who in range(64):
        mine = [text for text in held[f"k{who % 40}"] if text.startswith(f"{who}:")]
        assert mine == [f"{who}:{n}" for n in range(20)]
    assert contradictions(url) == []


@awaited
async def test_one_thread_waits_for_all(
    url: str, store: AsyncSQLChatStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = ChatMessage("a")
    for _ in range(2):  # the first opens connections, for which there are other threads
        await asyncio.gather(*(store.add_message(f"k{n}", said) for n in range(64)))
    blocking: list[int] = []
    monkeypatch.setattr(Single, "__call__", lambda work, conn: blocking.append(1))
    await asyncio.gather(*(store.add_message(f"k{n}", said) for n in range(64)))
    assert blocking == []
    assert query(url, "SELECT count(*) FROM chatstore_message") == [(1 + 3 * 64,)]


@awaited
async def test_conversations_do_not_wait_for_each_other(
    url: str, store: AsyncSQLChatStore, holder: psycopg.Connection[Any]
) -> None:
    tasks = await waiting(url, store, CONNECTIONS - 1)
    for n in range(5):
        await store.add_message("free", ChatMessage(f"{n}"))
    assert not any(task.done() for task in tasks)
    holder.rollback()
    await asyncio.gather(*tasks)
    held = stored(url)
    assert held["free"] == ["0", "1", "2", "3", "4"]
    assert sorted(held["held"]) == ["0", *sorted(f"w{n}" for n in range(CONNECTIONS - 1))]


@awaited
async def test_a_connection_that_others_give_back_is_taken(
    url: str, store: AsyncSQLChatStore, holder: psycopg.Connection[Any]
) -> None:
    tasks = await waiting(url, store, CONNECTIONS - 1)
    database, go = engine(store), threading.Event()
    reading = asyncio.create_task(database.aread(lambda _: go.wait(20)))
    pool = database._pool
    await asyncio.to_thread(wait_for, lambda: len(pool._open) == CONNECTIONS and not pool.free)
    late = asyncio.create_task(store.add_message("free", ChatMessage("late")))
    await asyncio.sleep(0.1)
    assert not late.done()
    go.set()
    await late
    assert await reading
    assert not any(task.done() for task in tasks)
    holder.rollback()
    await asyncio.gather(*tasks)
    assert stored(url)["free"] == ["late"]


@pytest.mark.usefixtures("holder")
@awaited
async def test_each_has_its_own_patience(url: str) -> None:
    async with AsyncSQLChatStore(url, lock_timeout=0.3) as hasty:
        late = [hasty.add_message("held", ChatMessage("late")) for _ in range(4)]
        good = [hasty.add_message(f"k{n}", ChatMessage("good")) for n in range(8)]
        results = await asyncio.gather(*late, *good, return_exceptions=True)
    assert [type(result) for result in results] == [StoreBusyError] * 4 + [str] * 8
    assert stored(url) == {"held": ["0"]} | {f"k{n}": ["good"] for n in range(8)}


@awaited
async def test_what_fails_fails_alone(url: str, store: AsyncSQLChatStore) -> None:
    await store.add_message("k0", ChatMessage("first", id="a"))
    for _ in range(8):
        results = await asyncio.gather(
            *(store.add_message(f"k{n}", ChatMessage("other", id="a")) for n in range(30)),
            return_exceptions=True,
        )
        assert isinstance(results[0], DuplicateMessageError)
        assert results[1:] == ["a"] * 29
    assert stored(url)["k0"] == ["first"]
    assert stored(url)["k29"] == ["other"]


@awaited
async def test_a_lost_connection_leaves_a_doubt_or_none(
    url: str, store: AsyncSQLChatStore, holder: psycopg.Connection[Any]
) -> None:
    plain = asyncio.create_task(store.add_message("held", ChatMessage("plain")))
    await blocked(url, 1)
    named = asyncio.create_task(store.add_message("held", ChatMessage("named", id="m")))
    await blocked(url, 2)
    query(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
    )
    with pytest.raises(StoreUnavailableError, match="nobody knows"):
        await plain
    holder.rollback()
    assert await named == "m"
    await store.add_message("held", ChatMessage("after"))
    assert stored(url)["held"] == ["0", "named", "after"]


@awaited
async def test_sessions_that_are_terminated_while_idle(url: str, store: AsyncSQLChatStore) -> None:
    for n in range(5):
        await asyncio.gather(*(store.add_message(f"k{k}", ChatMessage(f"{n}")) for k in range(20)))
        query(
            url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'chatstore'",
        )
        await asyncio.sleep(0.05)
    assert {tuple(stored(url)[f"k{k}"]) for k in range(20)} == {("0", "1", "2", "3", "4")}


@awaited
async def test_a_cancellation_finds_it_settled(
    url: str, store: AsyncSQLChatStore, holder: psycopg.Connection[Any]
) -> None:
    tasks = await waiting(url, store, CONNECTIONS)
    queued = asyncio.create_task(store.add_message("free", ChatMessage("never")))
    await asyncio.sleep(0.05)
    queued.cancel()
    with pytest.raises(asyncio.CancelledError):
        await queued
    tasks[0].cancel()
    await asyncio.sleep(0.05)
    assert not tasks[0].done()
    holder.rollback()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert {type(result) for result in results[1:]} == {str}
    held = stored(url)
    assert "free" not in held
    assert len(held["held"]) == 1 + CONNECTIONS  # what was cancelled is stored, and was settled


@awaited
async def test_closing_ends_what_runs_and_refuses_what_waits(
    url: str, store: AsyncSQLChatStore, holder: psycopg.Connection[Any]
) -> None:
    tasks = await waiting(url, store, CONNECTIONS)
    queued = asyncio.create_task(store.add_message("free", ChatMessage("never")))
    await asyncio.sleep(0.05)
    closing = asyncio.create_task(store.close())
    with pytest.raises(StoreClosedError):
        await queued
    holder.rollback()
    await asyncio.gather(*tasks)
    await closing
    with pytest.raises(StoreClosedError):
        await store.add_message("free", ChatMessage("never"))
    names = {"chatstore"}  # of threads
    await asyncio.to_thread(
        wait_for, lambda: names.isdisjoint(thread.name for thread in threading.enumerate())
    )
    assert "free" not in stored(url)


@awaited
async def test_the_thread_goes_when_idle_and_comes_again(
    url: str, store: AsyncSQLChatStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "_IDLE_SECONDS", 0.02)
    for n in range(4):
        await store.add_message("k", ChatMessage(f"{n}"))
        await asyncio.to_thread(wait_for, lambda: engine(store)._lane._thread is None)
    for n in range(4, 60):  # on the edge
        await asyncio.sleep(0.02)
        await store.add_message("k", ChatMessage(f"{n}"))
    assert stored(url)["k"] == [f"{n}" for n in range(60)]


@awaited
async def test_statements_are_prepared_until_a_pooler_mixes_them_up(
    url: str, store: AsyncSQLChatStore
) -> None:
    database = engine(store)

    def names(conn: Any) -> list[str]:
        rows = conn.execute("SELECT name FROM pg_prepared_statements", prepare=False)
        return [name for (name,) in rows]

    for _ in range(10):
        await store.add_message("k", ChatMessage("a"))
    (name,) = [n for n in database.read(names) if n.startswith("chatstore_")]
    assert len(name) > len("chatstore_") + 8
    database.read(lambda conn: conn.pgconn.exec_(b"DEALLOCATE ALL"))  # type: ignore[attr-defined]
    for _ in range(10):
        await store.add_message("k", ChatMessage("b"))
    assert database._server.prepare_after is None
    assert database.read(names) == []
    assert stored(url)["k"] == ["a"] * 10 + ["b"] * 10


@awaited
async def test_what_the_network_does_not_take_at_once(url: str, store: AsyncSQLChatStore) -> None:
    await store.add_message("k", ChatMessage("a"))
    text = "ü" * (8 << 20)  # the kernel takes a quarter of it
    works = [Echo(text), Echo(text), Echo("abc")]
    assert await asyncio.gather(*map(engine(store).awrite, works)) == [8 << 20] * 2 + [3]


@awaited
async def test_texts_arrive_as_they_are_or_not_at_all(url: str, store: AsyncSQLChatStore) -> None:
    await store.add_message("k", ChatMessage("a"))
    with pytest.raises(InvalidMessageError):
        await engine(store).awrite(Echo("nul\0"))
    nothing = Echo("", "SELECT 1 WHERE %(text)s::text = '100%%'")
    assert await engine(store).awrite(nothing) is None


@awaited
async def test_a_hosts_encoding(url: str) -> None:
    host = sa.make_url(url).set(
        drivername="postgresql+psycopg", query={"client_encoding": "latin1"}
    )
    hosted = sa.create_engine(host)
    async with AsyncSQLChatStore(hosted) as guest:
        for _ in range(8):
            await guest.add_message("schlüssel", ChatMessage("ü"))
    hosted.dispose()
    assert stored(url)["schlüssel"] == ["ü"] * 8


@awaited
async def test_a_commit_that_fails_is_seen(url: str) -> None:
    """The row has come by then, and is worth nothing."""
    serial = f"{url}?options=-c%20default_transaction_isolation%3Dserializable"

    async def work(key: str) -> None:
        for n in range(20):
            await strict.add_message(key, ChatMessage(f"{n}"))

    async with AsyncSQLChatStore(serial) as strict:
        await asyncio.gather(*(work(f"k{who}") for who in range(30)))
    held = stored(url)
    assert [held[f"k{who}"] for who in range(30)] == [[f"{n}" for n in range(20)]] * 30
    assert contradictions(url) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@awaited
async def test_forks_in_the_middle(url: str, store: AsyncSQLChatStore) -> None:
    async def work(who: int) -> None:
        for n in range(30):
            await store.add_message(f"k{who}", ChatMessage(f"{n}"))

    crowd = [asyncio.create_task(work(who)) for who in range(20)]
    children = []
    for _ in range(4):
        await asyncio.sleep(0.02)
        child = os.fork()
        if child == 0:
            os._exit(_in_child(store))
        children.append(child)
    await asyncio.gather(*crowd)
    for child in children:
        assert (await asyncio.to_thread(os.waitpid, child, 0))[1] == 0
    held = stored(url)
    assert contradictions(url) == []
    assert [held[f"k{who}"] for who in range(20)] == [[f"{n}" for n in range(30)]] * 20
    assert held["child"] == ["c"] * 4


def _in_child(store: AsyncSQLChatStore) -> int:
    async def main() -> None:
        await store.add_message("child", ChatMessage("c"))
        await store.close()

    def call() -> None:
        try:
            asyncio.run(main())
            done.append(1)
        finally:
            gc.collect()

    done: list[int] = []
    thread = threading.Thread(target=call)  # this one has a loop, which is the parent's
    thread.start()
    thread.join(20)
    return 0 if done else 1
