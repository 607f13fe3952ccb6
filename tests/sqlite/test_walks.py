"""What a call costs: statements, and the steps that SQLite takes for them, whatever the length."""

import asyncio
import json
import os
import random
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from chatstore import ABSENT, ChatMessage, open_async_store, open_store
from chatstore import operations as ops
from chatstore.records import Draft, StateDraft
from chatstore.sql.dialects import statements
from chatstore.sql.models import BLOCK_ROWS, GAP
from chatstore.sql.statements import Statements
from chatstore.store import ChatStore
from tests.processes import run_python
from tests.sqlite.counting import Count, counting
from tests.sqlite.history import open_raw

HELLO = ChatMessage(role="user", content="Hello")


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Iterator[Count]:
    with counting(monkeypatch) as count:
        yield count


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[Count]:
    with counting(monkeypatch, steps=True) as count:
        yield count


@pytest.fixture
def store(tmp_path: Path, count: Count) -> Iterator[ChatStore]:
    """Holds 300 messages under "long"; its connections are open."""
    with open_store(tmp_path / "chat.db") as store:
        store.add_messages("long", [HELLO] * 300)
        store.count_messages("long")
        count.start()
        yield store


def written(*statements: str) -> list[str]:
    return ["BEGIN IMMEDIATE", *statements, "COMMIT"]


def snapshot(*statements: str) -> list[str]:
    return ["BEGIN", *statements, "ROLLBACK"]


APPEND = written("UPDATE conversation", "INSERT message")
FIRST = written("UPDATE conversation", "UPSERT conversation", "INSERT message")


def test_an_append_is_two_statements(store: ChatStore, count: Count) -> None:
    store.add_message("long", HELLO)
    assert count.words == APPEND


def test_an_append_writes_four_pages(store: ChatStore, tmp_path: Path) -> None:
    store.add_message("long", HELLO)
    log = tmp_path / "chat.db-wal"
    before = log.stat().st_size
    store.add_message("long", HELLO)
    with closing(open_raw(tmp_path / "chat.db")) as conn:
        (page,) = conn.execute("PRAGMA page_size").fetchone()
    # Of the messages and their key; of the conversations and their order by last write.
    assert log.stat().st_size - before == 4 * (page + 24)


def test_an_append_makes_few_calls(store: ChatStore) -> None:
    """What a caller pays beside the driver, mostly on a processor that has just been asleep."""
    called: list[str] = []

    def watch(frame: FrameType, event: str, arg: object) -> None:
        if event == "call" and f"{os.sep}chatstore{os.sep}" in frame.f_code.co_filename:
            called.append(frame.f_code.co_qualname)

    message = ChatMessage("Hello")
    store.add_message("user1", message)
    sys.setprofile(watch)
    store.add_message("user1", message)
    sys.setprofile(None)
    assert len(called) <= 29, called


def test_the_first_append_also_stores_the_conversation(store: ChatStore, count: Count) -> None:
    store.add_message("new", HELLO)
    assert count.words == FIRST


def test_a_state_costs_the_rest_nothing(store: ChatStore, count: Count) -> None:
    state = StateDraft("{}", "[]", "scope", 1)
    for key, append in (("long", APPEND), ("begun", FIRST)):
        store._execute(ops.WriteState(key, state, [], False, None))
        count.start()
        store._execute(ops.ReadState(key))
        assert len(count.statements) == 1
        store.get_messages(key, last=1)
        assert len(count.statements) == 2
        count.start()
        store.add_message(key, HELLO)
        assert count.words == append


def test_a_state_and_its_messages_are_three_statements(store: ChatStore, count: Count) -> None:
    def save(key: str, expected: Any, *ids: str) -> str:
        drafts = [Draft(id, "chatstore", payload, "user", None, None, False, 1) for id in ids]
        count.start()
        state = StateDraft("{}", None, "scope", 1)
        return store._execute(ops.WriteState(key, state, drafts, False, expected))

    payload = '{"role":"user","additional_kwargs":{},"blocks":[]}'
    revision = save("new", ABSENT, "a", "b")
    assert count.words == written("UPSERT conversation", "INSERT message", "UPSERT state")
    for number in range(3):
        revision = save("new", revision, f"a{number}", f"b{number}")
        assert count.words == written("UPDATE conversation", "INSERT message", "UPDATE state")
    # Known ids, and a state that was not there: the way that finds out, after the short one.
    assert save("new", revision, "a", "b") != revision
    described = store.get_conversation("long")
    assert described is not None
    save("long", described.revision, "a")
    assert "ROLLBACK" in count.words
    assert len(count.words) <= 18, count.words


