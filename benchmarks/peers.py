"""What do the stores of LlamaIndex, OpenAI Agents and LangChain take for the same?

Each as it comes, on a SQLite file of its own; LlamaIndex once more with our settings: WAL, NORMAL.
They need the extra `bench`.
"""

import asyncio
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from agents import SQLiteSession
from sqlalchemy import Engine, event

from benchmarks.harness import Answer, at_least, draft, folder, message, raw, raw_append, seconds
from chatstore import open_store

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from langchain_community.chat_message_histories import SQLChatMessageHistory
    from langchain_core.messages import HumanMessage
    from llama_index.core.llms import ChatMessage as LlamaMessage
    from llama_index.storage.chat_store.sqlite import SQLiteChatStore

TEXT = message().content or ""
LENGTH = 1000


def answers() -> Iterator[Answer]:
    with folder() as here:
        normal = open_store(here / "normal.db", durability="normal")
        full = open_store(here / "full.db")
        said = message()
        full.add_messages("k", [said] * LENGTH)

        def ours(store: Any, times: int = 300) -> Callable[[], float]:
            return lambda: seconds(lambda: store.add_message("k", said), times)

        def last() -> float:
            return seconds(lambda: full.get_messages("k", last=20), 300)

        yield _against("append one, NORMAL, LlamaIndex the same", 9, ours(normal), _llama(here, 1))
        conn, encoded = raw(here / "normal.db", "normal"), draft()
        yield _against(
            "the driver, NORMAL, LlamaIndex the same",
            9,
            lambda: seconds(lambda: raw_append(conn, "raw", encoded), 300),
            _llama(here, 1),
        )
        conn.close()
        yield _against("append one, FULL, LlamaIndex as it comes", 5, ours(full), _llama(here, 0))
        yield _against("append one, FULL, LangChain", 1, ours(full), _langchain(here))
        yield _against("append one, FULL, OpenAI Agents", 1, ours(full), _agents(here, "add"))
        yield _against(f"last=20 of {LENGTH}, LlamaIndex", 1, last, _llama_read(here))
        yield _against(f"last=20 of {LENGTH}, OpenAI Agents", 1, last, _agents(here, "last"))
        normal.close()
        full.close()


def _against(
    question: str, bound: float, ours: Callable[[], float], theirs: Callable[[], float]
) -> Answer:
    return at_least(question, bound, ours, theirs)


def _our_settings(connection: Any, _: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _llama(here: Path, same: int) -> Callable[[], float]:
    if same:
        event.listen(Engine, "connect", _our_settings)
    store = SQLiteChatStore.from_uri(f"sqlite:///{here}/llama{same}.db")
    said = LlamaMessage(role="user", content=TEXT)
    store.add_message("k", said)
    if same:
        event.remove(Engine, "connect", _our_settings)
    return lambda: seconds(lambda: store.add_message("k", said), 100)


def _llama_read(here: Path) -> Callable[[], float]:
    store = SQLiteChatStore.from_uri(f"sqlite:///{here}/read.db")
    store.set_messages("k", [LlamaMessage(role="user", content=TEXT)] * LENGTH)
    return lambda: seconds(lambda: store.get_messages("k")[-20:], 10)


def _langchain(here: Path) -> Callable[[], float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        history = SQLChatMessageHistory("k", connection=f"sqlite:///{here}/langchain.db")
    return lambda: seconds(lambda: history.add_message(HumanMessage(TEXT)), 100)


def _agents(here: Path, what: str) -> Callable[[], float]:
    session = SQLiteSession("k", here / f"agents-{what}.db")
    item: Any = {"role": "user", "content": TEXT}

    async def add() -> None:
        await session.add_items([item])

    async def last() -> None:
        await session.get_items(limit=20)

    async def many(call: Callable[[], Any], times: int) -> None:
        for _ in range(times):
            await call()

    if what == "last":
        asyncio.run(session.add_items([item] * LENGTH))
    call = add if what == "add" else last
    return lambda: seconds(lambda: asyncio.run(many(call, 100)), 1) / 100
