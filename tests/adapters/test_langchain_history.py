"""`ChatStoreMessageHistory`: every message class, and LangChain's own loop over it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.language_models import FakeMessagesListChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
    message_to_dict,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables.history import RunnableWithMessageHistory
from pydantic import BaseModel

from chatstore import ChatMessage as Ours
from chatstore import ChatStore, InvalidMessageError, NativeMessage, open_async_store, open_store
from chatstore.adapters.langchain import ChatStoreMessageHistory
from tests.adapters.anything import json_values, kept_values, names

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
maybe = st.none() | text
extras = st.dictionaries(names, kept_values, max_size=2)
content = text | st.lists(
    text | st.fixed_dictionaries({"type": text}, optional={"text": text, "x": kept_values}),
    max_size=3,
)
common = {
    "content": content,
    "additional_kwargs": extras,
    "response_metadata": extras,
    "name": maybe,
    "id": maybe,
}
unknown = st.dictionaries(st.sampled_from(["new_field", "phase"]), kept_values, max_size=2)
calls = st.lists(
    st.fixed_dictionaries(
        {
            "name": text,
            "args": st.dictionaries(names, json_values, max_size=2),
            "id": maybe,
            "type": st.just("tool_call"),
        }
    ),
    max_size=2,
)
bad_calls = st.lists(
    st.fixed_dictionaries(
        {
            "name": maybe,
            "args": maybe,
            "id": maybe,
            "error": maybe,
            "type": st.just("invalid_tool_call"),
        }
    ),
    max_size=1,
)
usage = st.none() | st.fixed_dictionaries(
    {"input_tokens": st.integers(0, 9), "output_tokens": st.just(2), "total_tokens": st.just(3)},
    optional={"input_token_details": st.just({"cache_read": 1, "audio": 2})},
)
said = {**common, "tool_calls": calls, "invalid_tool_calls": bad_calls, "usage_metadata": usage}
chunks = st.lists(
    st.fixed_dictionaries(
        {"name": maybe, "args": maybe, "id": maybe, "index": st.none() | st.integers(0, 3)}
    ),
    max_size=2,
)
documents = text.map(lambda said: Document(said, id="1", metadata={"page": 2}))
tool = {
    **common,
    "tool_call_id": text,
    "artifact": kept_values | documents | st.lists(documents, max_size=2),
    "status": st.sampled_from(["success", "error"]),
}


def of(cls: type[BaseMessage], **fields: Any) -> st.SearchStrategy[BaseMessage]:
    known = st.fixed_dictionaries({}, optional={k: v for k, v in fields.items() if k != "must"})
    must = st.fixed_dictionaries(fields["must"])
    return st.builds(lambda a, b, c: cls(**a, **b, **c), must, known, unknown)


plain = {"must": {"content": content}, **{k: v for k, v in common.items() if k != "content"}}
with_role = {**plain, "must": {"content": content, "role": text}}
named = {k: v for k, v in plain.items() if k != "name"}
named["must"] = {"content": content, "name": text}
messages = st.one_of(
    of(HumanMessage, **plain),
    of(HumanMessageChunk, **plain),
    of(SystemMessage, **plain),
    of(SystemMessageChunk, **plain),
    of(ChatMessage, **with_role),
    of(ChatMessageChunk, **with_role),
    of(FunctionMessage, **named),
    of(AIMessage, must={"content": content}, **{k: v for k, v in said.items() if k != "content"}),
    of(
        AIMessageChunk,
        must={"content": content, "tool_call_chunks": chunks},
        chunk_position=st.sampled_from(["last", None]),
        usage_metadata=usage,
        id=maybe,
    ),
    *(
        of(
            cls,
            must={"content": content, "tool_call_id": text},
            **{k: v for k, v in tool.items() if k not in ("content", "tool_call_id")},
        )
        for cls in (ToolMessage, ToolMessageChunk)
    ),
    text.map(lambda id: RemoveMessage(id=id)),
)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ChatStore]]:
    path = tmp_path_factory.mktemp("types") / "chat.db"
    with open_store(path, durability="normal") as one, open_store("memory://") as other:
        yield [one, other]


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(messages, min_size=1, max_size=3))
def test_what_goes_in_comes_out_equal(stores: list[ChatStore], given: list[BaseMessage]) -> None:
    for store in stores:
        history = ChatStoreMessageHistory("k", store)
        history.clear()
        history.add_messages(given)
        found = history.messages
        assert found == given
        assert [type(message) for message in found] == [type(message) for message in given]
        assert list(map(message_to_dict, found)) == list(map(message_to_dict, given))
        assert store.check().ok


@pytest.mark.parametrize("role", ["\0", "a\0b", "\ud800", ""])
def test_a_role_that_no_column_keeps_is_kept_in_the_payload(store: ChatStore, role: str) -> None:
    history = ChatStoreMessageHistory("k", store)
    history.add_message(ChatMessage(role=role, content="a"))
    assert history.messages == [ChatMessage(role=role, content="a")]
    assert store.get_messages("k")[0].role == "assistant"
    assert store.check().ok


def test_the_calls_of_the_base(store: ChatStore) -> None:
    history = ChatStoreMessageHistory("user:1", store)
    assert history.messages == []
    history.add_messages([])
    history.add_user_message("a")
    history.add_ai_message("b")
    history.add_message(SystemMessage("c"))
    assert str(history) == "Human: a\nAI: b\nSystem: c"
    assert history.messages is not history.messages
    history.messages = [HumanMessage("x")]
    assert history.messages == [HumanMessage("x")]
    assert bool(history) is True
    asyncio.run(history.aadd_messages([AIMessage("y", id="1"), AIMessage("y", id="1")]))
    assert asyncio.run(history.aget_messages())[1:] == [AIMessage("y", id="1")] * 2
    conversation = store.get_conversation("user:1")
    assert conversation is not None
    assert conversation.ttl == 300
    asyncio.run(history.aclear())
    history.clear()
    assert store.get_keys() == []


def test_on_an_async_store() -> None:
    async def main() -> None:
        async with open_async_store("memory://") as store:
            history = ChatStoreMessageHistory("k", store)
            await history.aadd_messages([HumanMessage("a")])
            assert await history.aget_messages() == [HumanMessage("a")]
            with pytest.raises(TypeError, match="await"):
                _ = history.messages
            await history.aclear()
            assert await history.aget_messages() == []

    asyncio.run(main())


class Anything(BaseModel):
    x: int = 1


class Mine(HumanMessage):
    pass


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (ToolMessage("a", tool_call_id="1", artifact=Anything()), r"data\.artifact is of type Any"),
        (
            AIMessage("a", response_metadata={"p": [float("nan")]}),
            r"response_metadata\.p\[0\] is n",
        ),
        (HumanMessage("a", additional_kwargs={1: 2}), r"additional_kwargs has a key of type int"),
        (HumanMessage("a", x={1}), r"data\.x is of type set"),
        (Mine(content="a"), r"messages\[1\] is a Mine"),
    ],
)
def test_what_would_come_back_changed_is_refused(message: BaseMessage, path: str) -> None:
    with ChatStoreMessageHistory("k", "memory://") as history:
        with pytest.raises(InvalidMessageError, match=path):
            history.add_messages([HumanMessage("a"), message])
        assert history.messages == []


@pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated")
def test_a_history_goes_on_where_it_was(url: str) -> None:
    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("past"), ("human", "{said}")])
    call = {"name": "f", "args": {"a": 1}, "id": "c1", "type": "tool_call"}
    used = UsageMetadata(input_tokens=1, output_tokens=2, total_tokens=3)
    answers: list[BaseMessage] = [
        AIMessage("", tool_calls=[call], usage_metadata=used),
        AIMessage("done", response_metadata={"model_name": "m"}),
    ]
    for turn, answer in enumerate(answers, 1):
        with open_store(url, ttl=300) as store:
            seen: list[Any] = []

            def keep(prompt: Any, seen: list[Any] = seen) -> Any:
                seen.extend(prompt.to_messages())
                return prompt

            chain = RunnableWithMessageHistory(
                prompt | keep | FakeMessagesListChatModel(responses=[answer]),
                lambda id, store=store: ChatStoreMessageHistory(id, store),
                input_messages_key="said",
                history_messages_key="past",
            )
            config: Any = {"configurable": {"session_id": "user1"}}
            if turn == 1:
                chain.invoke({"said": f"Hello {turn}"}, config)
            else:
                asyncio.run(chain.ainvoke({"said": f"Hello {turn}"}, config))
            assert len(seen) == 2 * turn - 1
            assert store.count_messages("user1") == 2 * turn
    with open_store(url) as store:
        found = ChatStoreMessageHistory("user1", store).messages
        assert [message.content for message in found] == ["Hello 1", "", "Hello 2", "done"]
        assert found[1].tool_calls == [call]  # type: ignore[attr-defined]
        assert found[1].usage_metadata["total_tokens"] == 3  # type: ignore[attr-defined]
        assert [r.kind for r in store.get_records("user1")][1] == "tool_call"


def test_a_type_of_the_future_hides_nothing() -> None:
    with open_store("memory://") as store:
        data = {"content": "beep", "antenna": 2}
        store.add_messages(
            "k", [NativeMessage("langchain", {"type": "robot", "data": data}), Ours("b")]
        )
        first, second = ChatStoreMessageHistory("k", store).messages
        assert (first.content, first.type, second.content) == ("beep", "chat", "b")
        assert store.get_messages("k")[0].role == "robot"


def test_what_a_caller_left_out_is_not_filled_in(store: ChatStore) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = AIMessage("a")
    message.additional_kwargs["tool_calls"] = [call]  # the constructor would read it
    history = ChatStoreMessageHistory("k", store)
    history.add_message(message)
    assert history.messages == [message]
    assert history.messages[0].tool_calls == []  # type: ignore[attr-defined]