@pytest.mark.parametrize("archived", [0, 100])
def test_the_oldest_go_and_the_rest_is_not_touched(
    store: ChatStore, count: Count, archived: int
) -> None:
    store.archive_messages("long", archived)
    conn = store._database._writer.conn  # type: ignore[attr-defined]
    for n in (1, 2, 20):
        count.start()
        before = conn.total_changes
        assert len(store._execute(ops.DeleteOldest("long", n, None))) == n
        # Besides them, the row of the conversation, and that of an edited block.
        assert conn.total_changes - before == n + 2
        assert [words for words in count.words if not words.startswith("SELECT")] == written(
            "DELETE message", "UPSERT block", "UPDATE conversation"
        )
        assert len(count.statements) <= 8


def test_a_thousand_messages_are_two_statements(store: ChatStore, count: Count) -> None:
    store.add_messages("long", [HELLO] * 1_000)
    assert count.words == APPEND


def test_only_an_id_of_the_callers_is_looked_up(store: ChatStore, count: Count) -> None:
    store.add_message("long", ChatMessage(content="Hello", id="mine"))
    assert count.words == written(
        "SELECT conversation", "SELECT message", "UPDATE conversation", "INSERT message"
    )


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda s: s.get_messages("long", last=20), ["SELECT message"]),
        (lambda s: s.get_messages("long"), ["SELECT message"]),
        (lambda s: s.get_records("long", last=20, status="active"), ["SELECT message"]),
        (lambda s: s.count_messages("long"), ["SELECT conversation"]),
        (lambda s: s.get_conversation("long"), ["SELECT conversation"]),
        (lambda s: s.get_keys(limit=50), ["SELECT conversation"]),
        (lambda s: s.get_conversations(limit=50), ["SELECT conversation"]),
        (lambda s: s.get_conversations(limit=50, order="key"), ["SELECT conversation"]),
        (
            lambda s: s.get_message("long", -1),
            snapshot("SELECT conversation", "SELECT message"),
        ),
        (
            # From idx to ordinal costs the edited blocks, and here none is.
            lambda s: s.get_messages("long", start=100, stop=120),
            snapshot("SELECT conversation", "SELECT block", "SELECT message"),
        ),
    ],
)
def test_a_read_is_one_statement(
    store: ChatStore, count: Count, call: Callable[[ChatStore], object], expected: list[str]
) -> None:
    call(store)
    assert count.words == expected


def test_what_changes_the_middle_is_few_statements(store: ChatStore, count: Count) -> None:
    store.add_message("long", HELLO, 150)
    assert count.words == written(
        "SELECT conversation",
        "SELECT block",
        "SELECT message",  # its neighbour
        "UPSERT block",
        "UPDATE conversation",
        "INSERT message",
    )
    count.start()
    store.delete_message("long", 150)
    assert count.words[:4] == written("SELECT conversation", "SELECT block", "SELECT message")[:4]
    assert len(count.words) <= 10
    count.start()
    store.delete_last_message("long")
    assert len(count.words) <= 9


def test_a_batch_of_iter_messages_is_one_statement(store: ChatStore, count: Count) -> None:
    assert len(list(store.iter_messages("long"))) == 300
    assert count.words == ["SELECT conversation", *["SELECT message"] * 3]


def test_opening_a_current_file_is_one_select(tmp_path: Path, count: Count) -> None:
    open_store(tmp_path / "chat.db").close()
    count.start()
    with open_store(tmp_path / "chat.db"):
        assert count.words == ["SELECT alembic_version"]


def test_opening_a_current_file_imports_neither_alembic_nor_the_orm(tmp_path: Path) -> None:
    open_store(tmp_path / "chat.db").close()
    program = (
        "import sys; from chatstore import ChatMessage, open_store\n"
        "assert 'sqlalchemy' not in sys.modules\n"
        f"with open_store({str(tmp_path / 'chat.db')!r}) as store:\n"
        "    store.add_message('k', ChatMessage(content='Hello'))\n"
        "assert 'alembic' not in sys.modules and 'mako' not in sys.modules\n"
    )
    done = run_python(["-c", program])
    assert done.returncode == 0, done.stderr


