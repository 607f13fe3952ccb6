"""The thread that all tasks' appends hang on fails: every task is told, and the next one works."""

import asyncio
import errno
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from chatstore import AsyncSQLChatStore, ChatMessage, StoreUnavailableError
from chatstore.sql.engine.loops import Mailbox, Workers
from chatstore.sql.engine.postgres import flight, lane, traffic
from chatstore.sql.engine.postgres.poll import Poll
from chatstore.sql.engine.postgres.server import CONNECTIONS
from tests.postgres.support import (
    awaited,
    blocked,
    contradictions,
    engine,
    limited,
    stored,
    waiting,
)
from tests.sql.ledger import wait_for

DOUBT, NONE = "nobody knows whether it was stored", "nothing was written"


class Bug(Exception):  # noqa: N818 - nobody expected it
    """In our own code."""


class Fault:
    """Fails a call, once it is armed: `here`, and after so many others."""

    def __init__(self, call: Callable[..., Any], error: Exception) -> None:
        self.call = call
        self.error = error
        self._left: int | None = None
        self.here: Callable[[], bool] = lambda: True

    def __get__(self, owner: Any, kind: Any) -> Callable[..., Any]:
        return lambda *args, **options: self(owner, *args, **options)

    def __call__(self, *args: Any, **options: Any) -> Any:
        if self._left is not None and self.here():
            self._left -= 1
            if self._left < 0:
                self._left = None
                raise self.error
        return self.call(*args, **options)

    def arm(self, after: int = 0) -> None:
        self._left = after

    def has_fired(self) -> bool:
        return self._left is None


@pytest.fixture
def few(url: str) -> Iterator[AsyncSQLChatStore]:
    """A store of four connections: to open fifteen costs the server more than what they do."""
    store = AsyncSQLChatStore(limited(url, 4))
    yield store
    asyncio.run(store.close())


SEAMS: list[tuple[Any, str]] = [
    (Poll, "wait"),
    (Poll, "register"),
    (flight.Flight, "__init__"),
    (flight.Known, "__init__"),
    (traffic.Traffic, "fill"),
    (traffic.Traffic, "_board"),
    (traffic.Traffic, "_land"),
    (traffic.Traffic, "_watch"),
    (traffic.Traffic, "_end"),
    (traffic.Traffic, "deliver"),
    (Mailbox, "post"),
]


async def waiting_in_the_lane(
    url: str, store: AsyncSQLChatStore, holder: psycopg.Connection[Any], n: int
) -> list[asyncio.Task[str]]:
    """As `waiting`, on connections that were open before: the first on one waits elsewhere."""
    first = await waiting(url, store, CONNECTIONS)
    holder.rollback()
    await asyncio.gather(*first)
    holder.execute("UPDATE chatstore_conversation SET count = count WHERE key = 'held'")
    tasks = await waiting(url, store, n)
    assert engine(store)._helpers.busy() == 0
    return tasks


