"""Places and ordinals with gaps and blocks so small that every corner is met within a few edits.

With the real sizes, renumbering begins after twenty inserts at one place, and its neighbours never
come near each other.
"""

import random
from contextlib import closing
from pathlib import Path

import pytest

from chatstore import ChatMessage, StoreFullError, open_store
from chatstore.sql import appending, checking, places, transfer, turn, writing
from tests.sqlite.history import damage, open_raw

GAP, BLOCK_ROWS = 4, 8


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"GAP": GAP, "BLOCK_ROWS": BLOCK_ROWS, "BLOCK": GAP * BLOCK_ROWS}
    for module in (checking, appending, places, transfer, turn, writing):
        for name, size in sizes.items():
            if hasattr(module, name):
                monkeypatch.setattr(module, name, size)
    monkeypatch.setattr(places, "_ROOM", 2)
    monkeypatch.setattr(places, "_NEAR", 2)


def edit(path: Path, seed: int, edits: int) -> int:
    """Random edits of a store and of a list, which must stay equal; how many did not fit."""
    chance = random.Random(seed)
    expected: list[str] = []
    full = 0
    with open_store(path, durability="normal") as store:

        def put(idx: int | None, text: str) -> None:
            store.add_message("k", ChatMessage(content=text), idx)

        for number in range(edits):
            text = f"{number}"
            # Often at the same place, which fills up.
            idx = chance.choice((5, 20, -3, chance.randint(-len(expected) - 1, len(expected) + 1)))
            verb = chance.choices(
                ("append", "batch", "insert", "delete", "front", "archive", "replace"),
                (6, 2, 12, 8, 3, 1, 0.2),
            )[0]
            try:
                if verb == "append":
                    put(None, text)
                    expected.append(text)
                elif verb == "batch":
                    texts = [f"{number}.{n}" for n in range(chance.randrange(1, 30))]
                    store.add_messages("k", [ChatMessage(content=one) for one in texts])
                    expected += texts
                elif verb == "insert":
                    put(idx, text)
                    expected.insert(idx, text)
                elif verb == "archive":
                    store.archive_messages("k", chance.randrange(4))
                elif verb == "replace":
                    texts = expected[: chance.randrange(40)]
                    store.set_messages("k", [ChatMessage(content=one) for one in texts])
                    expected = texts
                else:
                    idx = 0 if verb == "front" else idx
                    gone = store.delete_message("k", idx)
                    there = -len(expected) <= idx < len(expected)
                    assert (gone.content if gone else None) == (
                        expected.pop(idx) if there else None
                    )
            except StoreFullError:
                full += 1
            start = chance.randint(0, len(expected))
            window = store.get_messages("k", start=start, stop=start + 5)
            assert [message.content for message in window] == expected[start : start + 5], number
            if number % 20 == 0:
                assert [message.content for message in store.get_messages("k")] == expected
                report = store.check()
                assert report.ok, report.problems
    with closing(open_raw(path)) as conn:
        assert not damage(conn)
    return full


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(4))
def test_every_place_is_that_of_a_list(tmp_path: Path, seed: int) -> None:
    full = edit(tmp_path / "chat.db", seed, 600)
    print("did not fit:", full)


@pytest.mark.torture
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(100, 140))
def test_every_place_is_that_of_a_list_for_long(tmp_path: Path, seed: int) -> None:
    edit(tmp_path / "chat.db", seed, 5_000)


def test_with_the_real_sizes(tmp_path: Path) -> None:
    assert edit(tmp_path / "chat.db", 7, 300) == 0
