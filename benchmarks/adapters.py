"""What does an adapter cost, and how long does a window of 3 000 messages take?"""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

from agents.items import TResponseInputItem
from langchain_core.messages import HumanMessage, message_to_dict
from llama_index.core.base.llms.types import ChatMessage as LlamaMessage
from llama_index.core.memory import ChatMemoryBuffer as Theirs
from llama_index.core.storage.chat_store import SimpleChatStore as TheirStore

from benchmarks.harness import Answer, at_least, at_most, folder, message, seconds
from chatstore import ChatMemoryBuffer, open_async_store, open_store
from chatstore.adapters.langchain import ChatStoreMessageHistory
from chatstore.adapters.llama_index import LlamaIndexChatStore
from chatstore.adapters.openai_agents import ChatStoreSession

TIMES = 300
LENGTH, LIMIT = 3000, 1000


def answers() -> Iterator[Answer]:
    yield _llama_index()
    yield _langchain()
    yield _openai()
    yield _window()


def _append(name: str, ours: Callable[[], Any], theirs: Callable[[], Any]) -> Answer:
    return at_most(
        f"append through {name}, beside store + its own JSON",
        1.3,
        lambda: seconds(ours, TIMES),
        lambda: seconds(theirs, TIMES),
    )


def _llama_index() -> Answer:
    with folder() as here, open_store(here / "chat.db") as store:
        plain = message()
        said = LlamaMessage(plain.content)
        chats = LlamaIndexChatStore(store)

        def bare() -> None:
            json.dumps(said.model_dump(mode="json"))
            store.add_message("b", plain)

        return _append("LlamaIndex", lambda: chats.add_message("a", said), bare)


def _langchain() -> Answer:
    with folder() as here, open_store(here / "chat.db") as store:
        plain = message()
        said = HumanMessage(str(plain.content))
        history = ChatStoreMessageHistory("a", store)

        def bare() -> None:
            json.dumps(message_to_dict(said))
            store.add_message("b", plain)

        return _append("LangChain", lambda: history.add_message(said), bare)


def _openai() -> Answer:
    plain = message()
    item: TResponseInputItem = {"role": "user", "content": str(plain.content)}
    with folder() as here, asyncio.Runner() as runner:
        store = open_async_store(here / "chat.db")
        session = ChatStoreSession("a", store)

        async def through() -> None:
            for _ in range(TIMES):
                await session.add_items([item])

        async def beside() -> None:
            for _ in range(TIMES):
                json.dumps(item)
                await store.add_message("b", plain)

        found = at_most(
            "append through the Agents SDK, beside store + its own JSON",
            1.3,
            lambda: seconds(lambda: runner.run(through()), 1) / TIMES,
            lambda: seconds(lambda: runner.run(beside()), 1) / TIMES,
        )
        runner.run(store.close())
        return found


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
