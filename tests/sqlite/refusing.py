"""A store in a file that tests spoil, and what its refusals have in common."""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chatstore import ChatMessage, ChatStore, errors, open_store

SECRET = "what nobody else may read"


def hello(number: int = 0, size: int = 100) -> ChatMessage:
    return ChatMessage(content=f"{number} {SECRET} {'x' * size}")


Open = Callable[..., ChatStore]


def make(path: Path, messages: int = 300, size: int = 1_000) -> None:
    """A store of many pages, closed."""
    with open_store(path) as store:
        store.add_messages("k", [hello(number, size) for number in range(messages)])


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def refused(
    kind: type[errors.ChatStoreError], path: Path
) -> Iterator[pytest.ExceptionInfo[errors.ChatStoreError]]:
    """Raises this error, which names the file and a remedy, and tells nothing of its content."""
    with pytest.raises(errors.ChatStoreError) as caught:
        yield caught
    text = str(caught.value)
    assert type(caught.value) is kind, text
    assert path.name in text
    assert SECRET not in text
    assert len(text) < 600
    # Nothing of the driver's, whose text may hold a row.
    assert caught.value.__cause__ is None
    remedy = "|".join(("Repeat", "Check", "Give", "Keep", "Free", "Open", "Run", "use", "restore"))
    assert re.search(remedy, text), text