# The async face


def test_an_awaited_call_is_one_wake_up(tmp_path: Path, count: Count) -> None:
    async def main() -> None:
        async with open_async_store(tmp_path / "chat.db") as store:
            loop = asyncio.get_running_loop()
            wake_ups = 0
            original = loop.call_soon_threadsafe

            def call_soon_threadsafe(*args: Any, **options: Any) -> Any:
                nonlocal wake_ups
                wake_ups += 1
                return original(*args, **options)

            loop.call_soon_threadsafe = call_soon_threadsafe  # type: ignore[assignment,method-assign]
            for call in (
                lambda: store.add_message("k", HELLO),
                lambda: store.get_messages("k", last=20),
                lambda: store.delete_last_message("k"),
            ):
                await call()
                wake_ups = 0
                await call()
                assert wake_ups == 1

            # Those who come in one turn of the loop share a transaction, and the way back.
            count.start()
            wake_ups = 0
            await asyncio.gather(*(store.add_message(f"k{n}", HELLO) for n in range(50)))
            # No savepoint: an append refuses nothing.
            assert sorted(count.words) == sorted(["BEGIN IMMEDIATE", *FIRST[1:-1] * 50, "COMMIT"])
            assert wake_ups == 1

            # One that may be refused is kept apart.
            count.start()
            mine = ChatMessage("Hello", id="mine")
            await asyncio.gather(*(store.add_message(f"k{n}", mine) for n in range(2)))
            assert count.words.count("SAVEPOINT op") == 2

    asyncio.run(main())


# Plans

_WHOLE = {
    # Upkeep, which looks at everything because that is what it is asked to do.
    "orphans",
    "held",
    "totals",
    "all_states",
    # An entry that was left, when nobody remembers in which conversation.
    "find_parted",
}


def names_of_statements() -> list[str]:
    names = [
        name
        for part in Statements.__mro__
        for name, value in vars(part).items()
        if isinstance(value, cached_property)
    ]
    assert len(names) > 30
    return sorted(names)


@pytest.mark.parametrize("name", sorted(set(names_of_statements()) - _WHOLE))
def test_no_statement_scans_or_sorts(tmp_path: Path, name: str) -> None:
    open_store(tmp_path / "chat.db").close()
    conn = open_raw(tmp_path / "chat.db")
    plan = _plan(conn, getattr(statements("sqlite"), name))
    conn.close()
    assert not [line for line in plan if _is_scan(line)], plan
    assert not any("TEMP B-TREE" in line for line in plan), plan


def _is_scan(line: str) -> bool:
    # All that a namespace holds may well be all that there is. Rows that a statement made itself
    # may be looked at.
    scanned = line.startswith("SCAN") and not line.startswith(
        ("SCAN (subquery", "SCAN anon", "SCAN CONSTANT")
    )
    return scanned or line.endswith("(namespace=?)")


def _plan(conn: sqlite3.Connection, sql: str) -> list[str]:
    parameters: Any = [1] * sql.count("?") if "?" in sql else _Ones()
    rows = conn.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
    return [row[3] for row in rows]


class _Ones(dict[str, int]):
    def __missing__(self, name: str) -> int:
        return 1


def test_the_newest_messages_are_a_range_of_the_primary_key(tmp_path: Path) -> None:
    open_store(tmp_path / "chat.db").close()
    conn = open_raw(tmp_path / "chat.db")
    (index,) = (
        name
        for _, name, _, origin, _ in conn.execute("PRAGMA index_list(chatstore_message)")
        if origin == "pk"
    )
    plan = _plan(conn, statements("sqlite").last)
    assert plan[0] == f"SEARCH chatstore_message USING INDEX {index} (conversation_id=?)"
    conn.close()


# Length


