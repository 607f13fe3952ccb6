"""What every topic of the suite stands on: fixtures, and short words for messages."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from chatstore import ChatMessage, ChatStore, Conversation, Record
from chatstore.testing.backend import Backend
from chatstore.testing.blocking import blocking, stop

KEY = "user1"
HUGE = 10**30  # no database has an integer for it

OpenStore = Callable[..., ChatStore]


class Base:
    """The fixtures; whoever runs the suite supplies another, `backend`."""

    @pytest.fixture
    def open_store(self, backend: Backend) -> Iterator[OpenStore]:
        """Opens stores over the backend, in the face that blocks; all are closed at the end."""
        stores: list[ChatStore] = []

        def open_one(**options: Any) -> ChatStore:
            stores.append(blocking(backend.open(**options)))
            return stores[-1]

        yield open_one
        for store in stores:
            stop(store)
        backend.close()

    @pytest.fixture
    def store(self, open_store: OpenStore) -> ChatStore:
        """A store with default options."""
        return open_store()


def say(*texts: str) -> list[ChatMessage]:
    """A message of the user for each text."""
    return [ChatMessage(text) for text in texts]


def texts(messages: Sequence[ChatMessage]) -> list[str | None]:
    """What the messages say."""
    return [message.content for message in messages]


def held(store: ChatStore, key: str = KEY) -> list[str | None]:
    """What the messages of a conversation say."""
    return texts(store.get_messages(key))


def seen(store: ChatStore, key: str = KEY) -> tuple[Conversation | None, list[Record]]:
    """All that can be seen of a conversation, to compare."""
    return store.get_conversation(key), store.get_records(key)


def in_time(story: Callable[[float], bool]) -> None:
    """Tell a story in which something lives for so many seconds.

    It is a short time. Where the machine was too slow for it, the story returns `False`, having
    asserted nothing, and is told with a longer one.
    """
    assert any(story(seconds) for seconds in (0.1, 1, 10))


def describe(store: ChatStore, key: str = KEY) -> Conversation:
    """The conversation, which must exist."""
    conversation = store.get_conversation(key)
    assert conversation is not None
    return conversation
