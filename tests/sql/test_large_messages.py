"""Many large messages: never more than a few of them are in memory.

What PostgreSQL's driver holds is not Python's: `tests/postgres/test_long_work.py` counts it.
"""

import asyncio
from pathlib import Path

import pytest

from chatstore import AsyncSQLChatStore, ChatMessage, DuplicateMessageError, SQLChatStore, clock
from chatstore.codec import encode
from chatstore.records import Conversation
from chatstore.sql.clauses import PAGE_BYTES
from chatstore.transfer import NEW, Stream
from tests.measuring import peak

SIZE = 1 << 20
MANY = 24
PEAK = 5 * PAGE_BYTES
"""A page as the driver has it, as Python has it, decoded, and on its way into a file; less
than what there is in any one of these."""


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'chat.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def filled(url: str) -> str:
    """One conversation whose short messages come first, so that nothing warns of the long ones."""
    with SQLChatStore(url, upgrade=True) as store:
        store.add_messages("k", [ChatMessage(f"short {n}") for n in range(1500)])
        for n in range(MANY):
            store.add_message("k", ChatMessage(f"{n}:" + "x" * SIZE))
    return url


def test_an_export_and_an_import_hold_few(filled: str, tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    with SQLChatStore(filled) as store:
        assert peak(lambda: store.export_json(path)) < PEAK
        assert path.stat().st_size > MANY * SIZE
        assert store.delete_messages("k") is not None
        assert peak(lambda: store.import_json(path)) < PEAK
        assert store.count_messages("k") == 1500 + MANY
        again = tmp_path / "again.jsonl"
        store.export_json(again)
    ours, theirs = (file.read_bytes().partition(b"\n")[2] for file in (path, again))
    assert ours == theirs


def test_ids_take_no_memory_and_are_known_again(url: str, tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    with SQLChatStore(url, upgrade=True) as store:
        store.add_message("k", ChatMessage("first", id="m0"))
        for n in range(1, MANY):
            store.add_message("k", ChatMessage(f"{n}:" + "x" * SIZE, id=f"m{n}"))
        store.export_json(path)
        store.delete_messages("k")
        assert peak(lambda: store.import_json(path)) < PEAK
        store.delete_message("k", MANY - 1)
        store.delete_message("k", 0)
        assert peak(lambda: store.import_json(path, on_conflict="append")) < PEAK
        ids = [record.id for record in store.get_records("k")]
    assert ids == [*(f"m{n}" for n in range(1, MANY - 1)), "m0", f"m{MANY - 1}"]


@pytest.mark.parametrize("text", ["twice", "other"])
def test_an_id_that_comes_twice(url: str, text: str) -> None:
    """Far apart: the first is stored by the time that the second comes."""
    now = clock.show(clock.now())
    told = Conversation("k", 0, now, now, None, None, {}, NEW)
    texts = ["twice", *("x" * SIZE for _ in range(12)), text]
    ids = ["m", *(None for _ in range(12)), "m"]
    drafts = [encode(ChatMessage(t, id=i), 1) for t, i in zip(texts, ids, strict=True)]

    def stream() -> Stream:
        yield told, iter(drafts)

    with SQLChatStore(url, upgrade=True) as store:
        if text == "other":
            with pytest.raises(DuplicateMessageError):
                store._restore(stream, "error")
            assert store.get_keys() == []
        else:
            assert store._restore(stream, "error").messages == 13
            assert [str(m.content)[:5] for m in store.get_messages("k")] == [
                "twice",
                *["xxxxx"] * 12,
            ]


def test_an_iteration_holds_few(filled: str) -> None:
    seen: list[str] = []

    def blocking() -> None:
        with SQLChatStore(filled) as store:
            seen.extend(str(message.content)[:9] for message in store.iter_messages("k"))

    async def awaiting() -> None:
        async with AsyncSQLChatStore(filled) as store:
            seen.extend([str(message.content)[:9] async for message in store.iter_messages("k")])

    assert peak(blocking) < PEAK
    assert peak(lambda: asyncio.run(awaiting())) < PEAK
    whole = [f"short {n}"[:9] for n in range(1500)]
    whole += [(f"{n}:" + "x" * 9)[:9] for n in range(MANY)]
    assert seen == whole * 2