def fill(path: Path, conversations: int, messages: int) -> None:
    """Through the back door, for it is only about the cost: "long", and many short ones."""
    open_store(path).close()
    payload = json.dumps({"role": "user", "additional_kwargs": {}, "blocks": []})
    conn = open_raw(path)
    conn.execute("BEGIN")
    conn.executemany(
        "INSERT INTO chatstore_conversation"
        "(id, namespace, key, next_ordinal, count, revision, created_at, updated_at) "
        "VALUES (?, '', ?, ?, ?, ?, ?, ?)",
        (
            (n + 1, f"k{n:06}" if n else "long", size * GAP, size, size, 1, n + 1)
            for n in range(conversations)
            for size in (1 if n else messages,)
        ),
    )
    conn.executemany(
        "INSERT INTO chatstore_message"
        "(conversation_id, ordinal, serial, format, payload, role, created_at) "
        "VALUES (?, ?, ?, 'chatstore', ?, 'user', 1)",
        (
            (n + 1, place * GAP, place + 1, payload)
            for n in range(conversations)
            for place in range(1 if n else messages)
        ),
    )
    conn.execute("COMMIT")
    conn.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small store, and one a hundred times as long."""
    folder = tmp_path_factory.mktemp("lengths")
    fill(folder / "small.db", conversations=100, messages=1_000)
    fill(folder / "large.db", conversations=20_000, messages=100_000)
    return {"small": folder / "small.db", "large": folder / "large.db"}


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.add_message("long", HELLO),
        lambda s: s.add_message("new", HELLO),
        lambda s: s.get_messages("long", last=20),
        lambda s: s.get_messages("long", start=-20),
        lambda s: s.get_messages("long", start=500, stop=520),
        lambda s: s.get_message("long", 500),
        lambda s: list(islice(s.iter_messages("long"), 300)),
        lambda s: s.get_messages("long", last=20, status="active"),
        lambda s: s.add_message("long", HELLO, 500),
        lambda s: s.delete_message("long", 500),
        lambda s: s.delete_last_message("long"),
        lambda s: s.update_message("long", 500, HELLO),
        lambda s: s.archive_messages("long", 5),
        lambda s: s._execute(ops.DeleteOldest("long", 5, None)),
        lambda s: s.count_messages("long"),
        lambda s: s.get_keys(limit=50),
        lambda s: s.get_keys("k0000", limit=50),
        lambda s: s.get_keys(after="k000009", limit=50),
        lambda s: s.get_conversations(limit=50),
        lambda s: s.get_conversations(limit=50, order="key"),
        lambda s: s.get_conversations(limit=50, after="long"),
        lambda s: s.purge_expired(),
        lambda s: s.set_metadata("long", {"a": 1}),
        lambda s: s.copy_conversation("long", "copy", stop=50),
    ],
)
def test_the_cost_does_not_know_the_length(
    files: dict[str, Path], steps: Count, call: Callable[[ChatStore], object]
) -> None:
    cost = {}
    for name, path in files.items():
        with open_store(path, durability="normal") as store:
            store.count_messages("long")
            store.set_metadata("long", {})
            steps.start()
            call(store)
            cost[name] = steps.steps
            for key in ("new", "copy"):
                store.delete_messages(key)
    assert cost["large"] <= 1.2 * cost["small"] + 20, cost


def test_the_middle_stays_cheap_after_many_edits(tmp_path: Path, steps: Count) -> None:
    chance = random.Random(1)
    length, edits = 10_000, 1_500
    path = tmp_path / "chat.db"
    fill(path, 1, length)
    blocks = length // BLOCK_ROWS + 1
    with open_store(path, durability="normal") as store:
        worst_steps = worst_statements = 0
        for _ in range(edits):
            steps.start()
            if chance.random() < 0.5:
                store.add_message("long", HELLO, chance.randrange(length))
            else:
                store.delete_message("long", chance.randrange(length - edits))
            worst_steps = max(worst_steps, steps.steps)
            worst_statements = max(worst_statements, len(steps.statements))
        assert store.check().ok
    print(worst_steps, worst_statements, blocks)
    assert worst_statements <= 20
    # A few steps for each edited block, a few for each message of one block.
    assert worst_steps <= 5 * blocks + 6 * BLOCK_ROWS + 500


def test_inserts_at_one_place_renumber_only_the_neighbourhood(tmp_path: Path, steps: Count) -> None:
    fill(tmp_path / "chat.db", 1, 12_000)
    with open_store(tmp_path / "chat.db", durability="normal") as store:
        costs = []
        for _ in range(400):
            steps.start()
            store.add_message("long", HELLO, 6_000)
            costs.append(steps.steps)
        assert store.check().ok
    print(max(costs), sum(costs) / len(costs))
    # Renumbering moves one block, at about 30 steps for each message, and that rarely.
    assert max(costs) < 60 * BLOCK_ROWS
    assert sum(costs) / len(costs) < 10 * BLOCK_ROWS
