"""`ChatStoreSession`: the protocol, and the real `Runner` over it with a model that is played."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from agents import Agent, ModelResponse, RunConfig, Runner, SessionSettings, Usage, function_tool
from agents.extensions.memory.encrypt_session import EncryptedSession
from agents.memory import Session
from agents.models.interface import Model
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseReasoningItem,
)
from openai.types.responses.response_reasoning_item import Summary

from chatstore import (
    AsyncChatStore,
    ChatMessage,
    ChatStore,
    InvalidMessageError,
    NativeMessage,
    open_async_store,
    open_store,
)
from chatstore.adapters.openai_agents import ChatStoreSession
from tests.adapters.anything import json_values, names

QUIET = RunConfig(tracing_disabled=True)


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def call(id: str) -> Any:
    return {"type": "function_call", "call_id": id, "name": "f", "arguments": "{}", "id": "fc"}


def output(id: str) -> Any:
    return {"type": "function_call_output", "call_id": id, "output": "ok"}


@pytest.fixture(params=["blocking", "awaiting"])
def either(request: pytest.FixtureRequest, url: str) -> ChatStore | AsyncChatStore:
    blocking = request.param == "blocking"
    return open_store(url, ttl=300) if blocking else open_async_store(url, ttl=300)


def test_the_protocol(either: ChatStore | AsyncChatStore) -> None:
    async def main() -> None:
        session = ChatStoreSession("s:1", either)
        assert isinstance(session, Session)
        assert await session.get_items() == []
        assert await session.pop_item() is None
        await session.add_items([])
        items = [user(str(n)) for n in range(5)]
        await session.add_items(items[:2])
        await session.add_items(items[2:])
        assert await session.get_items() == items
        assert await session.get_items(limit=2) == items[-2:]
        assert await session.get_items(limit=99) == items
        assert await session.get_items(limit=2_147_483_647) == items  # as the SDK asks
        assert await session.get_items(limit=0) == []
        with pytest.raises(ValueError, match="negative"):
            await session.get_items(limit=-1)
        session.session_settings = SessionSettings(limit=3)
        assert await session.get_items() == items[-3:]
        assert await session.get_items(limit=1) == items[-1:]
        session.session_settings = None
        assert await session.pop_item() == items[-1]
        assert await session.get_items() == items[:-1]
        await session.add_items([items[0], items[0]])  # the same twice is twice
        assert len(await session.get_items()) == 6
        await session.clear_session()
        assert await session.get_items() == []
        await session.close()
        await either.close() if isinstance(either, AsyncChatStore) else either.close()

    asyncio.run(main())


def test_two_who_pop_get_two_items(url: str) -> None:
    async def main() -> None:
        async with ChatStoreSession("k", url) as session:
            items = [user(str(n)) for n in range(20)]
            await session.add_items(items)
            popped = await asyncio.gather(*[session.pop_item() for _ in range(8)])
            assert sorted(map(str, popped)) == sorted(map(str, items[12:]))
            assert await session.get_items() == items[:12]

    asyncio.run(main())


def test_settings_may_be_a_dict() -> None:
    async def main() -> None:
        session = ChatStoreSession("k", "memory://", session_settings={"limit": 2})
        await session.add_items([user(str(n)) for n in range(5)])
        assert await session.get_items() == [user("3"), user("4")]
        with pytest.raises(TypeError, match="limitt"):
            ChatStoreSession("k", "memory://", session_settings={"limitt": 2})

    asyncio.run(main())


def test_their_encryption_around_our_session(url: str) -> None:
    async def main() -> None:
        async with ChatStoreSession("k", url) as ours:
            session = EncryptedSession("k", cast(Any, ours), encryption_key="secret")
            model = Played(asks("c1"), says("Sunny."))
            await Runner.run(agent(model), "Oslo?", session=session, run_config=QUIET)
            items: list[Any] = list(await session.get_items())
            assert items[0]["content"] == "Oslo?"
            assert len(items) == 5
            assert await session.pop_item() == items[-1]
            assert await session.get_items(limit=1) == items[3:4]

    asyncio.run(main())
    with open_store(url) as store:
        messages = store.get_messages("k")
        assert [message.blocks[0]["block_type"] for message in messages] == ["encrypted"] * 4
        assert "Oslo" not in str(store.get_records("k"))
        assert store.check().ok


class Played(Model):
    """Says what it is told to, and remembers what it was shown."""

    def __init__(self, *turns: list[Any]) -> None:
        self.turns = list(turns)
        self.shown: list[list[Any]] = []

    async def get_response(
        self,
        system_instructions: Any,
        input: Any,  # noqa: A002
        *args: Any,
        **kwargs: Any,
    ) -> ModelResponse:
        self.shown.append(input if isinstance(input, list) else [user(input)])
        return ModelResponse(output=self.turns.pop(0), usage=Usage(), response_id="resp_1")

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        raise NotImplementedError


def says(text: str) -> list[Any]:
    said = ResponseOutputText(text=text, type="output_text", annotations=[])
    return [
        ResponseOutputMessage(
            id="msg_1", content=[said], role="assistant", status="completed", type="message"
        )
    ]


def asks(id: str) -> list[Any]:
    return [
        ResponseReasoningItem(
            id=f"rs_{id}",
            type="reasoning",
            summary=[Summary(text="I must look.", type="summary_text")],
            encrypted_content="gAAA",
        ),
        ResponseFunctionToolCall(
            call_id=id, name="weather", arguments='{"city": "Oslo"}', type="function_call"
        ),
    ]


@function_tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"Sunny in {city}."


def agent(model: Model) -> Agent[Any]:
    return Agent(name="a", model=model, tools=[weather])


def test_the_runner_goes_on_where_it_was(url: str) -> None:
    for turn in (1, 2):
        model = Played(asks(f"c{turn}"), says(f"Sunny {turn}."))

        async def run(model: Played = model) -> Any:
            async with ChatStoreSession("user1", url) as session:
                return await Runner.run(agent(model), "Oslo?", session=session, run_config=QUIET)

        assert asyncio.run(run()).final_output == f"Sunny {turn}."
        assert len(model.shown[0]) == 5 * (turn - 1) + 1
    with open_store(url) as store:
        records = store.get_records("user1")
    kinds = [record.kind for record in records]
    assert kinds == ["message", "reasoning", "tool_call", "tool_result", "message"] * 2
    assert [record.text for record in records if record.kind == "message"] == [
        "Oslo?",
        "Sunny 1.",
        "Oslo?",
        "Sunny 2.",
    ]
    assert records[2].tool_call_ids == records[3].tool_call_ids == ("c1",)


@pytest.mark.parametrize("limit", range(1, 10))
def test_a_window_never_begins_with_an_orphan_output(limit: int) -> None:
    model = Played(says("Yes."))

    async def main() -> None:
        async with ChatStoreSession(
            "k", "memory://", session_settings=SessionSettings(limit=limit)
        ) as session:
            for n in range(2):
                await session.add_items(
                    [user("?"), call(f"a{n}"), call(f"b{n}"), output(f"a{n}"), output(f"b{n}")]
                )
            await Runner.run(agent(model), "And?", session=session, run_config=QUIET)

    asyncio.run(main())
    [shown] = model.shown
    calls = {item["call_id"] for item in shown if item.get("type") == "function_call"}
    outputs = {item["call_id"] for item in shown if item.get("type", "").endswith("_output")}
    assert calls == outputs
    assert shown[-1]["content"] == "And?"


ITEM = st.fixed_dictionaries(
    {"type": st.sampled_from(["hologram", "mcp_list_tools", "item_reference"])},
    optional={"a": json_values, "content": json_values, "call_id": names},
) | st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "developer"]), "content": st.text()},
    optional={"phase": json_values, "x": json_values},
)


@settings(max_examples=80, deadline=None)
@given(st.lists(ITEM, min_size=1, max_size=4))
def test_items_come_out_as_they_went_in(items: list[Any]) -> None:
    async def main() -> None:
        async with ChatStoreSession("k", "memory://") as session:
            await session.add_items(items)
            found = await session.get_items()
            assert found == items
            assert [list(item) for item in found] == [list(item) for item in items]
            assert await session.pop_item() == items[-1]

    asyncio.run(main())


@pytest.mark.parametrize(
    "item", [user("\0\ud800"), {"type": "computer_call_output", "call_id": "1", "output": {}}]
)
def test_nothing_is_too_odd(url: str, item: Any) -> None:
    async def main() -> None:
        async with ChatStoreSession("k", url) as session:
            await session.add_items([item])
            assert await session.get_items() == [item]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("item", "path"),
    [
        (
            {"role": "user", "content": [{"type": "x", "n": float("nan")}]},
            r"content\[0\]\.n is nan",
        ),
        ({"role": "user", "content": "a", "x": (1,)}, r"payload\.x is of type tuple"),
        ({"role": "user", "content": "a", "x": b"a"}, r"payload\.x is of type bytes"),
        ("Hello", "an item is a dict, not str"),
        ({"content": "Hello"}, "role or a type"),
    ],
)
def test_what_cannot_be_kept_is_refused(item: Any, path: str) -> None:
    async def main() -> None:
        async with ChatStoreSession("k", "memory://") as session:
            with pytest.raises(InvalidMessageError, match=path):
                await session.add_items([user("a"), item])
            assert await session.get_items() == []

    asyncio.run(main())


def test_a_foreign_message_is_popped_item_by_item() -> None:
    blocks = [
        {"block_type": "tool_call", "tool_call_id": id, "tool_name": "f", "tool_kwargs": {"n": 1}}
        for id in ("c1", "c2", "c3")
    ]
    said = ChatMessage(role="assistant", blocks=[{"block_type": "text", "text": "a"}, *blocks])

    async def main() -> None:
        store = open_async_store("memory://")
        await store.add_messages("k", [said, ChatMessage(role="assistant")])
        session = ChatStoreSession("k", store)
        items: list[Any] = list(await session.get_items())
        assert [json.loads(i["arguments"]) for i in items[1:]] == [{"n": 1}] * 3
        assert await session.get_items(limit=2) == items[-2:]
        assert await session.pop_item() == {"role": "assistant", "content": ""}
        for place in (3, 2, 1, 0):
            assert await session.pop_item() == items[place]
            assert await session.get_items() == items[:place]
        assert await store.get_keys() == []

    asyncio.run(main())


def test_damage_is_told_and_never_popped(caplog: pytest.LogCaptureFixture) -> None:
    with open_store("memory://") as store:
        store.add_message("k", ChatMessage("a"))
        store.add_message("k", NativeMessage("openai.responses", {"role": "user", "content": "b"}))
        rows = store._shelf.held["k"].rows  # type: ignore[attr-defined]
        rows[-1] = rows[-1]._replace(payload="{")
        session = ChatStoreSession("k", store)
        with caplog.at_level(logging.WARNING):
            assert asyncio.run(session.get_items()) == [user("a")]
        assert "cannot be decoded" in caplog.text
        with pytest.raises(InvalidMessageError, match="cannot be decoded"):
            asyncio.run(session.pop_item())
        assert store.count_messages("k") == 2
