"""What a call costs on the network: round trips are counted, not timed."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chatstore import ABSENT, AsyncSQLChatStore, ChatMessage, ConflictError, SQLChatStore
from chatstore import operations as ops
from chatstore.records import Draft, StateDraft
from tests.postgres.support import query, through
from tests.servers.proxy import FlakyProxy

WARM = 8  # a driver prepares a statement when it was used a few times, which is a trip, too


@pytest.fixture
def line(tables_url: str) -> Iterator[tuple[FlakyProxy, str]]:
    with through(tables_url) as found:
        yield found


@pytest.fixture
def store(line: tuple[FlakyProxy, str]) -> Iterator[SQLChatStore]:
    with SQLChatStore(line[1]) as opened:
        yield opened


@pytest.fixture
def proxy(line: tuple[FlakyProxy, str]) -> FlakyProxy:
    return line[0]


def trips(proxy: FlakyProxy, call: Callable[[int], object]) -> int:
    """The round trips of a call that was made before."""
    for number in range(WARM):
        call(number)
    before = proxy.trips
    call(WARM)
    return proxy.trips - before


def say(number: int, **options: Any) -> ChatMessage:
    return ChatMessage(f"message {number}", **options)


def test_an_append_is_one(proxy: FlakyProxy, store: SQLChatStore) -> None:
    assert trips(proxy, lambda n: store.add_message("k", say(n))) == 1
    assert trips(proxy, lambda n: store.add_message(f"new {n}", say(n))) == 1
    assert trips(proxy, lambda n: store.add_message("ids", say(n, id=f"m{n}"))) == 1
    store.set_ttl("ids", 60)
    assert trips(proxy, lambda n: store.add_message("ids", say(n))) == 1


def test_a_batch_is_one(proxy: FlakyProxy, store: SQLChatStore) -> None:
    def batch(number: int) -> None:
        store.add_messages("k", [say(number, id=f"m{number}"), say(number)])

    assert trips(proxy, lambda n: store.add_messages("k", [say(n)] * 100)) == 1
    assert trips(proxy, batch) == 1


def test_an_expected_revision_costs_nothing(proxy: FlakyProxy, store: SQLChatStore) -> None:
    revisions, cost = [], 0
    for number in range(WARM + 1):
        store.add_message("k", say(number))
        described = store.get_conversation("k")
        assert described is not None
        revisions.append(described.revision)
        before = proxy.trips
        store.add_message("k", say(number), expected_revision=revisions[-1])
        cost = proxy.trips - before
    assert cost == 1
    fresh = iter(range(100))
    assert (
        trips(
            proxy,
            lambda n: store.add_message(f"k{next(fresh)}", say(n), expected_revision=ABSENT),
        )
        == 1
    )
    with pytest.raises(ConflictError):
        store.add_message("k", say(0), expected_revision=revisions[0])


@pytest.mark.parametrize("messages", [1, 2])
def test_a_state_with_messages_is_one(
    proxy: FlakyProxy, store: SQLChatStore, messages: int
) -> None:
    revisions: list[Any] = []

    def save(key: str, number: int, expected: Any) -> str:
        state = StateDraft("{}", None, "scope", number)
        drafts = [
            Draft(f"{number}-{n}", "chatstore", "{}", "user", None, None, False, 1)
            for n in range(messages)
        ]
        return store._execute(ops.WriteState(key, state, drafts, False, expected))

    def more(number: int) -> None:
        revisions.append(save("k", number, revisions[-1] if revisions else ABSENT))

    assert trips(proxy, more) == 1
    assert len(set(revisions)) == WARM + 1
    assert store.count_messages("k") == messages * (WARM + 1)
    assert trips(proxy, lambda n: save(f"new {n}", n, ABSENT)) == 1


def test_reads_are_one_and_begin_nothing(
    proxy: FlakyProxy, store: SQLChatStore, tables_url: str
) -> None:
    store.add_messages("k", [say(n) for n in range(50)])
    reads: list[Callable[[int], object]] = [
        lambda _: store.get_messages("k", last=20),
        lambda _: store.get_messages("k"),
        lambda _: store.get_messages("k", last=5, status="active"),
        lambda _: store.count_messages("k"),
        lambda _: store.get_keys(limit=10),
        lambda _: store.get_conversations(limit=10),
        lambda _: store.get_conversation("k"),
        lambda _: store.get_messages("missing", last=20),
    ]
    assert [trips(proxy, read) for read in reads] == [1] * len(reads)
    ((idle,),) = query(
        tables_url,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND state LIKE 'idle in transaction%%'",
    )
    assert idle == 0


def test_tasks_pay_the_same(proxy: FlakyProxy, line: tuple[FlakyProxy, str]) -> None:
    async def main() -> None:
        async with AsyncSQLChatStore(line[1]) as store:
            for number in range(WARM):
                await store.add_message("k", say(number))
                await store.get_messages("k", last=20)
            before = proxy.trips
            await store.add_message("k", say(WARM))
            assert proxy.trips - before == 1
            await store.get_messages("k", last=20)
            assert proxy.trips - before == 2

    asyncio.run(main())


def test_nothing_of_an_append_outlives_it(store: SQLChatStore) -> None:
    def settings(conn: Any) -> list[Any]:
        changed = "SELECT name FROM pg_settings WHERE source = 'session'"
        rows: list[Any] = conn.execute(changed).fetchall()
        return sorted(rows)

    before = store._database.read(settings)
    store.add_message("k", say(1))
    store.add_messages("k", [say(2), say(3)])
    assert len(store._database._pool._open) == 1  # type: ignore[attr-defined]
    assert store._database.read(settings) == before