async def works(url: str, store: AsyncSQLChatStore) -> None:
    """All connections are there, and all threads."""
    texts = [f"{n}" for n in range(3 * CONNECTIONS)]
    sent = [store.add_message(f"after {text}", ChatMessage(text)) for text in texts]
    await asyncio.wait_for(asyncio.gather(*sent), 10)
    held = stored(url)
    assert [held[f"after {text}"] for text in texts] == [[text] for text in texts]
    pool = engine(store)._pool
    assert len(pool._open) <= CONNECTIONS
    await asyncio.to_thread(wait_for, lambda: len(pool.free) == len(pool._open))
    assert pool._opening == 0
    assert contradictions(url) == []


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("seam", SEAMS, ids=lambda seam: f"{seam[0].__name__}.{seam[1]}")
@awaited
async def test_it_fails_amidst_a_crowd(
    url: str,
    few: AsyncSQLChatStore,
    seam: tuple[Any, str],
    after: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault = Fault(getattr(*seam), Bug())
    monkeypatch.setattr(*seam, fault)
    told: dict[str, str | StoreUnavailableError] = {}

    async def work(who: int) -> None:
        for n in range(5):
            text = f"{who}:{n}"
            try:
                told[text] = await few.add_message(f"k{who}", ChatMessage(text))
            except StoreUnavailableError as error:
                told[text] = error

    assert await few.count_messages("held") == 1  # it is open
    the_lane = engine(few)._lane
    fault.here = lambda: threading.current_thread() is the_lane._thread
    fault.arm(after)
    await asyncio.wait_for(asyncio.gather(*map(work, range(40))), 20)
    assert len(told) == 200
    assert fault.has_fired(), "the seam was not reached"
    held = [text for texts in stored(url).values() for text in texts]
    assert len(held) == len(set(held))
    for text, result in told.items():
        if isinstance(result, str):
            assert text in held
            continue
        assert isinstance(result.__cause__, Bug)
        if NONE in str(result):
            assert text not in held
        else:
            assert DOUBT in str(result)
    await works(url, few)


@awaited
async def test_each_is_told_what_it_may_believe(
    url: str,
    store: AsyncSQLChatStore,
    holder: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault = Fault(Poll.wait, Bug())
    monkeypatch.setattr(Poll, "wait", fault)
    tasks = await waiting_in_the_lane(url, store, holder, CONNECTIONS)
    late = [asyncio.create_task(store.add_message("k", ChatMessage("late"))) for _ in range(5)]
    await asyncio.sleep(0.05)
    before = engine(store)._lane._thread
    assert before is not None
    fault.arm()
    results = await asyncio.wait_for(asyncio.gather(*tasks, *late, return_exceptions=True), 10)
    assert [type(result) for result in results] == [StoreUnavailableError] * (CONNECTIONS + 5)
    assert all(DOUBT in str(result) for result in results[:CONNECTIONS])
    assert all(NONE in str(result) for result in results[CONNECTIONS:])
    await asyncio.to_thread(before.join, 10)
    assert not before.is_alive()
    holder.rollback()
    await blocked(url, 0)
    await works(url, store)
    assert "k" not in stored(url)


@awaited
async def test_a_cancelled_task_ends_with_it(
    url: str,
    store: AsyncSQLChatStore,
    holder: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault = Fault(Poll.wait, Bug())
    monkeypatch.setattr(Poll, "wait", fault)
    tasks = await waiting_in_the_lane(url, store, holder, 2)
    tasks[0].cancel()
    await asyncio.sleep(0.05)
    assert not tasks[0].done()
    fault.arm()
    late = asyncio.create_task(store.add_message("k", ChatMessage("late")))  # which rouses it
    results = await asyncio.gather(*tasks, late, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert isinstance(results[1], StoreUnavailableError)
    holder.rollback()
    await blocked(url, 0)
    await works(url, store)


@awaited
async def test_it_fails_while_it_idles(
    url: str, few: AsyncSQLChatStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "_IDLE_SECONDS", 0.02)
    fault = Fault(lane.Lane._is_over, Bug())
    monkeypatch.setattr(lane.Lane, "_is_over", fault)
    await few.add_message("k", ChatMessage("first"))
    fault.arm()
    await asyncio.to_thread(wait_for, lambda: engine(few)._lane._thread is None)
    assert fault.has_fired()
    await works(url, few)


@pytest.mark.parametrize(
    ("owner", "name", "error", "reason"),
    [
        (socket, "socketpair", OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (traffic, "Poll", OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (threading.Thread, "start", RuntimeError("can't start new thread"), "RuntimeError"),
    ],
)
@awaited
async def test_no_thread_can_be_started(
    url: str,
    few: AsyncSQLChatStore,
    owner: Any,
    name: str,
    error: Exception,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await few.count_messages("held") == 1  # it is open
    fault = Fault(getattr(owner, name), error)
    monkeypatch.setattr(owner, name, fault)
    fault.arm()
    crowd = (few.add_message(f"k{n}", ChatMessage("never")) for n in range(20))
    results = await asyncio.wait_for(asyncio.gather(*crowd, return_exceptions=True), 10)
    assert {type(result) for result in results} == {StoreUnavailableError}
    assert all(NONE in str(result) and reason in str(result) for result in results)
    assert list(stored(url)) == ["held"]
    await works(url, few)


@awaited
async def test_no_helper_can_be_started(
    url: str, few: AsyncSQLChatStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await few.add_message("k", ChatMessage("first"))
    fault = Fault(Workers.submit, RuntimeError("can't start new thread"))
    monkeypatch.setattr(Workers, "submit", fault)
    fault.arm()
    crowd = (few.add_message(f"k{n}", ChatMessage(f"{n}")) for n in range(20))
    results = await asyncio.wait_for(asyncio.gather(*crowd, return_exceptions=True), 10)
    (failed,) = (n for n, result in enumerate(results) if not isinstance(result, str))
    assert isinstance(results[failed], StoreUnavailableError)
    assert NONE in str(results[failed])
    assert f"k{failed}" not in stored(url)
    await works(url, few)


@awaited
async def test_a_store_that_failed_can_be_closed(
    url: str, holder: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = Fault(Poll.wait, Bug())
    monkeypatch.setattr(Poll, "wait", fault)
    async with AsyncSQLChatStore(url) as store:
        tasks = await waiting_in_the_lane(url, store, holder, 3)
        fault.arm()
        tasks.append(asyncio.create_task(store.add_message("k", ChatMessage("rouses"))))
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} == {StoreUnavailableError}
        await asyncio.wait_for(store.close(), 10)
        assert engine(store)._pool._open == {}
    holder.rollback()
