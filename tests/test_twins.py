"""The two faces: the same names, the same signatures, the same words."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

import chatstore
from chatstore.sql import aio

PAIRS = [
    (chatstore.ChatStore, chatstore.AsyncChatStore),
    (chatstore.SimpleChatStore, chatstore.AsyncSimpleChatStore),
    (chatstore.SQLChatStore, chatstore.AsyncSQLChatStore),
    (chatstore.RedisChatStore, chatstore.AsyncRedisChatStore),
    (chatstore.ChatMemoryBuffer, chatstore.AsyncChatMemoryBuffer),
]
METHODS = [
    pytest.param(blocking, awaiting, name, id=f"{blocking.__name__}.{name}")
    for blocking, awaiting in PAIRS
    for name in sorted(vars(blocking).keys() | vars(awaiting).keys())
    if not name.startswith("_")
]


def _signature(call: Callable[..., Any]) -> str:
    signature = inspect.signature(call)
    words = re.sub(r"\bAsync(\w+)", r"\1", str(signature))
    return re.sub(r"[\w.]+\.(\w+)", r"\1", words)


def _said(text: str | None) -> str:
    """A docstring without what only its face says: await, async, Async…; and without layout."""
    text = re.sub(r"\b(await|async) |[()]", "", inspect.cleandoc(text or ""))
    text = text.replace("open_async_store", "open_store")
    return " ".join(re.sub(r"\bAsync([A-Z]\w+)", r"\1", text).split())


@pytest.mark.parametrize(("blocking", "awaiting"), PAIRS)
def test_the_names_are_the_same(blocking: type, awaiting: type) -> None:
    def names(face: type) -> set[str]:
        return {name for name in dir(face) if not name.startswith("_")}

    assert names(blocking) == names(awaiting)


@pytest.mark.parametrize(("blocking", "awaiting", "name"), METHODS)
def test_a_method_has_a_twin(blocking: type, awaiting: type, name: str) -> None:
    one, two = getattr(blocking, name), getattr(awaiting, name)
    assert _said(one.__doc__) == _said(two.__doc__)
    if callable(one):
        assert _signature(one) == _signature(two)
        # An iterator is asked for, not awaited.
        assert inspect.iscoroutinefunction(two) == (name != "iter_messages")


@pytest.mark.parametrize(
    ("blocking", "awaiting"), [*PAIRS, (chatstore.open_store, chatstore.open_async_store)]
)
def test_both_are_made_alike(blocking: Callable[..., Any], awaiting: Callable[..., Any]) -> None:
    arguments = inspect.signature(awaiting).parameters
    assert _signature(blocking) == _signature(awaiting)
    told = re.findall(r"^    \**(\w+): ", inspect.cleandoc(awaiting.__doc__ or ""), re.MULTILINE)
    assert [name for name in arguments if name not in told] == []


def test_what_the_awaiting_sql_store_is_given_reaches_the_blocking_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: dict[str, Any] = {}

    class Noted(aio._Late):
        def __init__(self, url: str, **options: Any) -> None:
            given.update(options)
            super().__init__(url, **options)

    monkeypatch.setattr(aio, "_Late", Noted)
    names = [name for name in inspect.signature(chatstore.SQLChatStore).parameters if name != "url"]
    values: dict[str, Any] = dict.fromkeys(names, object()) | {
        "ttl": 7.5,
        "namespace": "n",
        "durability": "normal",
        "strict": True,
        "lock_timeout": 1.5,
        "create": False,
        "read_only": False,
        "schema": None,
    }
    chatstore.AsyncSQLChatStore("sqlite://", **values)
    assert given == values
