"""`ChatStoreConversations`: the framework's own loops, beside the framework's own store."""

import asyncio
import base64
import functools
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults
from pydantic_ai import messages as pai
from pydantic_ai.conversation import Conversation
from pydantic_ai.conversation_store import (
    ConversationConflict,
    ConversationStore,
    InMemoryConversationStore,
)
from pydantic_ai.exceptions import UserError
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

from chatstore import ChatMessage, ChatStore, InvalidMessageError, NativeMessage, open_store
from chatstore import operations as ops
from chatstore.adapters.openai_agents import ChatStoreSession
from chatstore.adapters.pydantic_ai import ChatStoreConversations
from tests.adapters.anything import any_text, json_values

AT = datetime(2026, 1, 2, tzinfo=UTC)


def user(text: str) -> pai.ModelRequest:
    return pai.ModelRequest(parts=[pai.UserPromptPart(text, timestamp=AT)])


def model(text: str) -> pai.ModelResponse:
    return pai.ModelResponse(parts=[pai.TextPart(text)], timestamp=AT)


TURNS: list[pai.ModelMessage] = [user("a"), model("b"), user("c"), model("d")]


def talk(id: str = "k", messages: Any = None) -> Conversation:
    return Conversation(conversation_id=id, messages=list(TURNS if messages is None else messages))


def content(message: pai.ModelMessage) -> Any:
    part: Any = message.parts[0]
    return part.content


