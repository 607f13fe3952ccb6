"""No step leaves a conversation without its ttl, and what expired is absent."""

import time

import pytest

from chatstore import ChatMessage
from tests.redis.given import FACES, KEY, NAME, held, names, opened, say
from tests.redis.test_round_trips import CALLS
from tests.servers import RedisServer


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("call", CALLS)
def test_no_call_leaves_a_key_without_a_ttl(
    redis_server: RedisServer, redis_url: str, face: str, call: str
) -> None:
    with opened(face, redis_url, ttl=300) as store, redis_server.client() as raw:
        store.add_messages(KEY, [ChatMessage("a", id="m1"), *say("b", "c", "d")])
        raw.pexpire(NAME, 1000)
        CALLS[call](store)
        assert all(raw.pttl(name) > 0 for name in names(raw))
        if call in ("get_messages", "last", "get_records", "count_messages", "get_conversation"):
            assert raw.pttl(NAME) <= 1000  # a read does not restart it
        conversation = store.get_conversation(KEY)
        if conversation is not None and call != "set_ttl":
            assert conversation.ttl == 300


def test_the_key_expires_when_the_conversation_says(
    redis_server: RedisServer, redis_url: str
) -> None:
    with opened("sync", redis_url, ttl=12.5) as store, redis_server.client() as raw:
        for write in CALLS.values():
            store.set_messages(KEY, [ChatMessage("a", id="m1"), *say("b", "c")])
            store.erase("fork")
            write(store)
            conversation = store.get_conversation(KEY)
            if conversation is not None and conversation.expires_at is not None:
                at = raw.execute_command("PEXPIRETIME", NAME)
                assert 0 <= at - conversation.expires_at.timestamp() * 1000 <= 1


def test_a_conversation_that_is_written_again_gets_the_ttl_again(
    redis_server: RedisServer, redis_url: str
) -> None:
    """An emptied Redis key loses its ttl with itself."""
    with opened("sync", redis_url, ttl=300) as store, redis_server.client() as raw:
        store.add_message(KEY, ChatMessage("a"))
        store.delete_last_message(KEY)
        store.add_message(KEY, ChatMessage("b"))
        assert raw.pttl(NAME) > 299_000


@pytest.mark.parametrize("ttl", [0.000_001, 0.000_6, 0.03])
def test_a_short_ttl_is_at_least_a_millisecond(redis_url: str, ttl: float) -> None:
    with opened("sync", redis_url, ttl=ttl) as store:
        assert store.add_message(KEY, ChatMessage("a"))
        time.sleep(0.05)
        assert store.get_keys() == []
        assert store.get_conversation(KEY) is None
        assert held(store) == []


def test_without_a_ttl_the_key_stays(redis_server: RedisServer, redis_url: str) -> None:
    with opened("sync", redis_url, ttl=300) as store, redis_server.client() as raw:
        store.add_message(KEY, ChatMessage("a"))
        store.set_ttl(KEY, None)
        assert raw.pttl(NAME) == -1
        store.add_message(KEY, ChatMessage("b"))
        assert raw.pttl(NAME) == -1


def test_the_servers_clock_counts(
    redis_server: RedisServer, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client whose clock is a day late would have every conversation expire at once."""
    from chatstore import clock

    with opened("sync", redis_url, ttl=300) as store, redis_server.client() as raw:
        now = clock.now()
        monkeypatch.setattr(clock, "now", lambda: now - 86_400_000_000)
        store.add_message(KEY, ChatMessage("a"))
        assert raw.pttl(NAME) > 299_000
        assert held(store) == ["a"]
