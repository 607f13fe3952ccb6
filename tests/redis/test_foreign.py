"""Keys of others are neither listed nor touched, and ours never meet theirs."""

from collections.abc import Callable

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from chatstore import ChatMessage, SchemaTooNewError, StoreCorruptError
from chatstore.redis.keys import Names, recent, staging
from tests.redis.given import FACES, KEY, NAME, opened, say
from tests.redis.test_round_trips import CALLS
from tests.servers import RedisServer
from tests.servers.fixtures import Running

keys = st.text(min_size=1, max_size=60).filter(
    lambda key: "\0" not in key and not any("\ud800" <= sign <= "\udfff" for sign in key)
)
nasty = st.sampled_from(
    [
        "}{",
        "{a}",
        "a b",
        "*",
        "?",
        "[a-z]",
        "\\",
        "%",
        "%20",
        "a:b",
        "é",
        "e\u0301",
        "😀",
        "\n",
        '"',
    ]
)

FOREIGN: dict[str, Callable[[redis.Redis], object]] = {
    "string": lambda raw: raw.set(NAME, "theirs"),
    "list": lambda raw: raw.rpush(NAME, "theirs"),
    "hash": lambda raw: raw.hset(NAME, "theirs", "x"),
    "set": lambda raw: raw.sadd(NAME, "theirs"),
    "stream": lambda raw: raw.xadd(NAME, {"theirs": "x"}),
    "sorted set": lambda raw: raw.zadd(NAME, {"theirs": 1}),
    "almost ours": lambda raw: raw.zadd(NAME, {"~cs1|x": "+inf"}),
}


@given(keys | nasty, keys | nasty, keys | nasty, keys | nasty)
def test_no_two_conversations_have_one_name(a: str, b: str, one: str, other: str) -> None:
    first, second = Names("chatstore", one), Names("chatstore", other)
    assert (first.conversation(a) == second.conversation(b)) == ((one, a) == (other, b))
    assert first.key_of(first.conversation(a)) == a
    assert first.key_of(recent(first.conversation(a))) is None
    assert first.key_of(staging(first.conversation(a), "x")) is None


def test_prefix_and_namespace_cannot_be_confused() -> None:
    names = [
        Names("a:b", ""),
        Names("a", "b"),
        Names("a", "b:"),
        Names("a:", "b"),
        Names("a::b", ""),
    ]
    assert len({name.conversation("k") for name in names}) == len(names)


@given(keys | nasty)
def test_a_name_has_its_key_as_the_hash_tag(key: str) -> None:
    name = Names("chatstore", "x").conversation(key)
    assert name.isascii()
    assert name.count("{") == name.count("}") == 1
    assert name.index("{") + 1 < name.index("}")


@pytest.mark.parametrize("prefix", ["", "a{b", "a}", "é", "a\n", "a\0"])
def test_a_prefix_that_could_break_names_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        Names(prefix, "")


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("kind", FOREIGN)
def test_what_stands_under_our_name_is_not_touched(
    redis_server: RedisServer, redis_url: str, face: str, kind: str
) -> None:
    with opened(face, redis_url, ttl=300) as store, redis_server.client() as raw:
        FOREIGN[kind](raw)
        store.add_message("other", ChatMessage("x"))
        before = raw.dump(NAME)
        for name, call in CALLS.items():
            if name == "missing":
                continue
            with pytest.raises(StoreCorruptError, match="'user1'"):
                call(store)
        with pytest.raises(StoreCorruptError, match="'user1'"):
            store.copy_conversation("other", KEY)
        with pytest.raises(StoreCorruptError, match="'user1'"):
            list(store.iter_messages(KEY))
        assert store.get_keys() == ["other"]
        assert [c.key for c in store.get_conversations()] == ["other"]
        assert store.check().ok
        assert raw.dump(NAME) == before
        assert raw.pttl(NAME) == -1


