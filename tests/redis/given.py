"""What the tests of the Redis store have in common: stores in either face, and raw looks."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

from redis import Redis

from chatstore import AsyncRedisChatStore, ChatMessage, ChatStore, RedisChatStore
from chatstore import operations as ops
from chatstore.records import Draft, StateDraft
from chatstore.testing import Blocking

FACES = ["sync", "async"]
KEY = "user1"
NAME = "chatstore::{user1}"


@contextmanager
def opened(face: str, url: str = "redis://localhost", **options: Any) -> Iterator[ChatStore]:
    """A store in a face, to be used without `await`."""
    if face == "sync":
        with RedisChatStore(url, **options) as store:
            yield store
        return
    with ExitStack() as stack:
        blocking = Blocking(AsyncRedisChatStore(url, **options))
        stack.callback(blocking.stop)
        yield stack.enter_context(cast(ChatStore, blocking))


def say(*texts: str) -> list[ChatMessage]:
    return [ChatMessage(text) for text in texts]


def held(store: ChatStore, key: str = KEY) -> list[str]:
    return [message.content or "" for message in store.get_messages(key)]


def write_state(store: ChatStore, *ids: str, replace: bool = False) -> str:
    payload = '{"role":"user","additional_kwargs":{},"blocks":[]}'
    drafts = [Draft(id, "chatstore", payload, "user", None, None, False, 1) for id in ids]
    state = StateDraft('"body"', '["left"]', "scope", 1)
    return store._execute(ops.WriteState(KEY, state, drafts, replace, None))


def calls(info: dict[str, Any]) -> dict[str, int]:
    """How often each command ran, from `INFO commandstats`."""
    return {
        name.removeprefix("cmdstat_"): facts["calls"]
        for name, facts in info.items()
        if not name.startswith(("cmdstat_config", "cmdstat_info"))
    }


def names(raw: Redis) -> list[bytes]:
    return list(raw.scan_iter())
