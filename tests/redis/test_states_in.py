"""States that come into Redis: staged, put in their places, and taken back."""

from typing import Any

import pytest

from chatstore import ChatMessage, TransferError
from chatstore.records import StateDraft
from chatstore.testing.conformance.states import BODY, PARTED, absent, read, scopes, write
from chatstore.transfer import Stream, accompanied, alone
from tests.redis.given import held, names, opened
from tests.redis.test_transfer import conversation, drafts
from tests.servers import RedisServer

STATE = StateDraft('{"of":"the file"}', "[1]", "theirs", 9)


@pytest.mark.parametrize("on_conflict", ["error", "append"])
def test_what_somebody_takes_meanwhile_undoes_states(
    redis_server: RedisServer, redis_url: str, on_conflict: Any
) -> None:
    with opened("sync", redis_url) as store, redis_server.client() as raw:
        if on_conflict == "append":
            write(store, key="a mine", parted=PARTED, scope="s")
        rounds = 0

        def stream() -> Stream:
            nonlocal rounds
            rounds += 1
            if on_conflict == "append":
                yield accompanied(conversation("a mine"), STATE, changed=False), drafts("x")
            yield alone("b", STATE, None, None), ()
            yield accompanied(conversation("c"), STATE, changed=False), drafts("x")
            yield conversation("d"), drafts("x")
            if rounds == 2:
                with opened("sync", redis_url) as other:
                    other.add_message("d", ChatMessage("mine"))

        with pytest.raises(TransferError, match="'d'"):
            store._restore(stream, on_conflict)
        assert (store.get_keys(), held(store, "d")) == (["d"], ["mine"])
        assert absent(store, "b")
        assert absent(store, "c")
        if on_conflict == "append":
            assert (read(store, "a mine").body, read(store, "a mine").parted) == (BODY, PARTED)
        assert scopes(store) == (["a mine"] if on_conflict == "append" else [])
        assert not [name for name in names(raw) if b":new:" in name]
        assert store.check().problems == []


def test_a_state_that_comes_meanwhile_is_in_the_way(
    redis_server: RedisServer, redis_url: str
) -> None:
    with opened("sync", redis_url) as store, redis_server.client() as raw:
        for told, given in (
            (alone("b", STATE, None, None), []),
            (accompanied(conversation("b"), STATE, changed=False), drafts("x")),
        ):
            rounds = 0

            def stream() -> Stream:
                nonlocal rounds
                rounds += 1
                yield told, given  # noqa: B023
                if rounds == 2:
                    with opened("sync", redis_url) as other:
                        write(other, key="b")

            with pytest.raises(TransferError, match="'b'"):
                store._restore(stream, "error")
            assert (read(store, "b").body, held(store, "b")) == (BODY, [])
            assert not [name for name in names(raw) if b":new:" in name]
            store.delete_messages("b")


def test_what_is_staged_of_a_state_goes_by_itself(
    redis_server: RedisServer, redis_url: str
) -> None:
    with opened("sync", redis_url) as store, redis_server.client() as raw:
        seen: list[int] = []

        def stream() -> Stream:
            for number in range(3):
                yield alone(f"new{number}", STATE, None, None), ()
                seen.extend(raw.pttl(name) for name in names(raw))

        store._restore(stream, "error")
        assert seen
        assert all(0 < lives <= 3_600_000 for lives in seen)
        assert raw.pttl("chatstore::{new0}:state") == -1
        assert len(scopes(store, "theirs")) == 3
