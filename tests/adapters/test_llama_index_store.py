"""`LlamaIndexChatStore` and `LlamaIndexMemoryStore`, call by call."""

import asyncio
import inspect
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock
from llama_index.core.storage.chat_store.base import BaseChatStore
from llama_index.core.storage.chat_store.base_db import AsyncDBChatStore, MessageStatus

from chatstore import AsyncChatStore, ChatStore, StoreClosedError, open_async_store, open_store
from chatstore import ChatMessage as Ours
from chatstore import operations as ops
from chatstore.adapters.llama_index import LlamaIndexChatStore, LlamaIndexMemoryStore

ACTIVE, ARCHIVED = MessageStatus.ACTIVE, MessageStatus.ARCHIVED


def said(text: str, role: str = "user") -> ChatMessage:
    return ChatMessage(content=text, role=MessageRole(role))


def texts(messages: list[ChatMessage] | None) -> list[str | None]:
    return [message.content for message in messages or []]


def test_every_method_of_the_base_is_there_with_its_parameters() -> None:
    for base, ours in (
        (BaseChatStore, LlamaIndexChatStore),
        (AsyncDBChatStore, LlamaIndexMemoryStore),
    ):
        names = [n for n in vars(base) if not n.startswith("_") and callable(getattr(base, n))]
        assert len(names) > 10
        for name in names:
            if name.startswith("model_"):
                continue
            theirs = list(inspect.signature(getattr(base, name)).parameters)
            assert list(inspect.signature(getattr(ours, name)).parameters)[: len(theirs)] == theirs
            assert name in vars(ours), f"{name} is left to LlamaIndex"


def test_what_its_own_stores_get_wrong(store: ChatStore) -> None:
    chats = LlamaIndexChatStore(store)
    assert chats.get_messages("k") == []
    chats.set_messages("k", [said("a"), said("b")])
    chats.set_messages("k", [said("c")])  # S1 appends
    assert texts(chats.get_messages("k")) == ["c"]
    chats.add_message("k", said("a"), idx=0)  # S5 cannot
    chats.add_message("k", said("b"), idx=-1)
    chats.add_message("k", said("d"), 99)
    assert texts(chats.get_messages("k")) == ["a", "b", "c", "d"]
    chats.get_messages("k").append(said("x"))  # L2: the live list
    assert texts(chats.get_messages("k")) == ["a", "b", "c", "d"]
    assert chats.delete_message("k", 1) == said("b")  # R1, R2: bytes, and the order reversed
    assert chats.delete_message("k", -3) == said("a")
    assert chats.delete_message("k", -3) is None  # L4: IndexError
    assert chats.delete_message("k", 7) is None
    assert texts(chats.get_messages("k")) == ["c", "d"]
    assert chats.delete_last_message("k") == said("d")
    assert chats.delete_last_message("k") == said("c")
    assert chats.delete_last_message("k") is None  # L3: IndexError
    assert chats.get_keys() == []
    chats.set_messages("b", [said("x"), said("y")])
    chats.set_messages("a", [said("x")])
    assert chats.get_keys() == ["a", "b"]
    chats.set_messages("a", [])  # S2: IntegrityError
    assert texts(chats.delete_messages("b")) == ["x", "y"]
    assert chats.delete_messages("b") is None
    assert chats.get_keys() == []


def test_the_async_names(store: ChatStore) -> None:
    async def main() -> None:
        chats = LlamaIndexChatStore(store)
        await chats.aset_messages("k", [said("b")])
        await chats.async_add_message("k", said("c"))
        await chats.async_add_message("k", said("a"), 0)
        assert texts(await chats.aget_messages("k")) == ["a", "b", "c"]
        assert await chats.adelete_message("k", 1) == said("b")
        assert await chats.adelete_last_message("k") == said("c")
        assert await chats.aget_keys() == ["k"]
        assert texts(await chats.adelete_messages("k")) == ["a"]

    asyncio.run(main())


