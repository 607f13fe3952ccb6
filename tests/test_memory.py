"""`ChatMemoryBuffer`: what fits, what stays together, and what it costs."""

import asyncio
import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstore import (
    AsyncChatMemoryBuffer,
    AsyncSimpleChatStore,
    ChatMemoryBuffer,
    ChatMessage,
    SimpleChatStore,
)
from chatstore.memory import tokens
from chatstore.memory.window import fit


def words(text: str) -> list[str]:
    return text.split()


def said(text: str, role: str = "user") -> ChatMessage:
    return ChatMessage(text, role=role)


def call(*ids: str) -> ChatMessage:
    return ChatMessage(
        role="assistant",
        blocks=[
            {"block_type": "tool_call", "tool_call_id": i, "tool_name": "f", "tool_kwargs": {}}
            for i in ids
        ],
    )


def result(id: str) -> ChatMessage:
    return ChatMessage("found", role="tool", additional_kwargs={"tool_call_id": id})


def buffer(limit: int, *messages: ChatMessage) -> ChatMemoryBuffer:
    memory = ChatMemoryBuffer.from_defaults(token_limit=limit, tokenizer_fn=words)
    memory.put_messages(messages)
    return memory


def cost(*messages: ChatMessage) -> int:
    return sum(tokens.count(message, words) for message in messages)


def test_everything_is_returned_when_it_fits() -> None:
    memory = buffer(100, said("one"), said("two", "assistant"))
    assert [m.content for m in memory.get()] == ["one", "two"]


def test_the_oldest_go_first() -> None:
    memory = buffer(4, said("one"), said("two"), said("three"))
    assert [m.content for m in memory.get()] == ["two", "three"]


def test_the_limit_is_met_exactly() -> None:
    messages = [said("a b"), said("c d e")]
    assert len(buffer(cost(*messages), *messages).get()) == 2
    assert len(buffer(cost(*messages) - 1, *messages).get()) == 1


def test_a_leading_system_message_stays() -> None:
    system = said("be kind", "system")
    memory = buffer(7, system, *(said(f"m{i}") for i in range(200)))
    assert [m.content for m in memory.get()] == ["be kind", "m198", "m199"]


def test_an_archived_system_message_is_gone() -> None:
    memory = buffer(100, said("be kind", "system"), said("one"))
    memory.chat_store.archive_messages(memory.chat_store_key, 1)
    assert [m.content for m in memory.get()] == ["one"]


def test_a_call_is_not_cut_from_its_results() -> None:
    turn = [call("a", "b"), result("a"), result("b")]
    all_but_one = cost(*turn, said("next")) - 1
    memory = buffer(all_but_one, said("before"), *turn, said("next"))
    assert [m.content for m in memory.get()] == ["next"]
    memory = buffer(all_but_one + 1, said("before"), *turn, said("next"))
    assert memory.get() == [*turn, said("next")]


def test_an_orphan_result_never_leads() -> None:
    memory = buffer(100, result("gone"), result("gone too"), said("next"))
    assert memory.get() == [said("next")]


def test_the_newest_comes_even_if_too_long() -> None:
    assert len(buffer(1, said("one"), said("far too long for this")).get()) == 1
    turn = [call("a"), result("a")]
    assert buffer(1, said("one"), *turn).get() == turn


def test_every_block_counts() -> None:
    long = {"block_type": "tool_call", "tool_name": "f", "tool_kwargs": {"q": "w " * 50}}
    assert cost(ChatMessage(role="assistant", blocks=[long])) > 50
    image = ChatMessage(blocks=[{"block_type": "image", "image": "A" * 100_000}])
    assert cost(image) == 1 + tokens.MEDIA_TOKENS
    old = ChatMessage(additional_kwargs={"tool_calls": [{"id": "w " * 50}]})
    assert cost(old) > 50


def test_an_empty_history_wipes_nothing() -> None:
    store = SimpleChatStore()
    store.add_message("chat_history", said("kept"))
    memory = ChatMemoryBuffer.from_defaults(chat_store=store, chat_history=[])
    assert memory.get_all() == [said("kept")]
    memory = ChatMemoryBuffer.from_defaults(chat_store=store, chat_history=[said("new")])
    assert memory.get_all() == [said("new")]


def test_set_and_reset() -> None:
    memory = buffer(100, said("one"))
    memory.set([said("two"), said("three")])
    assert len(memory.get_all()) == 2
    memory.reset()
    assert memory.get() == memory.get_all() == []


def test_bad_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="token_limit is 0"):
        ChatMemoryBuffer(0)
    with pytest.raises(ValueError, match="initial_token_count is 11"):
        buffer(10).get(initial_token_count=11)
    assert buffer(4, said("one"), said("two")).get(initial_token_count=2) == [said("two")]


def test_reading_follows_the_window() -> None:
    class Counting(SimpleChatStore):
        read = 0

        def get_messages(self, *args: object, **kwargs: object) -> list[ChatMessage]:
            found = super().get_messages(*args, **kwargs)  # type: ignore[arg-type]
            self.read += len(found)
            return found

    store = Counting()
    store.add_messages("k", [said(f"message {i}") for i in range(20_000)])
    memory = ChatMemoryBuffer(300, store, "k", words)
    assert len(memory.get()) == 100
    assert store.read <= 32 + 64 + 128


MESSAGES = st.lists(
    st.one_of(
        st.integers(1, 9).map(lambda n: said("w " * n)),
        st.integers(1, 3).map(lambda n: call(*map(str, range(n)))),
        st.integers(0, 3).map(lambda n: result(str(n))),
    ),
    max_size=80,
)


@given(MESSAGES, st.integers(1, 120))
def test_pages_do_not_change_the_window(messages: list[ChatMessage], limit: int) -> None:
    whole = fit(messages, limit, lambda m: tokens.count(m, words), whole=True)
    memory = buffer(limit, *messages)
    window = memory.get()
    assert window == whole
    assert messages[len(messages) - len(window) :] == window
    if window:
        assert window[0].role != "tool"


def test_the_twins_are_alike() -> None:
    for name, method in vars(ChatMemoryBuffer).items():
        twin = vars(AsyncChatMemoryBuffer).get(name)
        if callable(method) and name[0] != "_":
            assert twin is not None
            assert inspect.getdoc(method) == inspect.getdoc(twin)
            assert list(inspect.signature(method).parameters) == list(
                inspect.signature(twin).parameters
            )


def test_the_async_twin_does_the_same() -> None:
    async def main() -> None:
        store = AsyncSimpleChatStore()
        memory = await AsyncChatMemoryBuffer.from_defaults(
            token_limit=4, chat_store=store, tokenizer_fn=words, chat_history=[said("one")]
        )
        await memory.put(said("two"))
        await memory.put_messages([said("three")])
        assert [m.content for m in await memory.get()] == ["two", "three"]
        assert len(await memory.get_all()) == 3
        await memory.set([said("new")])
        assert await memory.get_all() == [said("new")]
        await memory.reset()
        assert await memory.get() == []

    asyncio.run(main())


def test_tokenizers_fetch_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert tokens.default_tokenizer() is tokens.estimate
    assert len(tokens.estimate("é" * 4)) == 2
    assert len(tokens.estimate("\ud800")) == 1