@pytest.mark.parametrize("face", FACES)
def test_what_a_newer_version_wrote_is_not_touched(
    redis_server: RedisServer, redis_url: str, face: str
) -> None:
    with opened(face, redis_url) as store, redis_server.client() as raw:
        raw.zadd(NAME, {"~cs2|whatever": "+inf", "message": 1})
        before = raw.dump(NAME)
        for name, call in CALLS.items():
            if name != "missing":
                with pytest.raises(SchemaTooNewError, match="upgrade"):
                    call(store)
        with pytest.raises(SchemaTooNewError):
            store.get_conversations()
        assert not store.check().ok
        assert raw.dump(NAME) == before


def test_a_wildcard_in_a_key_or_prefix_lists_nothing_else(
    redis_server: RedisServer, redis_url: str
) -> None:
    found = ["a*b", "a?b", "a[x]b", "aXb", "a\\b", "a^b", "a-b", "A*b", "a{b", "a}{b", "a%b", "é"]
    with opened("sync", redis_url) as store, opened("sync", redis_url, prefix="x*") as other:
        for key in found:
            store.add_message(key, ChatMessage(key))
            other.add_message(key + "!", ChatMessage(key))
        with opened("sync", redis_url, prefix="xy") as third:
            third.add_message("third", ChatMessage("x"))
        assert store.get_keys() == sorted(found)
        assert other.get_keys() == sorted(key + "!" for key in found)
        for key in found:
            assert store.get_keys(key) == [key]


@pytest.mark.parametrize("prefix", ["a[b]", "a\\b", "a?*", "^a-b"])
def test_a_prefix_of_wildcards_means_itself(redis_url: str, prefix: str) -> None:
    with opened("sync", redis_url, prefix=prefix) as store:
        store.add_message(KEY, ChatMessage("x"))
        assert store.get_keys() == [KEY]


def test_a_name_that_is_no_text_hides_nothing(redis_server: RedisServer, redis_url: str) -> None:
    with (
        redis.Redis.from_url(redis_url, decode_responses=True) as client,
        opened("sync", redis_client=client) as store,
        redis_server.client() as raw,
    ):
        raw.zadd(b"chatstore::{\xff\xfe}", {"x": 1})
        store.add_message(KEY, ChatMessage("x"))
        assert store.get_keys() == [KEY]


def test_listing_finds_ours_among_many(redis_server: RedisServer, redis_url: str) -> None:
    with opened("sync", redis_url) as store, redis_server.client() as raw:
        pipe = raw.pipeline(transaction=False)
        for number in range(20_000):
            pipe.set(f"app:{number}", "x")
        for number in range(500):
            pipe.zadd(f"chatstore::{{{number}-theirs}}", {"x": 1})
        pipe.execute()
        for number in range(300):
            store.add_message(f"user{number:03}", ChatMessage("x"))
        raw.config_resetstat()
        assert store.get_keys() == [f"user{number:03}" for number in range(300)]
        ran = raw.info("commandstats")
        assert "cmdstat_keys" not in ran
        assert ran["cmdstat_scan"]["calls"] < 25
        assert store.get_keys(limit=2, after="user100") == ["user101", "user102"]


def test_an_acl_that_forbids_what_we_need_not(running: Running) -> None:
    user = (
        "user chat on >secret resetchannels ~chatstore:* -@all +@read +@write +@scripting +time "
        "+@connection -@dangerous"
    )
    server = running(RedisServer(acl=[user, "user default off"]))
    url = f"redis://chat:secret@127.0.0.1:{server.port}"
    with opened("sync", url, ttl=300) as store:
        for call in CALLS.values():
            store.set_messages(KEY, [ChatMessage("a", id="m1"), *say("b", "c")])
            store.erase("fork")
            call(store)
        store.set_messages(KEY, say("a", "b"))
        store.copy_conversation(KEY, "other")
        assert store.get_keys("user") == ["user1"]
        assert len(store.get_conversations()) == 2
        assert store.check().ok
        with redis.Redis.from_url(url) as raw:
            with pytest.raises(redis.exceptions.NoPermissionError):
                raw.keys()
            with pytest.raises(redis.exceptions.NoPermissionError):
                raw.get("theirs")
