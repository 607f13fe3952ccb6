"""In and out: all or nothing, though Redis has no transaction over several keys."""

import io
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from chatstore import (
    ChatMessage,
    DuplicateMessageError,
    SimpleChatStore,
    StoreFullError,
    TransferError,
)
from chatstore.importers.between import content_digest, copy_store
from chatstore.records import Conversation, Draft
from chatstore.redis.llama_index import stream as llama_index
from chatstore.transfer import Stream
from tests.redis.given import FACES, KEY, held, names, opened, say
from tests.servers import RedisServer
from tests.servers.fixtures import Running

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def conversation(key: str, **facts: Any) -> Conversation:
    later = datetime.now(UTC) + timedelta(hours=1)
    known = {"expires_at": later, "ttl": 4000.0, "metadata": {"k": key}, "revision": "x", **facts}
    return Conversation(key=key, count=0, created_at=MOMENT, updated_at=MOMENT, **known)


def drafts(*texts: str, id: str | None = None) -> list[Draft]:
    return [
        Draft(id, "chatstore", f'{{"role":"user","t":"{t}"}}', "user", None, None, False, 1)
        for t in texts
    ]


def one(told: Conversation, *texts: str) -> Stream:
    yield told, drafts(*texts)


@pytest.mark.parametrize("face", FACES)
def test_the_header_says_that_it_is_no_snapshot(redis_url: str, face: str) -> None:
    file = io.BytesIO()
    with opened(face, redis_url) as store:
        store.add_message(KEY, ChatMessage("a"))
        store.export_json(file, format="jsonl")
    assert b'"snapshot":false' in file.getvalue().splitlines()[0].replace(b" ", b"")


@pytest.mark.parametrize("face", FACES)
def test_nothing_is_left_when_the_stream_breaks(
    redis_server: RedisServer, redis_url: str, face: str
) -> None:
    with opened("sync", redis_url) as store, redis_server.client() as raw:
        store.add_message("old", ChatMessage("a"))
        before = {name: raw.dump(name) for name in names(raw)}
        rounds = 0

        def breaking() -> Stream:
            nonlocal rounds
            rounds += 1
            for number in range(10):
                yield conversation(f"new{number}"), drafts("a", "b")
                if number == 7 and rounds == (1 if face == "sync" else 2):
                    raise TransferError("broken")

        with pytest.raises(TransferError, match="broken"):
            store._restore(breaking, "replace")
        after = {name: raw.dump(name) for name in names(raw) if not name.endswith(b":recent")}
        assert after == {
            name: text for name, text in before.items() if not name.endswith(b":recent")
        }


def test_a_key_that_somebody_takes_meanwhile_undoes_the_others(
    redis_server: RedisServer, redis_url: str
) -> None:
    with opened("sync", redis_url) as store, redis_server.client() as raw:
        rounds = 0

        def stream() -> Stream:
            nonlocal rounds
            rounds += 1
            for number in range(5):
                yield conversation(f"new{number}"), drafts("a")
            if rounds == 2:
                with opened("sync", redis_url) as other:
                    other.add_message("new3", ChatMessage("mine"))

        with pytest.raises(TransferError, match="'new3'"):
            store._restore(stream, "error")
        assert store.get_keys() == ["new3"]
        assert held(store, "new3") == ["mine"]
        assert not [name for name in names(raw) if b":new:" in name]


def test_a_server_that_fills_up_keeps_nothing(running: Running) -> None:
    server = running(RedisServer(maxmemory="5mb", maxmemory_policy="noeviction"))
    with opened("sync", server.url) as store, server.client() as raw:
        store.add_message("old", ChatMessage("a"))

        def stream() -> Stream:
            for number in range(100):
                yield conversation(f"new{number}"), drafts(*["x" * 5000] * 20)

        with pytest.raises(StoreFullError):
            store._restore(stream, "error")
        assert store.get_keys() == ["old"]
        assert not [name for name in names(raw) if b":new:" in name]


