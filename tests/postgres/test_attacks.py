"""A server, and a network, that fail under load: what was acknowledged is there, once."""

import asyncio
import contextlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import psycopg
import pytest

from chatstore import AsyncSQLChatStore, ChatMessage, SQLChatStore, StoreUnavailableError
from tests.postgres.support import contradictions, query, stored, through
from tests.servers.fixtures import Running
from tests.servers.postgres import PostgresServer
from tests.sql.ledger import wait_for


@pytest.fixture
def store(tables_url: str) -> Iterator[SQLChatStore]:
    with SQLChatStore(tables_url) as opened:
        yield opened


class Load:
    """Threads and tasks that append, until it is stopped. Half of them give their messages ids."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.acknowledged: list[tuple[str, str]] = []
        self.doubtful: list[tuple[str, str]] = []
        self.refusals: list[StoreUnavailableError] = []
        self.other: list[BaseException] = []
        self.ending = False

    def note(self, key: str, text: str, error: BaseException | None) -> None:
        if error is None:
            self.acknowledged.append((key, text))
        elif isinstance(error, StoreUnavailableError):
            self.refusals.append(error)
            if "nobody knows" in str(error):
                self.doubtful.append((key, text))
        else:
            self.other.append(error)

    def append(self, store: SQLChatStore, who: int) -> None:
        for n in itertools.count():
            if self.ending:
                return
            key, text = f"k{who % 3}", f"{who}:{n}"
            said = ChatMessage(text, id=text if who % 2 else None)
            error = None
            try:
                store.add_message(key, said)
            except BaseException as raised:  # noqa: BLE001
                error = raised
            self.note(key, text, error)

    async def append_from_task(self, store: AsyncSQLChatStore, who: int) -> None:
        for n in itertools.count():
            if self.ending:
                return
            key, text = f"k{who % 3}", f"task {who}:{n}"
            said = ChatMessage(text, id=text if who % 2 else None)
            error = None
            try:
                await store.add_message(key, said)
            except Exception as raised:  # noqa: BLE001
                error = raised
            self.note(key, text, error)

    def tasks(self) -> None:
        async def main() -> None:
            async with AsyncSQLChatStore(self.url) as store:
                await asyncio.gather(*(self.append_from_task(store, who) for who in range(6)))

        asyncio.run(main())

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        with SQLChatStore(self.url) as store:
            works: list[Callable[[], None]] = [self.tasks]
            works += [lambda who=who: self.append(store, who) for who in range(6)]  # type: ignore[misc]
            threads = [threading.Thread(target=work) for work in works]
            for thread in threads:
                thread.start()
            try:
                yield
            finally:
                self.ending = True
                for thread in threads:
                    thread.join(60)
                assert not any(thread.is_alive() for thread in threads)

    def gain(self, count: int) -> None:
        """Wait until so many more are acknowledged."""
        before = len(self.acknowledged)
        wait_for(lambda: len(self.acknowledged) >= before + count, 30)

    def check(self) -> None:
        """What was acknowledged is there once; of the rest, only what nobody knows about."""
        assert self.other == []
        held = Counter((key, t) for key, texts in stored(self.url).items() for t in texts)
        assert {pair: n for pair, n in held.items() if n > 1} == {}
        assert [pair for pair in self.acknowledged if pair not in held] == []
        assert set(held) <= {*self.acknowledged, *self.doubtful}
        # A message with an id was sent again, unless the server stayed away.
        assert all(int(text.split(":")[0][-1]) % 2 == 0 for _, text in self.doubtful)
        assert contradictions(self.url) == []


@pytest.mark.parametrize("restarts", [2, pytest.param(12, marks=pytest.mark.torture)])
def test_a_server_that_crashes_and_comes_back(running: Running, restarts: int) -> None:
    server = running(PostgresServer())
    url = server.url_of(server.new_database())
    SQLChatStore(url, upgrade=True).close()
    load = Load(url)
    with load.running():
        for _ in range(restarts):
            load.gain(60)
            server.crash()
            time.sleep(0.1)
            server.start()
        load.gain(100)
    load.check()


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("times", [8, pytest.param(80, marks=pytest.mark.torture)])
def test_sessions_that_are_terminated(tables_url: str, times: int) -> None:
    load = Load(tables_url)
    with load.running():
        for _ in range(times):
            load.gain(20)
            query(
                tables_url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'chatstore' AND datname = current_database()",
            )
        load.gain(50)
    load.check()


@pytest.mark.parametrize("words", [("one",), ("one", "two")])
def test_a_reply_that_is_lost(tables_url: str, store: SQLChatStore, words: tuple[str, ...]) -> None:
    store.add_message("k", ChatMessage("first"))
    with through(tables_url) as (proxy, url), SQLChatStore(url) as far:
        proxy.drop_next(only=b"one")
        with pytest.raises(StoreUnavailableError, match="nobody knows"):
            far.add_messages("k", [ChatMessage(word) for word in words])
        assert proxy.dropped == 1
        proxy.drop_next(only=b"one")
        far.add_messages("k", [ChatMessage(word, id=word) for word in words])
        assert proxy.dropped == 2
        proxy.drop_next(only=b"sent with an id")
        assert far.add_message("k", ChatMessage("sent with an id", id="m9"), 0) == "m9"
        assert proxy.dropped == 3
        proxy.drop_next(only=b"first")
        assert len(far.get_messages("k")) == len(stored(tables_url)["k"])
    assert stored(tables_url)["k"] == ["sent with an id", "first", *words, *words]


def test_a_transaction_that_is_left_idle_too_long(tables_url: str, store: SQLChatStore) -> None:
    name = tables_url.rpartition("/")[2]
    query(tables_url, f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = '50ms'")
    tries = []

    def work(conn: object) -> int:
        tries.append(1)
        if len(tries) == 1:
            time.sleep(0.3)
        row = conn.execute("SELECT 1").fetchone()  # type: ignore[attr-defined]
        return int(row[0])

    try:
        with SQLChatStore(tables_url) as late:
            assert late._database.write(work) == 1
    finally:
        query(tables_url, f"ALTER DATABASE {name} RESET ALL")
    assert len(tries) == 2


def test_a_deadlock_is_repeated(tables_url: str, store: SQLChatStore) -> None:
    for key in ("a", "b"):
        store.add_message(key, ChatMessage("0"))
    with psycopg.connect(tables_url) as conn:
        conn.execute("SET deadlock_timeout = '10s'")  # so that it is ours that is given up
        conn.execute("SELECT 1 FROM chatstore_conversation WHERE key = 'b' FOR UPDATE")
        holding = threading.Event()
        tries: list[int] = []

        def work(own: object) -> None:
            tries.append(1)
            for key in ("a", "b"):
                own.execute(  # type: ignore[attr-defined]
                    "UPDATE chatstore_conversation SET metadata = '{}' WHERE key = %s", (key,)
                )
                holding.set()

        thread = threading.Thread(target=store._database.write, args=(work,))
        thread.start()
        assert holding.wait(10)
        conn.execute("UPDATE chatstore_conversation SET count = count WHERE key = 'a'")
        conn.commit()
        thread.join(20)
    assert len(tries) == 2
    assert stored(tables_url) == {"a": ["0"], "b": ["0"]}
