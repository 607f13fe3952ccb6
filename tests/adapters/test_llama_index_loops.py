"""LlamaIndex's own loops over our stores: the seed's sentences, word for word."""

import asyncio
import os
import signal

import pytest
from llama_index.core import MockEmbedding, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, MessageRole, ToolCallBlock
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.chat_engine.types import ChatMode
from llama_index.core.llms.mock import MockFunctionCallingLLM, MockLLM
from llama_index.core.memory import ChatMemoryBuffer, Memory
from llama_index.core.schema import Document

from chatstore import RedisChatStore, open_store
from chatstore.adapters.llama_index import LlamaIndexChatStore, LlamaIndexMemoryStore
from tests.processes import in_fork

# LlamaIndex's own.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def weather(city: str) -> str:
    """The weather in a city."""
    return f"Sunny in {city}."


def answers(messages: list[ChatMessage], **kwargs: object) -> ChatMessage:
    """A model that calls its tool once for each question, and then says what it got."""
    last = messages[-1]
    if last.role is MessageRole.TOOL:
        asked = sum(m.role is MessageRole.USER for m in messages)
        return ChatMessage(role="assistant", content=f"{last.content} (question {asked})")
    call = ToolCallBlock(
        tool_call_id=f"call_{len(messages)}", tool_name="weather", tool_kwargs={"city": "Oslo"}
    )
    return ChatMessage(role="assistant", blocks=[call])


def ask(memory: ChatMemoryBuffer | Memory, question: str) -> str:
    agent = FunctionAgent(
        tools=[weather],
        llm=MockFunctionCallingLLM(response_generator=answers, is_chat_model=True),
        streaming=False,
    )

    async def main() -> str:
        return str(await agent.run(question, memory=memory))

    return asyncio.run(main())


def test_the_seed_with_redis(redis_url: str) -> None:
    chat_store = LlamaIndexChatStore(RedisChatStore(redis_url=redis_url, ttl=300))
    memory = ChatMemoryBuffer.from_defaults(
        token_limit=3000, chat_store=chat_store, chat_store_key="user1"
    )
    engine = SimpleChatEngine.from_defaults(llm=MockLLM(), memory=memory)
    engine.chat("Hello")
    first, _ = chat_store.get_messages("user1")
    assert first == ChatMessage(content="Hello")


def test_an_agent_goes_on_where_it_was(url: str) -> None:
    for turn in (1, 2, 3):
        with open_store(url, ttl=300) as store:
            memory = ChatMemoryBuffer.from_defaults(
                token_limit=3000, chat_store=LlamaIndexChatStore(store), chat_store_key="user1"
            )
            said = ask(memory, f"What is the weather in Oslo, {turn}?")
            assert said == f"Sunny in Oslo. (question {turn})"
    with open_store(url) as store:
        records = store.get_records("user1")
        kinds = [record.kind for record in records]
        assert kinds == ["message", "tool_call", "tool_result", "message"] * 3
        calls = [r.tool_call_ids for r in records if r.kind == "tool_call"]
        assert calls == [r.tool_call_ids for r in records if r.kind == "tool_result"]
        assert len(set(calls)) == 3


def test_a_chat_engine_of_an_index(url: str) -> None:
    index = SummaryIndex.from_documents(
        [Document(text="Oslo is sunny.")], embed_model=MockEmbedding(embed_dim=4)
    )
    for turn in (1, 2):
        with open_store(url, ttl=300) as store:
            memory = ChatMemoryBuffer.from_defaults(
                token_limit=3000, chat_store=LlamaIndexChatStore(store), chat_store_key="user1"
            )
            engine = index.as_chat_engine(
                chat_mode=ChatMode.CONTEXT, llm=MockLLM(max_tokens=3), memory=memory
            )
            engine.chat("Where is it sunny?")
            assert store.count_messages("user1") == 2 * turn
            asyncio.run(engine.achat("And now?"))
            store.delete_last_message("user1")
            store.delete_last_message("user1")


def test_memory_with_its_waterfall(url: str) -> None:
    texts = [f"{n} " + "word " * 30 for n in range(20)]
    with open_store(url, ttl=300) as store:
        memory = Memory.from_defaults(
            "user1", token_limit=400, token_flush_size=100, chat_store=LlamaIndexMemoryStore(store)
        )
        for n, text in enumerate(texts):
            role = MessageRole.ASSISTANT if n % 2 else MessageRole.USER
            memory.put(ChatMessage(content=text, role=role))
        archived = store.count_messages("user1", status="archived")
        assert 10 <= archived < 20
    with open_store(url) as store:
        memory = Memory.from_defaults(
            "user1", token_limit=400, token_flush_size=100, chat_store=LlamaIndexMemoryStore(store)
        )
        assert [message.content for message in memory.get_all()] == texts
        assert [message.content for message in memory.get()] == texts[archived:]
        assert [message.content for message in store.get_messages("user1")] == texts
        memory.set([ChatMessage(content="new")])
        assert store.count_messages("user1", status="archived") == archived
        memory.reset()
        assert store.get_keys() == []


def test_an_agent_with_memory_over_a_url(url: str) -> None:
    for turn in (1, 2):
        chat_store = LlamaIndexMemoryStore(url)
        memory = Memory.from_defaults("user1", chat_store=chat_store)
        assert ask(memory, "Oslo?") == f"Sunny in Oslo. (question {turn})"
        asyncio.run(chat_store.close())


def put_and_die(url: str) -> None:
    chats = LlamaIndexChatStore(open_store(url, ttl=300))
    memory = ChatMemoryBuffer.from_defaults(chat_store=chats, chat_store_key="user1")
    memory.put(ChatMessage(content="My name is Ada."))
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_loses_nothing(url: str) -> None:
    assert in_fork(put_and_die, url) == -signal.SIGKILL
    with open_store(url, ttl=300) as store:
        memory = ChatMemoryBuffer.from_defaults(
            chat_store=LlamaIndexChatStore(store), chat_store_key="user1"
        )
        assert [str(message) for message in memory.get()] == ["user: My name is Ada."]
        engine = SimpleChatEngine.from_defaults(llm=MockLLM(), memory=memory)
        said = engine.chat("What is my name?")
        assert "Ada" in str(said)  # the mock says its whole prompt


@pytest.mark.parametrize("limit", [1, 40])
def test_our_buffer_shows_what_theirs_wrote(limit: int) -> None:
    import chatstore

    with open_store("memory://") as store:
        memory = ChatMemoryBuffer.from_defaults(
            chat_store=LlamaIndexChatStore(store), chat_store_key="user1"
        )
        ask(memory, "Oslo?")
        shown = chatstore.ChatMemoryBuffer(limit, store, "user1").get()
        assert shown[0].role != "tool"