def test_a_conversation_comes_as_it_was(redis_server: RedisServer, redis_url: str) -> None:
    with opened("sync", redis_url, ttl=5) as store, redis_server.client() as raw:
        there = conversation("a")
        store._restore(lambda: one(there, "x"), "error")
        found = store.get_conversation("a")
        assert found is not None
        assert (found.created_at, found.updated_at, found.ttl) == (MOMENT, MOMENT, 4000.0)
        assert found.expires_at == there.expires_at
        assert found.metadata == {"k": "a"}
        assert 3_590_000 < raw.pttl("chatstore::{a}") <= 3_600_000
        forever = conversation("b", expires_at=None, ttl=None)
        store._restore(lambda: one(forever, "x"), "error")
        assert raw.pttl("chatstore::{b}") == -1
        gone = conversation("c", expires_at=MOMENT)
        store._restore(lambda: one(gone, "x"), "error")
        assert store.get_keys() == ["a", "b"]
        assert store.check().problems == []


def test_what_is_staged_goes_by_itself(redis_server: RedisServer, redis_url: str) -> None:
    """A process that dies in the middle leaves nothing for ever."""
    with opened("sync", redis_url) as store, redis_server.client() as raw:
        seen: list[int] = []

        def stream() -> Stream:
            for number in range(3):
                yield conversation(f"new{number}"), drafts("a")
                seen.extend(raw.pttl(name) for name in names(raw))

        store._restore(stream, "error")
        assert seen
        assert all(0 < lives <= 3_600_000 for lives in seen)


def test_appended_ids_are_compared_first(redis_url: str) -> None:
    with opened("sync", redis_url) as store:
        store.add_message("b", ChatMessage("mine", id="m1"))
        before = store.get_conversation("b")

        def both() -> Stream:
            yield conversation("a"), drafts("x")
            yield conversation("b"), drafts("other", id="m1")

        with pytest.raises(DuplicateMessageError):
            store._restore(both, "append")
        assert store.get_keys() == ["b"]
        assert store.get_conversation("b") == before


@pytest.mark.parametrize("size", [12_000])
def test_a_long_conversation_is_staged_in_parts(redis_url: str, size: int) -> None:
    source = SimpleChatStore()
    source.add_messages("long", say(*map(str, range(size))))
    with opened("sync", redis_url) as store:
        report = copy_store(source, store)
        assert (report.messages, report.problems) == (size, [])
        assert content_digest(source) == content_digest(store)
        assert store.check().problems == []


# LlamaIndex


def llama_message(text: str, role: str = "user") -> str:
    return (
        f'{{"role":"{role}","additional_kwargs":{{}},'
        f'"blocks":[{{"block_type":"text","text":"{text}"}}]}}'
    )


def test_lists_of_llama_index_are_read(redis_server: RedisServer, redis_url: str) -> None:
    with redis_server.client() as raw, opened("sync", redis_url, prefix="mine", ttl=60) as store:
        raw.rpush("user2", llama_message("a"), llama_message("b", "assistant"))
        raw.rpush("user1", '{"role":"user","content":"old","additional_kwargs":{"x":1}}')
        raw.rpush("celery", '{"task": 1}')
        raw.rpush("numbers", "1", "2")
        raw.set("session", "theirs")
        report = store._restore(partial(llama_index, redis_url), "error")
        assert (report.conversations, report.messages) == (2, 3)
        assert store.get_keys() == ["user1", "user2"]
        assert held(store, "user2") == ["a", "b"]
        assert store.get_messages("user1")[0].additional_kwargs == {"x": 1}
        assert raw.pttl("mine::{user1}") > 50_000
        assert raw.type("user1") == b"list"  # left as it was


@pytest.mark.parametrize("broken", ["{", "1", '{"role":"user"}', '{"role":"user","blocks":7}'])
def test_a_broken_message_of_llama_index_is_named(
    redis_server: RedisServer, redis_url: str, broken: str
) -> None:
    with redis_server.client() as raw, opened("sync", redis_url, prefix="mine") as store:
        raw.rpush("user1", llama_message("secret"), broken)
        with pytest.raises(TransferError, match=r"'user1'.*message 1") as caught:
            store._restore(partial(llama_index, redis_url), "error")
        assert "secret" not in str(caught.value)
        assert store.get_keys() == []
