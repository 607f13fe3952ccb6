"""Many large messages: never more than a few of them are in memory, and all from one moment."""

import asyncio
import io
from pathlib import Path

import pytest

from chatstore import (
    AsyncRedisChatStore,
    ChatMessage,
    DuplicateMessageError,
    RedisChatStore,
    SimpleChatStore,
    clock,
)
from chatstore import operations as ops
from chatstore.codec import encode
from chatstore.records import Conversation
from chatstore.redis import snapshots
from chatstore.redis.asking import Plan
from chatstore.redis.plans import STAGE_BYTES, Plans
from chatstore.redis.reads import PAGE, Page
from chatstore.transfer import NEW, Stream
from tests.measuring import peak
from tests.redis.given import KEY, calls, held, opened
from tests.servers import RedisServer

SIZE = 1 << 20
MANY = 24
PEAK = 5 * STAGE_BYTES
"""A page as the driver has it, as text, decoded, and on its way into a file; not what there is."""


@pytest.fixture
def url(redis_url: str) -> str:
    """One conversation whose short messages come first, so that nothing warns of the long ones."""
    with RedisChatStore(redis_url) as store:
        store.add_messages(KEY, [ChatMessage(f"short {n}") for n in range(1500)])
        for n in range(MANY):
            store.add_message(KEY, ChatMessage(f"{n}:" + "x" * SIZE))
    return redis_url


@pytest.mark.parametrize("face", ["sync", pytest.param("async", marks=pytest.mark.torture)])
def test_an_export_and_an_import_hold_few(url: str, face: str, tmp_path: Path) -> None:
    path, again = tmp_path / "chat.jsonl", tmp_path / "again.jsonl"
    with opened(face, url) as store:
        assert peak(lambda: store.export_json(path)) < PEAK
        assert path.stat().st_size > MANY * SIZE
        assert peak(lambda: store.import_json(path, on_conflict="replace")) < PEAK
        assert store.count_messages(KEY) == 1500 + MANY
        store.export_json(again)
        assert store.check().ok
    messages, copied = (file.read_bytes().splitlines()[2:-1] for file in (path, again))
    assert messages == copied


def test_an_iteration_holds_few(url: str) -> None:
    seen: list[str] = []

    def blocking() -> None:
        with RedisChatStore(url) as store:
            seen.extend(str(message.content)[:9] for message in store.iter_messages(KEY))

    async def awaiting() -> None:
        async with AsyncRedisChatStore(url) as store:
            seen.extend([str(message.content)[:9] async for message in store.iter_messages(KEY)])

    assert peak(blocking) < PEAK
    assert peak(lambda: asyncio.run(awaiting())) < PEAK
    whole = [f"short {n}"[:9] for n in range(1500)]
    whole += [(f"{n}:" + "x" * 9)[:9] for n in range(MANY)]
    assert seen == whole * 2


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("text", ["twice", "other"])
def test_an_id_that_comes_twice(
    redis_server: RedisServer, redis_url: str, text: str, far: bool
) -> None:
    """Far apart: the first is staged by the time that the second comes."""
    now = clock.show(clock.now())
    told = Conversation("k", 0, now, now, None, None, {}, NEW)
    between = ["x" * SIZE for _ in range(12 if far else 1)]
    texts = ["twice", *between, text, "last"]
    ids = ["m|1", *(None for _ in between), "m|1", "m|2"]
    drafts = [encode(ChatMessage(t, id=i), 1) for t, i in zip(texts, ids, strict=True)]

    def stream() -> Stream:
        yield told, iter(drafts)

    with RedisChatStore(redis_url) as store, redis_server.client() as raw:
        if text == "other":
            with pytest.raises(DuplicateMessageError, match="'k'"):
                store._restore(stream, "error")
            assert store.get_keys() == []
            assert [name for name in raw.scan_iter() if b":new:" in name] == []
        else:
            assert store._restore(stream, "error").messages == len(between) + 2
            starts = ["twice", *["xxxxx"] * len(between), "last"]
            assert [message[:5] for message in held(store, "k")] == starts


def test_a_conversation_of_a_page_is_one_round_trip(
    redis_server: RedisServer, redis_url: str
) -> None:
    with RedisChatStore(redis_url) as store, redis_server.client() as raw:
        for key in "abc":
            store.add_messages(key, [ChatMessage(f"{n}") for n in range(PAGE)])
        store.add_messages("long", [ChatMessage(f"{n}") for n in range(2 * PAGE + 1)])
        store.export_json(io.StringIO(), format="jsonl")  # the server knows the scripts
        raw.config_resetstat()
        store.export_json(io.StringIO(), format="jsonl")
        assert calls(raw.info("commandstats"))["evalsha"] == 3 + 3


@pytest.mark.parametrize("changes", [1, 3, 100])
def test_a_conversation_that_changes_between_two_pages(
    redis_url: str, changes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes is from one moment, however often it changes."""
    page = Plans.page
    seen = 0

    def talk(version: int) -> list[ChatMessage]:
        return [ChatMessage(f"{version}:{n}") for n in range(2 * PAGE + 1 + version)]

    with RedisChatStore(redis_url) as store, RedisChatStore(redis_url) as other:
        store.set_messages(KEY, talk(0))

        def interrupted(plans: Plans, key: str, start: int) -> Plan[Page | None]:
            nonlocal seen
            found = yield from page(plans, key, start)
            if seen < changes:
                seen += 1
                other.set_messages(KEY, talk(seen))
            return found

        monkeypatch.setattr(Plans, "page", interrupted)
        file = io.StringIO()
        store.export_json(file, format="jsonl")
    assert seen == min(changes, 2 * snapshots.TRIES)
    copy = SimpleChatStore()
    copy.import_json(io.StringIO(file.getvalue()), format="jsonl")
    assert copy.get_messages(KEY) == talk(seen)


def test_a_conversation_that_goes_between_two_pages(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Plans.page

    def interrupted(plans: Plans, key: str, start: int) -> Plan[Page | None]:
        found = yield from page(plans, key, start)
        if key == KEY and start == 0:
            yield from plans.delete(ops.Delete(KEY, None, None))
        return found

    with RedisChatStore(redis_url) as store:
        store.set_messages(KEY, [ChatMessage(f"{n}") for n in range(PAGE + 1)])
        store.add_message("user2", ChatMessage("stays"))
        monkeypatch.setattr(Plans, "page", interrupted)
        report = store.export_json(io.StringIO(), format="jsonl")
        assert (report.conversations, report.messages) == (1, 1)
