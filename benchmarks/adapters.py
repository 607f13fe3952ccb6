"""What does an adapter cost, and how long does a window of 3 000 messages take?"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from agents.items import TResponseInputItem
from langchain_core.messages import HumanMessage, message_to_dict
from llama_index.core.base.llms.types import ChatMessage as LlamaMessage
from llama_index.core.memory import ChatMemoryBuffer as Theirs
from llama_index.core.storage.chat_store import SimpleChatStore as TheirStore
from pydantic import TypeAdapter
from pydantic_ai.conversation import Conversation
from pydantic_ai.conversation_store import ConversationRecord
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextPart,
    UserPromptPart,
)

from benchmarks.harness import Answer, at_least, at_most, folder, message, seconds
from chatstore import (
    AsyncChatStore,
    ChatMemoryBuffer,
    ChatStore,
    NativeMessage,
    open_async_store,
    open_store,
)
from chatstore.adapters.langchain import ChatStoreMessageHistory
from chatstore.adapters.llama_index import LlamaIndexChatStore
from chatstore.adapters.openai_agents import ChatStoreSession
from chatstore.adapters.pydantic_ai import ChatStoreConversations

TIMES = 300
TURNS, LOADS = 25, 4
LENGTH, LIMIT = 3000, 1000


def answers() -> Iterator[Answer]:
    for durability in ("full", "normal"):
        with folder() as here:
            yield from appends(here / "chat.db", durability, durability=durability)
    yield _window()


def appends(url: str | Path, where: str, **options: Any) -> Iterator[Answer]:
    """Each framework's append, beside the same without the adapter and the framework's own JSON."""
    with open_store(url, **options) as store:
        yield _llama_index(store, where)
        yield _langchain(store, where)
    with asyncio.Runner() as runner:
        awaited = open_async_store(url, **options)
        yield _openai(awaited, runner, where)
        yield from _pydantic_ai(awaited, runner, where)
        runner.run(awaited.close())


def _append(
    name: str, where: str, ours: Callable[[], float], theirs: Callable[[], float]
) -> Answer:
    question = f"append, {name}, {where}, beside store + its own JSON"
    return at_most(question, 1.3, ours, theirs, rounds=9)


def _llama_index(store: ChatStore, where: str) -> Answer:
    plain = message()
    said = LlamaMessage(plain.content)
    chats = LlamaIndexChatStore(store)

    def bare() -> None:
        json.dumps(said.model_dump(mode="json"))
        store.add_message("llama", plain)

    return _append(
        "LlamaIndex",
        where,
        lambda: seconds(lambda: chats.add_message("LlamaIndex", said), TIMES),
        lambda: seconds(bare, TIMES),
    )


def _langchain(store: ChatStore, where: str) -> Answer:
    plain = message()
    said = HumanMessage(str(plain.content))
    history = ChatStoreMessageHistory("LangChain", store)

    def bare() -> None:
        json.dumps(message_to_dict(said))
        store.add_message("lang", plain)

    return _append(
        "LangChain",
        where,
        lambda: seconds(lambda: history.add_message(said), TIMES),
        lambda: seconds(bare, TIMES),
    )


def _openai(store: AsyncChatStore, runner: asyncio.Runner, where: str) -> Answer:
    plain = message()
    item: TResponseInputItem = {"role": "user", "content": str(plain.content)}
    session = ChatStoreSession("OpenAI", store)

    async def through() -> None:
        for _ in range(TIMES):
            await session.add_items([item])

    async def beside() -> None:
        for _ in range(TIMES):
            json.dumps(item)
            await store.add_message("open", plain)

    return _append(
        "the Agents SDK",
        where,
        lambda: seconds(lambda: runner.run(through()), 1) / TIMES,
        lambda: seconds(lambda: runner.run(beside()), 1) / TIMES,
    )


def _pydantic_ai(store: AsyncChatStore, runner: asyncio.Runner, where: str) -> Iterator[Answer]:
    """A save of two messages, a user's and a model's, in a conversation of up to 50.

    The first limit is `add_messages` of two messages of ours with the same texts and no ids, and
    the framework's JSON of its two messages and of the record. What else a save is, all of which
    counts as the adapter's: the framework's own work before it calls the store; looking whether
    each message comes back equal; ids, in two indices, by which the framework finds entries; twice
    the bytes, for the JSON of a response has many fields; and writing the record.

    The second limit is `add_messages` of the very records that a save writes: the framework's JSON
    under ids. What is left to the adapter is the rest: its looking, and the record.
    """
    plain = message()
    text = str(plain.content)
    turns: list[list[ModelMessage]] = [
        [ModelRequest(parts=[UserPromptPart(text)]), ModelResponse(parts=[TextPart(text)])]
        for _ in range(TURNS)
    ]
    conversations = ChatStoreConversations(store)
    records: TypeAdapter[ConversationRecord] = TypeAdapter(ConversationRecord)
    record = ConversationRecord(conversation_id="pydantic", head_id=str(uuid4()))

    async def loaded(id: str) -> Conversation:
        # Without messages: the framework looks at all that a conversation holds in each save.
        talk = await conversations.load(id, limit=0) or Conversation(conversation_id=id)
        await conversations.save(talk)
        return talk

    async def through(talks: list[Conversation]) -> None:
        for talk in talks:
            for turn in turns:
                talk.messages += turn
                await conversations.save(talk)

    async def beside() -> None:
        for turn in turns:
            ModelMessagesTypeAdapter.dump_json(turn)
            records.dump_json(record)
            await store.add_messages("pydantic", [plain, plain])

    async def native() -> None:
        for turn in turns:
            payloads = ModelMessagesTypeAdapter.dump_python(turn, mode="json")
            records.dump_json(record)
            said = [NativeMessage("pydantic_ai", one, id=str(uuid4())) for one in payloads]
            await store.add_messages("pydantic native", said)

    def ours() -> float:
        talks = [runner.run(loaded(f"Pydantic AI {number}")) for number in range(LOADS)]
        return seconds(lambda: runner.run(through(talks)), 1) / LOADS / TURNS

    def of(limit: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], float]:
        return lambda: seconds(lambda: runner.run(limit()), LOADS) / TURNS

    yield _append("Pydantic AI (two)", where, ours, of(beside))
    question = f"append, Pydantic AI (two), {where}, beside the same records"
    yield at_most(question, 1.3, ours, of(native), rounds=9)


def _window() -> Answer:
    text = "It depends on what you want to keep. "
    chats = TheirStore()
    said = [
        LlamaMessage(f"{n} {text}", role="assistant" if n % 2 else "user") for n in range(LENGTH)
    ]
    chats.set_messages("k", said)
    theirs = Theirs.from_defaults(token_limit=LIMIT, chat_store=chats, chat_store_key="k")
    with folder() as here, open_store(here / "chat.db") as store:
        LlamaIndexChatStore(store).set_messages("k", said)
        # The same tokenizer on both sides, so that the ratio is the algorithm's.
        ours = ChatMemoryBuffer(LIMIT, store, "k", theirs.tokenizer_fn)
        return at_least(
            f"the window of {LENGTH} messages, beside LlamaIndex's buffer on its store",
            10,
            lambda: seconds(ours.get, 5),
            lambda: seconds(theirs.get, 1),
            rounds=1,
            unit="ms",
        )