def awaited(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The test, run on a loop of its own."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def agent() -> Agent[None, str]:
    made: Agent[None, str] = Agent(TestModel(), system_prompt="Be kind.")

    @made.tool_plain
    def weather(city: str) -> str:
        return f"21 C in {city}"

    return made


@awaited
async def test_an_agent_goes_on_after_a_restart(url: str) -> None:
    told: list[pai.ModelMessage] = []
    for number in range(3):
        async with ChatStoreConversations(url) as conversations:
            loaded = await conversations.load("k") or Conversation(conversation_id="k")
            assert loaded.messages == told
            result = await agent().run(f"Question {number}", conversation=loaded)
            entries = await conversations.save(result, scope="alice")
            assert len(entries) == (4 if number == 0 else 2)
            told = result.all_messages()
            assert result.conversation.usage.requests > number
    with open_store(url) as store:
        roles = [message.role for message in store.get_messages("k")]
        assert roles[:4] == ["user", "assistant", "tool", "assistant"]
        assert store.count_messages("k") == 8
        assert store.check().problems == []


@awaited
async def test_deferred_tools_wait_in_the_store(store: ChatStore) -> None:
    made: Agent[None, Any] = Agent(TestModel(), output_type=[str, DeferredToolRequests])

    @made.tool_plain(requires_approval=True)
    def delete(path: str) -> str:
        return f"{path} is gone"

    conversations = ChatStoreConversations(store)
    result = await made.run("Delete it", conversation=Conversation(conversation_id="k"))
    await conversations.save(result)
    loaded = await ChatStoreConversations(store).load("k")
    assert loaded is not None
    waiting = loaded.deferred_tool_requests
    assert waiting == result.output
    assert waiting is not None
    answers = DeferredToolResults(approvals={waiting.approvals[0].tool_call_id: True})
    result = await made.run(conversation=loaded, deferred_tool_results=answers)
    await conversations.save(result)
    again = await conversations.load("k")
    assert again is not None
    assert (again.messages, again.deferred_tool_requests) == (result.all_messages(), None)


async def _story(of: ConversationStore) -> list[Any]:
    """Everything that the framework's store does, and what came of it."""
    seen: list[Any] = []

    async def note(id: str) -> None:
        entries = await of.load_entries(id)
        record = await of.read_record(id)
        if record is None or entries is None:
            seen.append((id, record, entries))
            return
        seen.append((id, [entry.message for entry in entries]))
        parents = [None, *(entry.id for entry in entries)]
        assert [entry.parent_id for entry in entries] == parents[:-1]
        assert record.head_id == parents[-1]
        assert [(await of.read_entry(entry.id)) for entry in entries] == entries
        for limit in (0, 1, 2, 3, 99):
            assert await of.load_entries(id, limit=limit) == entries[max(0, len(entries) - limit) :]
        seen.append((record.scope, record.forked_from, len(record.branches), record.usage))
        left = [await of.read_history(tip) for tip in record.branches]
        seen.extend([entry.message for entry in entries] for entries in left)

    async def refused(kind: type[Exception], call: Awaitable[Any]) -> None:
        with pytest.raises(kind):
            await call

    saved = talk()
    await of.save(saved, scope="s")
    await note("k")
    await refused(ConversationConflict, of.save(talk()))
    loaded = await of.load("k", limit=1)
    assert loaded is not None
    assert loaded.messages == TURNS[-1:]
    loaded.messages += [user("e"), model("f")]
    await of.save(loaded)
    await note("k")
    await refused(ConversationConflict, of.save(saved))
    await refused(ConversationConflict, of.save(loaded, scope="other"))
    assert await of.load("k", scope="other") is None
    for at in (2, 0):
        loaded = await of.branch("k", at=at, expected_revision=loaded.revision)
        await note("k")
        loaded.messages.append(user(f"from {at}"))
        await of.save(loaded)
        await note("k")
    record = await of.read_record("k")
    assert record is not None
    for tip in record.branches:
        loaded = await of.branch("k", from_entry=tip, expected_revision=loaded.revision)
        await note("k")
    await refused(ConversationConflict, of.branch("k", at=0, expected_revision="stale"))
    await refused(UserError, of.branch("k", at=99, expected_revision=loaded.revision))
    forks: list[tuple[int | None, str]] = [(None, "f1"), (1, "f2"), (0, "f3")]
    for kept, id in forks:
        forked = await of.fork("k", at=kept, new_conversation_id=id, scope=f"of {id}")
        await note(id)
        forked.messages.append(user("on the fork"))
        await of.save(forked)
        await note(id)
    await of.fork("k", from_entry=record.branches[0], new_conversation_id="f4")
    await note("f4")
    await refused(ConversationConflict, of.fork("k", new_conversation_id="f1"))
    rewritten = talk("r")
    await of.save(rewritten)
    rewritten.messages[1:] = [model("another"), user("end")]
    await of.save(rewritten)
    await note("r")
    await of.save(Conversation(conversation_id="empty"))
    await note("empty")
    seen.append([found.conversation_id for found in await of.list_conversations()])
    seen.append([found.conversation_id for found in await of.list_conversations(limit=2)])
    seen.append([found.conversation_id for found in await of.list_conversations(scope="of f1")])
    await refused(UserError, of.list_conversations(limit=-1))
    await of.delete("k", scope="other")
    await note("k")
    for id in ("k", "empty", "nobody"):
        await of.delete(id)
        await note(id)
    await note("f1")
    await note("f4")
    await refused(LookupError, of.read_entry("nobody"))
    return seen


@awaited
async def test_it_does_what_the_frameworks_own_store_does(store: ChatStore) -> None:
    theirs = await _story(InMemoryConversationStore())
    assert await _story(ChatStoreConversations(store)) == theirs
    assert store.check().problems == []
    assert store.get_keys() == ["f1", "f2", "f3", "f4", "r"]


@pytest.mark.torture
@awaited
async def test_it_does_the_same_on_postgresql(postgres_database: str) -> None:
    with open_store(postgres_database, upgrade=True) as store:
        theirs = await _story(InMemoryConversationStore())
        assert await _story(ChatStoreConversations(store)) == theirs
        assert store.check().problems == []


@awaited
async def test_what_was_left_is_found_after_a_restart(store: ChatStore) -> None:
    conversations = ChatStoreConversations(store)
    saved = talk()
    entries = await conversations.save(saved)
    await conversations.branch("k", at=1, expected_revision=saved.revision)
    for entry in entries:
        fresh = ChatStoreConversations(store)
        assert await fresh.read_entry(entry.id) == entry
        found = await ChatStoreConversations(store).read_history(entry.id)
        assert found == entries[: entries.index(entry) + 1]
    assert [message.content for message in store.get_messages("k")] == ["a"]


@awaited
async def test_two_savers_and_one_wins(store: ChatStore) -> None:
    conversations = ChatStoreConversations(store)
    await conversations.save(talk())
    copies = [await ChatStoreConversations(store).load("k") for _ in range(5)]

    async def save(number: int) -> bool:
        copy = copies[number]
        assert copy is not None
        copy.messages.append(user(f"saver {number}"))
        try:
            await ChatStoreConversations(store).save(copy)
        except ConversationConflict:
            return False
        return True

    assert sum(await asyncio.gather(*map(save, range(5)))) == 1
    assert store.count_messages("k") == 5


@awaited
async def test_what_others_wrote_is_part_of_the_history(store: ChatStore) -> None:
    call = {"block_type": "tool_call", "tool_call_id": "c1", "tool_name": "t", "tool_kwargs": {}}
    written: list[Any] = [
        ChatMessage("Be kind.", role="system"),
        ChatMessage("Hello", id="m1"),
        ChatMessage(role="assistant", blocks=[call]),
        ChatMessage("21 C", role="tool", additional_kwargs={"tool_call_id": "c1"}),
        NativeMessage("openai.responses", {"role": "assistant", "content": "Hi"}),
    ]
    store.add_messages("k", written)
    before = store.get_records("k")
    conversations = ChatStoreConversations(store)
    assert await conversations.list_conversations() == []
    loaded = await conversations.load("k")
    assert loaded is not None
    assert loaded == await conversations.load("k")
    kinds = [part.part_kind for message in loaded.messages for part in message.parts]
    assert kinds == ["system-prompt", "user-prompt", "tool-call", "tool-return", "text"]
    assert "tool_name='t'" in repr(loaded.messages[3])
    result = await Agent(TestModel()).run("And now?", conversation=loaded)
    await conversations.save(result)
    assert store.get_records("k")[:5] == before
    assert store.count_messages("k") == 7
    store.add_message("k", ChatMessage("written since"))
    with pytest.raises(ConversationConflict):
        await conversations.save(result)
    again = await conversations.load("k")
    entries = await conversations.load_entries("k")
    assert again is not None
    assert entries is not None
    # Left, and back: each has the id, the text and the payload that it had.
    records = store.get_records("k")
    branched = await conversations.branch("k", at=2, expected_revision=again.revision)
    fresh = ChatStoreConversations(store)
    back = await fresh.branch("k", from_entry=entries[-1].id, expected_revision=branched.revision)
    assert back.messages == again.messages
    assert await fresh.load_entries("k") == entries
    now = store.get_records("k")
    assert [r.payload for r in now] == [r.payload for r in records]
    assert [r.created_at for r in now] == [r.created_at for r in records]
    assert now[1].id == "m1"


@awaited
async def test_ids_of_others_never_lead_into_another_conversation(store: ChatStore) -> None:
    for key in ("k1", "k2"):
        store.add_messages(key, [ChatMessage(f"of {key}", id="m1")])
    conversations = ChatStoreConversations(store)
    records = [await conversations.read_record(key) for key in ("k1", "k2")]
    for record, key in zip(records, ("k1", "k2")):
        assert record is not None
        [entry] = await conversations.read_history(record.head_id)
        assert content(entry.message) == f"of {key}"


@awaited
async def test_a_record_and_its_history_are_two_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store("sqlite://") as store:
        await ChatStoreConversations(store).save(talk(messages=TURNS * 20))
        asked: list[Any] = []
        execute = store._execute

        def ask(op: Any) -> Any:
            asked.append(op)
            return execute(op)

        monkeypatch.setattr(store, "_execute", ask)
        conversations = ChatStoreConversations(store)
        loaded = await conversations.load("k", limit=3)
        assert [type(op) for op in asked] == [ops.ReadState, ops.Read]
        assert asked[1].window.last == 4
        asked.clear()
        assert loaded is not None
        loaded.messages.append(user("e"))
        await conversations.save(loaded)
        assert [type(op) for op in asked] == [ops.WriteState]


@awaited
async def test_it_goes_with_its_ttl_and_when_it_is_erased() -> None:
    with open_store("sqlite://", ttl=300) as store:
        conversations = ChatStoreConversations(store)
        saved = talk()
        await conversations.save(saved)
        saved = await conversations.branch("k", at=0, expected_revision=saved.revision)
        assert store.get_keys() == []
        assert await conversations.load("k") is not None
        assert store.erase("k") is True
        assert await conversations.load("k") is None


# What goes in comes out

# As the framework's own codec makes them: an image has a class of its own.
files = st.builds(pai.BinaryImage, st.binary(max_size=9), media_type=st.just("image/png"))
prompts = any_text | st.lists(any_text | files, max_size=3)
calls: st.SearchStrategy[Any] = st.builds(
    pai.ToolCallPart,
    any_text,
    st.none() | any_text | st.dictionaries(any_text, json_values),
    any_text,
)
requests: st.SearchStrategy[Any] = st.lists(
    st.builds(pai.SystemPromptPart, any_text)
    | st.builds(pai.UserPromptPart, prompts)
    | st.builds(pai.ToolReturnPart, any_text, json_values, any_text, metadata=json_values),
    max_size=3,
)
responses = st.lists(
    st.builds(pai.TextPart, any_text)
    | st.builds(pai.ThinkingPart, any_text, signature=st.none() | any_text)
    | calls,
    max_size=3,
)
model_messages = st.builds(
    pai.ModelRequest, requests, instructions=st.none() | any_text
) | st.builds(pai.ModelResponse, responses, model_name=st.none() | any_text)


@settings(max_examples=60, deadline=None)
@given(st.lists(model_messages, min_size=1, max_size=3))
def test_messages_come_back_equal_or_are_refused(messages: list[pai.ModelMessage]) -> None:
    async def main() -> None:
        with open_store("memory://") as store:
            conversations = ChatStoreConversations(store)
            try:
                await conversations.save(talk(messages=messages))
            except InvalidMessageError:
                # Only what the framework's own codec would not give back either.
                adapter = pai.ModelMessagesTypeAdapter
                again = adapter.validate_python(adapter.dump_python(messages, mode="json"))
                assert again != messages
                assert store.get_keys() == []
                return
            loaded = await conversations.load("k")
            assert loaded is not None
            assert loaded.messages == messages
            assert len(store.get_messages("k")) == len(messages)
            assert store.check().problems == []

    asyncio.run(main())


class Weather(BaseModel):
    degrees: int


@pytest.mark.parametrize("value", [b"\xff", (1, 2), {1, 2}, Weather(degrees=3), float("nan"), AT])
@awaited
async def test_what_would_be_changed_is_refused_with_its_path(value: Any) -> None:
    with open_store("memory://") as store:
        part = pai.ToolReturnPart("t", {"deep": [value]}, "c1")
        saved = talk(messages=[user("a"), pai.ModelRequest(parts=[part])])
        with pytest.raises(InvalidMessageError, match=r"new_entries\[1\].*deep\[0\]"):
            await ChatStoreConversations(store).save(saved)
        assert store.get_keys() == []
        await ChatStoreConversations(store, as_json=True).save(saved)
        loaded = await ChatStoreConversations(store).load("k")
        assert loaded is not None
        [found] = content(loaded.messages[1])["deep"]
        if isinstance(value, bytes):
            assert base64.urlsafe_b64decode(found) == value
        if isinstance(value, Weather):
            assert found == {"degrees": 3}


@awaited
async def test_a_later_versions_message_is_shown_and_kept(store: ChatStore) -> None:
    later = {
        "kind": "response",
        "parts": [{"part_kind": "text", "content": "Hi"}, {"part_kind": "dream", "of": 1}],
        "future": True,
    }
    odd = {"kind": "request", "parts": [{"part_kind": "wish", "content": "x"}]}
    store.add_messages("k", [NativeMessage("pydantic_ai", x) for x in (later, odd)])
    payloads = [record.payload for record in store.get_records("k")]
    conversations = ChatStoreConversations(store)
    loaded = await conversations.load("k")
    assert loaded is not None
    assert content(loaded.messages[0]) == "Hi"
    loaded.messages.append(user("on"))
    await conversations.save(loaded)
    assert [record.payload for record in store.get_records("k")][:2] == payloads


@awaited
async def test_a_scope_is_text() -> None:
    async with ChatStoreConversations("memory://") as conversations:
        for scope in ("\0", "\ud800"):
            with pytest.raises(ValueError, match="scope"):
                await conversations.save(talk(), scope=scope)
            assert await conversations.list_conversations(scope=scope) == []
        await conversations.save(talk(), scope="")
        assert len(await conversations.list_conversations(scope="")) == 1


@awaited
async def test_streams_and_errors_of_a_model_leave_the_store_alone(store: ChatStore) -> None:
    def fails(messages: list[pai.ModelMessage], info: AgentInfo) -> pai.ModelResponse:
        raise RuntimeError("the model is away")

    conversations = ChatStoreConversations(store)
    await conversations.save(talk())
    loaded = await conversations.load("k")
    with pytest.raises(RuntimeError):
        await Agent(FunctionModel(fails)).run("x", conversation=loaded)
    again = await conversations.load("k")
    assert again is not None
    assert again.messages == TURNS


@awaited
async def test_another_framework_pops_the_last_part(store: ChatStore) -> None:
    parts: list[Any] = [pai.ToolReturnPart("t", f"{n}", f"c{n}") for n in range(3)]
    await ChatStoreConversations(store).save(talk(messages=[pai.ModelRequest(parts=parts)]))
    session = ChatStoreSession("k", store)
    for left in (2, 1, 0):
        item: Any = await session.pop_item()
        assert (item["call_id"], item["output"]) == (f"c{left}", f"{left}")
        shown: list[Any] = list(await session.get_items())
        assert [item["call_id"] for item in shown] == [f"c{n}" for n in range(left)]
    assert store.get_keys() == []


@pytest.mark.parametrize("as_json", [False, True])
@awaited
async def test_what_no_store_keeps_is_refused(as_json: bool) -> None:
    deep: Any = 1
    for _ in range(70):
        deep = [deep]
    with open_store("memory://") as store:
        conversations = ChatStoreConversations(store, as_json=as_json)
        for value, reason in ((deep, "deep"), (10**4300, "4300 digits")):
            part = pai.ToolReturnPart("t", value, "c1")
            with pytest.raises(InvalidMessageError, match=rf"new_entries\[0\].*{reason}"):
                await conversations.save(talk(messages=[pai.ModelRequest(parts=[part])]))
        assert store.get_keys() == []


@awaited
async def test_columns_are_those_of_the_view(store: ChatStore) -> None:
    """Messages of one text take a shorter way, where none is made."""
    image = pai.ImageUrl("https://example.org/i.png")
    odd: list[pai.ModelMessage] = [
        user("a"),
        model("b"),
        pai.ModelResponse(parts=[pai.TextPart("")], timestamp=AT, model_name="m"),
        pai.ModelRequest(parts=[pai.UserPromptPart(["a", image])], instructions="Be kind."),
        pai.ModelRequest(parts=[pai.SystemPromptPart("s")]),
        pai.ModelRequest(parts=[]),
        pai.ModelResponse(parts=[pai.TextPart("a"), pai.ToolCallPart("t", {}, "c1")]),
        pai.ModelRequest(parts=[pai.ToolReturnPart("t", "r", "c1")]),
        pai.ModelResponse(parts=[pai.ThinkingPart("hm")]),
    ]
    await ChatStoreConversations(store).save(talk(messages=odd))
    records = store.get_records("k")
    assert [(r.role, r.kind) for r in records] == [
        ("user", "message"),
        ("assistant", "message"),
        ("assistant", "message"),
        ("user", "message"),
        ("system", "message"),
        ("user", "message"),
        ("assistant", "tool_call"),
        ("tool", "tool_result"),
        ("assistant", "reasoning"),
    ]
    assert store.check().problems == []
