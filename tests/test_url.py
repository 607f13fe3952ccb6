"""From URLs to stores."""

import contextlib
from pathlib import Path
from typing import Any

import pytest

import chatstore
from chatstore import (
    AsyncRedisChatStore,
    AsyncSQLChatStore,
    ChatMessage,
    RedisChatStore,
    SQLChatStore,
    StoreUnavailableError,
    open_async_store,
    open_store,
)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("memory://", "SimpleChatStore"),
        ("MEMORY://", "SimpleChatStore"),
        ("sqlite://", "SQLChatStore"),
        (":memory:", "SQLChatStore"),
        ("sqlite:///{folder}/chat.db", "SQLChatStore"),
        ("{folder}/chat.db", "SQLChatStore"),
        ("{folder}/50% é😀 #1?.db", "SQLChatStore"),
        ("redis://localhost:6379/0", "RedisChatStore"),
        ("rediss://localhost:6379", "RedisChatStore"),
        ("redis+sentinel://a:26379,b:26379/main/0", "RedisChatStore"),
        ("redis+cluster://a:7000,b:7001", "RedisChatStore"),
        ("unix:///tmp/redis.sock", "RedisChatStore"),
        ("valkey://localhost", "RedisChatStore"),
    ],
)
def test_a_scheme_picks_the_store(url: str, kind: str, tmp_path: Path) -> None:
    url = url.format(folder=tmp_path)
    with open_store(url) as store:
        assert isinstance(store, getattr(chatstore, kind))
    assert isinstance(open_async_store(url), getattr(chatstore, f"Async{kind}"))


def test_a_path_may_be_a_path(tmp_path: Path) -> None:
    with open_store(tmp_path / "chat.db") as store:
        store.add_message("user1", ChatMessage("Hello"))
    with open_store(str(tmp_path / "chat.db")) as store:
        assert store.get_keys() == ["user1"]


@pytest.mark.parametrize("url", ["", "http://user:secret@host/x", "mysql://x", "://", " ://x"])
@pytest.mark.parametrize("open_one", [open_store, open_async_store])
def test_what_names_no_store_is_refused(open_one: Any, url: str) -> None:
    with pytest.raises(ValueError, match=r"chat\.db") as caught:
        open_one(url)
    assert "secret" not in str(caught.value)


class _Bytes:
    def __fspath__(self) -> bytes:
        return b"chat.db"


NO_URLS: dict[str, Any] = {
    "bytes": b"chat.db",
    "URL of bytes": b"redis://localhost",
    "path of bytes": _Bytes(),
    "None": None,
    "int": 5,
    "bool": True,
    "list": ["chat.db"],
    "nothing": "",
    "NUL": "chat\0.db",
}
OF_A_URL: dict[str, Any] = {
    "open_store": open_store,
    "open_async_store": open_async_store,
    "SQLChatStore": SQLChatStore,
    "AsyncSQLChatStore": AsyncSQLChatStore,
    "RedisChatStore": RedisChatStore,
    "AsyncRedisChatStore": AsyncRedisChatStore,
}


@pytest.mark.parametrize("what", NO_URLS)
@pytest.mark.parametrize("which", OF_A_URL)
def test_what_is_no_url_is_called_what_it_is(which: str, what: str, tmp_path: Path) -> None:
    words = {"nothing": "is empty", "NUL": "holds NUL"}.get(what, "is a str or a path, not ")
    with contextlib.chdir(tmp_path), pytest.raises(ValueError, match=f"a store's URL {words}"):
        OF_A_URL[which](NO_URLS[what])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", [".", "{folder}", "sqlite:///{folder}"])
def test_a_folder_is_called_one(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match=r"it is a folder\. Give the name"):
        SQLChatStore(url.format(folder=tmp_path))


@pytest.mark.parametrize(
    "url", ["redis:localhost", "sqlite:chat.db", "Memory:", "postgresql+psycopg:/host/db"]
)
@pytest.mark.parametrize("open_one", [open_store, open_async_store])
def test_a_slip_in_a_scheme_makes_no_file(open_one: Any, url: str, tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        with pytest.raises(ValueError, match="begins with"):
            open_one(url)
        assert list(tmp_path.iterdir()) == []
        with open_store("./redis:localhost") as store:
            store.add_message("user1", ChatMessage("Hello"))
        assert Path("redis:localhost").exists()


@pytest.mark.parametrize(
    ("query", "words"), [("mode=rx", "mode, which is ro"), ("cache=shared&a=1", "a, cache")]
)
def test_an_option_of_a_file_that_is_unknown_is_named(
    query: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=words):
        open_store(f"sqlite:///{tmp_path}/chat.db?{query}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["sqlite://chat.db", "sqlite://me@/chat.db", "sqlite://h/chat.db"])
@pytest.mark.parametrize("open_one", [open_store, open_async_store])
def test_a_file_is_never_taken_for_memory(open_one: Any, url: str, tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path), pytest.raises(ValueError, match=r"sqlite:///chat\.db"):
        open_one(url)
    assert list(tmp_path.iterdir()) == []


def test_a_scheme_may_be_in_capitals(tmp_path: Path) -> None:
    with open_store(f"SQLite:///{tmp_path}/Chat.db") as store:
        store.add_message("user1", ChatMessage("Hello"))
    assert (tmp_path / "Chat.db").exists()


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan"), "5", True, None, 1e10])
def test_a_lock_timeout_is_a_number_of_seconds(seconds: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lock_timeout"):
        open_store(tmp_path / "chat.db", lock_timeout=seconds)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", [None, 5, b"chat.db"])
def test_a_url_is_a_text(url: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        open_store(url)


@pytest.mark.parametrize("url", ["memory://", "sqlite://", "redis://localhost:1"])
@pytest.mark.parametrize("options", [{"ttl": 0}, {"namespace": "\0"}], ids=repr)
def test_options_are_checked_when_opening(url: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        open_store(url, **options)


def test_an_unknown_option_is_refused() -> None:
    for url in ("memory://", "sqlite://", "redis://localhost:1"):
        with pytest.raises(TypeError, match="colour"):
            open_store(url, colour="red")


@pytest.mark.parametrize("durability", ["Full", "ful", "", "off", None])
@pytest.mark.parametrize("url", ["{folder}/chat.db", "sqlite://", "memory://"])
@pytest.mark.parametrize("opening", [open_store, open_async_store], ids=["sync", "async"])
def test_a_durability_that_is_none_is_refused(
    opening: Any, url: str, durability: Any, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="durability is 'full' or 'normal'"):
        opening(url.format(folder=tmp_path), durability=durability)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("store", [chatstore.SQLChatStore, chatstore.AsyncSQLChatStore])
def test_a_store_that_is_made_itself_refuses_it_too(store: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="durability is 'full' or 'normal'"):
        store(tmp_path / "chat.db", durability="Full")
    assert list(tmp_path.iterdir()) == []
