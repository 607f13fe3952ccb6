"""Connections that a store keeps to itself: what happens to them must not be seen by a caller."""

import os
import signal
import sys
import threading
from typing import Any

import pytest

from chatstore import ChatMessage
from chatstore.redis import lines
from tests.redis.given import KEY, NAME, held, opened, say
from tests.servers import RedisServer


def connections(raw: Any) -> int:
    return len(raw.client_list(_type="normal")) - 1


def test_calls_that_follow_each_other_share_a_connection(
    redis_server: RedisServer, redis_url: str
) -> None:
    with redis_server.client() as raw, opened("sync", redis_url) as store:
        before = connections(raw)
        for text in "abc":
            store.add_message(KEY, ChatMessage(text))
            store.get_messages(KEY, last=1)
        store.get_messages(KEY)
        assert connections(raw) - before == 1
        store.close()
        assert connections(raw) == before


@pytest.mark.parametrize("idle", [lines.IDLE, 0.0])
def test_a_connection_that_the_server_closed_is_replaced(
    redis_server: RedisServer, redis_url: str, idle: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "IDLE", idle)
    with redis_server.client() as raw, opened("sync", redis_url, ttl=300) as store:
        for text in "abcdef":
            store.add_message(KEY, ChatMessage(text))
            raw.client_kill_filter(_type="normal", skipme=True)
        assert held(store) == list("abcdef")
        raw.client_kill_filter(_type="normal", skipme=True)
        assert store.count_messages(KEY) == 6
        assert raw.zcard(NAME) == 7


def test_a_reply_is_never_taken_for_another_s(redis_server: RedisServer, redis_url: str) -> None:
    """A call is interrupted while its reply is on the way."""
    if sys.platform == "win32":
        return

    class Interrupt(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupt

    with redis_server.client() as raw, opened("sync", redis_url) as store:
        store.add_messages(KEY, say("a", "b"))
        old = signal.signal(signal.SIGALRM, interrupt)
        try:
            raw.client_pause(200)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(Interrupt):
                store.get_messages(KEY, last=1)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, old)
        assert store.count_messages(KEY) == 2
        assert held(store) == ["a", "b"]


def test_an_interruption_between_question_and_answer_leaves_no_answer_behind(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened("sync", redis_url) as store:
        store.add_messages(KEY, say("a", "b"))
        [(_, connection)] = store._lines._free  # type: ignore[attr-defined]

        def interrupted(**_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(connection, "read_response", interrupted)
            with pytest.raises(KeyboardInterrupt):
                store.get_messages(KEY, last=1)
        assert store.count_messages(KEY) == 2
        assert held(store) == ["a", "b"]


def test_a_child_has_a_connection_of_its_own(redis_server: RedisServer, redis_url: str) -> None:
    if not hasattr(os, "fork"):
        return
    with redis_server.client() as raw, opened("sync", redis_url) as store:
        store.add_message(KEY, ChatMessage("before"))
        before = raw.info("stats")["total_connections_received"]
        child = os.fork()
        if child == 0:
            try:
                store.add_message(KEY, ChatMessage("child"))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert raw.info("stats")["total_connections_received"] == before + 1
        store.add_message(KEY, ChatMessage("parent"))
        assert raw.info("stats")["total_connections_received"] == before + 1
        assert held(store) == ["before", "child", "parent"]


@pytest.mark.parametrize("option", ["", "?max_connections=30"])
def test_many_threads_have_a_connection_each(
    redis_server: RedisServer, redis_url: str, option: str
) -> None:
    number = lines.KEPT + 8
    with opened("sync", redis_url + option) as store:
        ready = threading.Barrier(number)

        def work(text: str) -> None:
            ready.wait()
            store.add_message(KEY, ChatMessage(text))

        for _ in range(3):
            threads = [threading.Thread(target=work, args=(str(n),)) for n in range(number)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert sorted(held(store)) == sorted([*map(str, range(number))] * 3)


def test_a_connection_that_the_driver_marks_is_made_anew(
    redis_server: RedisServer, redis_url: str
) -> None:
    """As it does when a server says that it will move."""
    with redis_server.client() as raw, opened("sync", redis_url) as store:
        store.add_message(KEY, ChatMessage("a"))
        [(_, connection)] = store._lines._free  # type: ignore[attr-defined]
        before = raw.client_list(_type="normal")
        connection.mark_for_reconnect()
        store.add_message(KEY, ChatMessage("b"))
        store.add_message(KEY, ChatMessage("c"))
        after = raw.client_list(_type="normal")
        assert {c["id"] for c in before} != {c["id"] for c in after}
        assert held(store) == list("abc")


@pytest.mark.parametrize("driver", [lines._pack, None])
def test_commands_are_packed_alike_with_and_without_hiredis(
    driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_pack", driver)
    assert (
        lines.packed(["SET", "a b", "", 12, -3])
        == b"*5\r\n$3\r\nSET\r\n$3\r\na b\r\n$0\r\n\r\n$2\r\n12\r\n$2\r\n-3\r\n"
    )


def test_a_connection_that_was_idle_is_looked_at(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened("sync", redis_url) as store:
        store.add_message(KEY, ChatMessage("a"))
        pool = store._client.connection_pool  # type: ignore[attr-defined]
        looked: list[Any] = []
        get = pool.get_connection

        def look() -> Any:
            looked.append(get())
            return looked[-1]

        monkeypatch.setattr(pool, "get_connection", look)
        store.add_message(KEY, ChatMessage("b"))
        assert not looked
        monkeypatch.setattr(lines, "IDLE", 0.0)
        store.add_message(KEY, ChatMessage("c"))
        assert looked
