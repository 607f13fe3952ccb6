"""A command whose reply is lost is sent again by the driver, and must be done once."""

import threading
from collections.abc import Callable, Iterator

import pytest

from chatstore import ChatMessage, ChatStore, codec
from chatstore import operations as ops
from chatstore.records import Row
from tests.redis.given import FACES, KEY, NAME, held, names, opened, say, write_state
from tests.servers import FlakyProxy, RedisServer
from tests.servers.fixtures import Running


@pytest.fixture
def proxy(redis_server: RedisServer, redis_url: str) -> Iterator[FlakyProxy]:
    with FlakyProxy(redis_server.port, only=b"EVALSHA") as proxy:
        yield proxy


def url_through(proxy: FlakyProxy, server: RedisServer) -> str:
    return server.url_of(port=proxy.port)


def contents(result: object) -> object:
    """What a call returned, so that it can be compared."""
    if isinstance(result, list):
        return [contents(item) for item in result]
    if isinstance(result, Row):
        result = codec.decode(result)
    return result.content if isinstance(result, ChatMessage) else result


WRITES: dict[str, tuple[Callable[[ChatStore], object], object, list[str]]] = {
    # what is called; what it returns; what the conversation of a, b, c, d then holds
    "append": (lambda s: s.add_message(KEY, say("e")[0]) and None, None, list("abcde")),
    "batch": (lambda s: s.add_messages(KEY, say("e", "f")) and None, None, list("abcdef")),
    "insert": (lambda s: s.add_message(KEY, say("e")[0], 1) and None, None, list("aebcd")),
    "set": (lambda s: s.set_messages(KEY, say("x", "y")), None, list("xy")),
    "update": (lambda s: s.update_message(KEY, 0, say("e")[0]), "a", list("ebcd")),
    "delete": (lambda s: s.delete_message(KEY, 1), "b", list("acd")),
    "delete_last": (lambda s: s.delete_last_message(KEY), "d", list("abc")),
    "delete_all": (lambda s: s.delete_messages(KEY), list("abcd"), []),
    "archive": (lambda s: s.archive_messages(KEY, 2), ["a", "b"], list("abcd")),
    "delete_oldest": (lambda s: s._execute(ops.DeleteOldest(KEY, 2, None)), ["a", "b"], ["c", "d"]),
    "delete_active": (lambda s: s._execute(ops.DeleteOldest(KEY, 9, None)), list("abcd"), []),
    "delete_status": (lambda s: s.delete_messages(KEY, status="active"), list("abcd"), []),
    "metadata": (lambda s: s.set_metadata(KEY, {"a": 1}), True, list("abcd")),
    "ttl": (lambda s: s.set_ttl(KEY, 50), True, list("abcd")),
    "state": (lambda s: write_state(s, "e") and None, None, [*list("abcd"), ""]),
    "states": (lambda s: write_state(s, "e", "f", replace=True) and None, None, ["", ""]),
    "state_alone": (lambda s: write_state(s, replace=True) and None, None, []),
    "delete_state": (lambda s: s._execute(ops.DeleteState(KEY, None)), True, []),
    "erase": (lambda s: s.erase(KEY), True, []),
    "copy": (lambda s: s.copy_conversation(KEY, "fork"), 4, list("abcd")),
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("write", WRITES)
def test_a_write_whose_reply_is_lost_is_done_once(
    redis_server: RedisServer, proxy: FlakyProxy, face: str, write: str
) -> None:
    call, returned, then = WRITES[write]
    with opened(face, url_through(proxy, redis_server), ttl=300) as store:
        store.add_messages(KEY, say(*"abcd"))
        call(store)  # so that its script is known
        store.set_messages(KEY, say(*"abcd"))
        store.delete_messages("fork")
        before = store.get_conversation(KEY)
        proxy.drop_next(2)
        assert contents(call(store)) == returned
        assert proxy.dropped == 2
        assert held(store) == then
        after = store.get_conversation(KEY)
        if before is not None and after is not None and write != "copy":
            # One change, not three.
            assert int(after.revision.rsplit("-")[-1]) == int(before.revision.rsplit("-")[-1]) + 1
        assert store.check().ok


@pytest.mark.parametrize("face", FACES)
def test_a_write_that_lost_its_reply_is_known_though_others_wrote_since(
    redis_server: RedisServer, proxy: FlakyProxy, face: str
) -> None:
    """Twenty writers, one after the other, and each of their replies is lost."""
    with opened(face, url_through(proxy, redis_server)) as store:
        store.add_message(KEY, ChatMessage("first"))
        proxy.rate = 0.3
        threads = [
            threading.Thread(
                target=lambda n=n: [store.add_message(KEY, say(f"{n}.{i}")[0]) for i in range(5)]
            )
            for n in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        proxy.rate = 0.0
        found = held(store)[1:]
        assert sorted(found) == sorted(f"{n}.{i}" for n in range(20) for i in range(5))
        for n in range(20):
            assert [text for text in found if text.startswith(f"{n}.")] == [
                f"{n}.{i}" for i in range(5)
            ]
        assert proxy.dropped > 0
        assert store.check().ok


@pytest.mark.parametrize("face", FACES)
def test_a_thousand_appends_over_a_bad_network_are_stored_once_each_and_in_order(
    redis_server: RedisServer, proxy: FlakyProxy, face: str
) -> None:
    with (
        opened(face, url_through(proxy, redis_server), ttl=300) as store,
        redis_server.client() as raw,
    ):
        store.add_message(KEY, ChatMessage("0"))
        proxy.rate = 0.1
        ids = [store.add_message(KEY, ChatMessage(str(number))) for number in range(1, 1000)]
        proxy.rate = 0.0
        assert proxy.dropped > 50
        assert held(store) == [str(number) for number in range(1000)]
        assert [record.id for record in store.get_records(KEY)][1:] == ids
        assert all(raw.pttl(name) > 0 for name in names(raw))


def test_after_a_fork_the_child_is_another_writer(redis_url: str) -> None:
    """Else the first write of one would be taken for the other's."""
    import os

    with opened("sync", redis_url) as store:
        store.add_message(KEY, ChatMessage("before"))
        child = os.fork()
        if child == 0:
            try:
                store.add_message(KEY, ChatMessage("child"))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        store.add_message(KEY, ChatMessage("parent"))
        assert held(store) == ["before", "child", "parent"]


def test_a_ghost_of_an_earlier_write_changes_nothing(
    redis_url: str, redis_server: RedisServer
) -> None:
    """What hung in a dead connection may arrive when its writer has long gone on."""
    from chatstore.redis.keys import recent
    from chatstore.redis.scripts import script

    with opened("sync", redis_url) as store, redis_server.client() as raw:
        store.add_message(KEY, ChatMessage("one"))
        store.add_message(KEY, ChatMessage("two"))
        header = raw.zrange(NAME, -1, -1)[0].decode().split("|")
        writer, number = header[13], int(header[14])
        ghost = ("EVALSHA", script("append_plain").sha, 2, NAME, recent(NAME), writer, number - 1)
        draft = "||chatstore|user|||1|{}"
        assert raw.execute_command(*ghost, "", "", draft) == b"late"
        assert held(store) == ["one", "two"]


def test_what_writers_did_last_is_forgotten_in_time_and_in_number(
    redis_url: str, redis_server: RedisServer
) -> None:
    with redis_server.client() as raw:
        name = "chatstore::{user1}:recent"
        for _ in range(140):
            with opened("sync", redis_url) as store:
                store.set_metadata(KEY, {})
                store.add_message(KEY, ChatMessage("x"))
        assert 0 < raw.pttl(name) <= 90_000
        # As if they were long silent: the next of them sweep.
        for writer, entry in raw.hgetall(name).items():
            number, _, result = entry.split(b"|", 2)
            raw.hset(name, writer, b"|".join((number, b"1", result)))
        for _ in range(130):
            with opened("sync", redis_url) as store:
                store.add_message(KEY, ChatMessage("x"))
        assert raw.hlen(name) <= 140


def test_a_late_repetition_does_not_bring_back_what_was_erased(
    running: Running, redis_server: RedisServer, proxy: FlakyProxy
) -> None:
    from chatstore.redis.keys import recent
    from chatstore.redis.scripts import script

    with opened("sync", redis_server.url) as store, redis_server.client() as raw:
        store.add_message(KEY, ChatMessage("secret"))
        header = raw.zrange(NAME, -1, -1)[0].decode().split("|")
        writer, number = header[13], header[14]
        with opened("sync", redis_server.url) as other:
            other.delete_message(KEY, 0)
            store.add_message(KEY, ChatMessage("secret"))
            assert other.erase(KEY)
        again = ("EVALSHA", script("append_plain").sha, 2, NAME, recent(NAME), writer, number)
        assert raw.execute_command(*again, "", "", "||chatstore|user|||1|{}") == b"late"
        assert store.get_keys() == []
        assert all(b"secret" not in raw.dump(name) for name in names(raw))
