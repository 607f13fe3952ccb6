"""Many writers at once: nothing is lost, torn, doubled or out of order."""

import random
import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest

from chatstore import ChatMessage, SQLChatStore
from chatstore.sql.models import GAP
from tests.postgres.crowd import Member, crowd
from tests.postgres.support import contradictions, query, stored
from tests.sql.ledger import wait_for

WRITERS = 8
EXTENTS = [
    pytest.param(40, id="short"),
    pytest.param(1000, id="long", marks=pytest.mark.torture),
]


@pytest.fixture
def store(tables_url: str) -> Iterator[SQLChatStore]:
    with SQLChatStore(tables_url) as opened:
        yield opened


def said(who: int, n: int) -> list[str]:
    """What a writer's append is made of."""
    return [f"{who}:{n}{part}" for part in "abc"] if n % 10 == 9 else [f"{who}:{n}"]


def together(*works: Callable[[], object]) -> None:
    """Run all at once; raise what one raised."""
    failures: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("keys", [1, 64])
@pytest.mark.parametrize("times", EXTENTS)
def test_processes_lose_nothing(tables_url: str, keys: int, times: int) -> None:
    with crowd(tables_url, "append", WRITERS, times, keys) as members:
        for member in members:
            member.listen()
            assert member.told == [*range(times), "done"]
    held = stored(tables_url)
    for who in range(WRITERS):
        for place in range(keys):
            mine = [t for t in held.get(f"k{place}", []) if t.startswith(f"{who}:")]
            wanted = [n for n in range(times) if (who + 7 * n) % keys == place]
            assert mine == [text for n in wanted for text in said(who, n)]
    for texts in held.values():
        for place, text in enumerate(texts):
            if text.endswith("a"):  # a batch stays together
                assert texts[place + 1 : place + 3] == [text[:-1] + "b", text[:-1] + "c"]
    assert contradictions(tables_url) == []
    gaps = query(
        tables_url,
        "SELECT 1 FROM chatstore_message AS m WHERE (m.ordinal, m.serial) NOT IN "
        f"(SELECT {GAP}::bigint * n, n + 1 FROM generate_series(0, {WRITERS * times * 2}) AS n)",
    )
    assert gaps == []


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("kills", [4, pytest.param(60, marks=pytest.mark.torture)])
def test_killed_writers_leave_no_half(tables_url: str, kills: int) -> None:
    dice = random.Random(kills)
    acknowledged: list[tuple[int, int]] = []

    def kill(member: Member) -> None:
        member.listen(dice.randrange(5, 40))
        member.kill()
        member.listen()
        acknowledged.extend((member.who, int(n)) for n in member.told)

    for _ in range(0, kills, 4):
        with crowd(tables_url, "append", 4, 100_000, 2) as members:
            together(*(lambda member=member: kill(member) for member in members))
        held = [text for texts in stored(tables_url).values() for text in texts]
        assert len(acknowledged) > 20
        assert len(held) == len(set(held))
        for who, n in acknowledged:
            assert set(said(who, n)) <= set(held)
        torn = [t for t in held if t[-1] in "abc" and not {t[:-1] + p for p in "abc"} <= set(held)]
        assert torn == []
        unacknowledged = len({t.rstrip("abc") for t in held}) - len(acknowledged)
        assert 0 <= unacknowledged <= 4
        assert contradictions(tables_url) == []
        query(tables_url, "TRUNCATE chatstore_conversation CASCADE")
        acknowledged.clear()


def test_a_crowd_that_upgrades(postgres_url: str) -> None:
    with crowd(postgres_url, "upgrade", WRITERS) as members:
        for member in members:
            member.listen()
            assert member.told == [[], "done"]
    assert query(postgres_url, "SELECT count(*) FROM chatstore_alembic_version") == [(1,)]


def test_conversations_do_not_wait_for_each_other(tables_url: str, store: SQLChatStore) -> None:
    for key in ("a", "b"):
        store.add_message(key, ChatMessage("0"))
    with psycopg.connect(tables_url) as conn:
        conn.execute("UPDATE chatstore_conversation SET count = count WHERE key = 'a'")
        store.add_message("b", ChatMessage("1"))
        store.add_message("c", ChatMessage("1"))
        store.add_messages("b", [ChatMessage("2"), ChatMessage("3")])
        store.add_message("b", ChatMessage("0.5"), 1)
        store.delete_messages("c")
        waiting = threading.Thread(target=store.add_message, args=("a", ChatMessage("1")))
        waiting.start()
        wait_for(
            lambda: query(
                tables_url, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            )
        )
        assert store.count_messages("a") == 1
        conn.rollback()
        waiting.join(10)
    assert stored(tables_url) == {"a": ["0", "1"], "b": ["0", "0.5", "1", "2", "3"]}


def test_inserts_race_with_appends(tables_url: str, store: SQLChatStore) -> None:
    store.add_messages("k", [ChatMessage("first"), ChatMessage("last")])
    dice = random.Random(5)

    def append(who: int) -> None:
        for n in range(25):
            store.add_message("k", ChatMessage(f"append {who}:{n}"))

    def insert(who: int) -> None:
        for n in range(25):
            store.add_message("k", ChatMessage(f"insert {who}:{n}"), dice.choice([0, 1, 2, -1]))

    def delete() -> None:
        for _ in range(10):
            store.add_message("k", ChatMessage("passing"), 0)
            store.delete_message("k", 0)

    together(*(lambda w=w: append(w) for w in range(4)), *(lambda w=w: insert(w) for w in range(3)))
    texts = stored(tables_url)["k"]
    assert len(texts) == len(set(texts)) == 2 + 7 * 25
    for who in range(4):
        mine = [text for text in texts if text.startswith(f"append {who}:")]
        assert mine == [f"append {who}:{n}" for n in range(25)]
    assert [m.content for m in store.get_messages("k")] == texts
    together(lambda: append(9), delete)
    assert contradictions(tables_url) == []
    assert store.check().problems == []
    middle = store.get_message("k", 60)
    assert middle is not None
    assert middle.content == stored(tables_url)["k"][60]