def test_every_write_has_the_ttl(store: ChatStore) -> None:
    chats = LlamaIndexChatStore(store)
    chats.add_message("k", said("a"))
    chats.set_messages("k", [said("a"), said("b")])
    chats.delete_message("k", 0)
    conversation = store.get_conversation("k")
    assert conversation is not None
    assert conversation.ttl == 300
    assert conversation.expires_at is not None


def test_only_what_was_opened_here_is_closed() -> None:
    with open_store("memory://") as store:
        with LlamaIndexChatStore(store) as chats:
            chats.add_message("k", said("a"))
        assert store.get_keys() == ["k"]
    chats = LlamaIndexChatStore("memory://")
    chats.close()
    chats.close()
    with pytest.raises(StoreClosedError):
        chats.get_keys()
    with pytest.raises(TypeError, match="cannot block"):
        LlamaIndexChatStore(open_async_store("memory://"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="URL"):
        LlamaIndexMemoryStore(5)  # type: ignore[arg-type]


def test_it_is_true_when_empty_and_shows_no_password() -> None:
    with open_store("memory://") as store:
        chats = LlamaIndexChatStore(store)
        assert bool(chats) is True  # they say `chat_store or SimpleChatStore()`
        assert chats.to_dict() == {"class_name": "LlamaIndexChatStore"}


@pytest.fixture(params=["blocking", "awaiting"])
def either(request: pytest.FixtureRequest, url: str) -> ChatStore | AsyncChatStore:
    return open_store(url) if request.param == "blocking" else open_async_store(url)


def test_the_store_of_memory(either: ChatStore | AsyncChatStore) -> None:
    async def main() -> None:
        memory = LlamaIndexMemoryStore(either)
        await memory.add_messages("k", [])  # A3: IntegrityError
        assert await memory.get_keys() == []
        await memory.add_messages("k", [said(text) for text in "abcd"])
        assert texts(await memory.archive_oldest_messages("k", 2)) == ["a", "b"]
        await memory.add_message("k", said("old"), status=ARCHIVED)
        assert await memory.count_messages("k") == 2
        assert await memory.count_messages("k", status=None) == 5
        assert texts(await memory.get_messages("k")) == ["c", "d"]
        assert texts(await memory.get_messages("k", status=ARCHIVED)) == ["a", "b", "old"]
        everything = await memory.get_messages("k", status=None)
        assert texts(everything) == ["a", "b", "c", "d", "old"]
        # limit and offset count from the oldest of the status
        assert texts(await memory.get_messages("k", limit=1)) == ["c"]
        assert texts(await memory.get_messages("k", limit=1, offset=1)) == ["d"]
        assert await memory.get_messages("k", limit=0) == []
        with pytest.raises(ValueError, match="negative"):
            await memory.get_messages("k", limit=-1)
        # A2: archived rows were deleted too
        await memory.set_messages("k", [said(text) for text in "xyz"])
        assert texts(await memory.get_messages("k")) == ["x", "y", "z"]
        assert texts(await memory.get_messages("k", status=ARCHIVED)) == ["a", "b", "old"]
        # a place among the active ones
        assert await memory.delete_message("k", 1) == said("y")
        assert await memory.delete_message("k", -1) == said("z")
        assert await memory.delete_message("k", 1) is None
        assert await memory.delete_message("k", -2) is None
        assert await memory.delete_message("nobody", 0) is None
        await memory.add_messages("k", [said(text) for text in "uv"])
        assert texts(await memory.delete_oldest_messages("k", 2)) == ["x", "u"]
        assert texts(await memory.get_messages("k")) == ["v"]
        assert texts(await memory.delete_oldest_messages("k", 5)) == ["v"]
        assert await memory.delete_oldest_messages("k", 5) == []
        assert texts(await memory.get_messages("k", status=None)) == ["a", "b", "old"]
        await memory.delete_messages("k", status=ARCHIVED)
        assert await memory.get_keys() == []
        await either.close() if isinstance(either, AsyncChatStore) else either.close()

    asyncio.run(main())


def test_a_place_is_found_while_others_write(url: str) -> None:
    async def main() -> None:
        async with open_async_store(url) as store:
            memory = LlamaIndexMemoryStore(store)
            await memory.add_messages("k", [said(str(n)) for n in range(40)])

            async def archive() -> None:
                for _ in range(10):
                    await memory.archive_oldest_messages("k", 1)

            async def delete() -> list[ChatMessage | None]:
                return [await memory.delete_message("k", -1) for _ in range(10)]

            removed, _ = await asyncio.gather(delete(), archive())
            assert texts([m for m in removed if m]) == [str(n) for n in range(39, 29, -1)]
            assert texts(await memory.get_messages("k")) == [str(n) for n in range(10, 30)]

    asyncio.run(main())


def test_ours_are_read_and_theirs_are_ours(store: ChatStore) -> None:
    store.add_message("k", Ours("Hello", role="critic", id="m1"))
    chats = LlamaIndexChatStore(store)
    assert chats.get_messages("k") == [said("Hello", "assistant")]
    chats.add_message("k", ChatMessage(role="assistant", blocks=[TextBlock(text="Hi")]))
    assert store.get_messages("k")[1] == Ours("Hi", role="assistant")
    assert [record.format for record in store.get_records("k")] == ["chatstore", "chatstore"]


def test_a_place_among_active_ones_with_archived_ones_between(store: ChatStore) -> None:
    async def main() -> None:
        memory = LlamaIndexMemoryStore(store)
        await memory.add_message("k", said("a"))
        await memory.add_message("k", said("old"), status=ARCHIVED)
        await memory.add_message("k", said("b"))
        assert await memory.delete_message("k", 0) == said("a")
        assert texts(await memory.get_messages("k", status=None)) == ["old", "b"]

    asyncio.run(main())


def test_the_oldest_one_goes_alone(store: ChatStore) -> None:
    """A conversation that is cut by one message each turn is not written anew each time."""
    read: list[int] = []

    async def main() -> None:
        memory = LlamaIndexMemoryStore(store)
        await memory.add_messages("k", [ChatMessage(str(n)) for n in range(50)])
        await memory.archive_oldest_messages("k", 2)
        before = store.get_records("k")
        execute = store._execute

        def watched(operation: Any) -> Any:
            result = execute(operation)
            read.append(len(result) if isinstance(result, list) else 0)
            return result

        store._execute = watched  # type: ignore[method-assign]
        [removed] = await memory.delete_oldest_messages("k", 1)
        store._execute = execute  # type: ignore[method-assign]
        assert removed.content == "2"
        kept = [before[0], before[1], *before[3:]]
        after = store.get_records("k")
        assert [(r.id, r.ordinal) for r in after] == [(r.id, r.ordinal) for r in kept]
        assert [r.status for r in after] == ["archived"] * 2 + ["active"] * 47
        for _ in range(47):
            await memory.delete_oldest_messages("k", 1)
        assert await memory.delete_oldest_messages("k", 1) == []
        assert await memory.delete_oldest_messages("k", 0) == []
        with pytest.raises(ValueError, match="negative"):
            await memory.delete_oldest_messages("k", -1)

    asyncio.run(main())
    assert max(read) == 1


def test_an_active_message_is_removed_in_one_operation(
    store: ChatStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add_messages("k", [Ours(text) for text in "abcd"])
    store.archive_messages("k", 2)
    asked: list[type[ops.Operation[Any]]] = []
    execute = store._execute

    def watched(operation: Any) -> Any:
        asked.append(type(operation))
        return execute(operation)

    monkeypatch.setattr(store, "_execute", watched)
    removed = asyncio.run(LlamaIndexMemoryStore(store).delete_message("k", -1))
    assert removed == said("d")
    assert asked == [ops.DeleteAt]
