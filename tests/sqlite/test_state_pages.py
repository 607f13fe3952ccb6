"""What the states of a store cost its exports and imports: statements."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatstore import ChatMessage, ChatStore, SimpleChatStore, open_store
from chatstore import operations as ops
from chatstore.sql.states_transfer import PAGE
from chatstore.testing.conformance.states import scopes, write
from chatstore.testing.conformance.states_transfers import known, out, take, without_source
from tests.sqlite.counting import Count, counting


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Iterator[Count]:
    with counting(monkeypatch) as count:
        yield count


@pytest.fixture
def store(tmp_path: Path, count: Count) -> Iterator[ChatStore]:
    with open_store(tmp_path / "chat.db") as store:
        store.get_keys()
        yield store


def about_states(count: Count) -> int:
    return sum("chatstore_state" in sql for sql in count.statements)


@pytest.mark.parametrize("talks", [0, 1, 30])
def test_a_store_without_states_asks_once(store: ChatStore, count: Count, talks: int) -> None:
    for number in range(talks):
        store.add_message(f"k{number}", ChatMessage("a"))
    count.start()
    data = out(store)
    assert about_states(count) == 1
    for number in range(talks):
        store.delete_messages(f"k{number}")
    count.start()
    take(store, data)
    assert about_states(count) == 1
    assert len(store.get_keys()) == talks


def test_states_are_read_by_the_page_and_not_one_by_one(store: ChatStore, count: Count) -> None:
    states = 2 * PAGE + 1
    for number in range(states):
        key = f"k{number:04}"
        write(store, *(["a"] if number % 3 else []), key=key)
    store.add_message("k0000a", ChatMessage("between"))
    store.add_message("zz", ChatMessage("behind"))
    count.start()
    data = out(store)
    assert about_states(count) == 3
    assert data.count(b'"state":') == states
    with SimpleChatStore() as other:
        take(other, data)
        assert known(other) == known(store)
        assert without_source(out(other)) == without_source(data)
    assert scopes(store, limit=1)


def test_a_state_that_came_meanwhile_goes_with_a_conversation_of_any_age(store: ChatStore) -> None:
    file = io.BytesIO()
    with SimpleChatStore(ttl=1000) as old:
        write(old, "a", key="k")
        old._shelf.held["k"].created_at = 4 * 10**15  # in the year 2096
        old.export_json(file, format="jsonl")
    with open_store(store._database.name, ttl=1000) as short:  # type: ignore[attr-defined]
        write(short, key="k", body='"mine"')
    take(store, file.getvalue(), "append")
    state = store._execute(ops.ReadState("k"))
    assert state is not None
    assert (state.body, state.changed) == ('"mine"', True)
