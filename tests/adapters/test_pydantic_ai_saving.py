"""What a save through Pydantic AI asks of the store: one write, where nobody came between."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.conversation import Conversation
from pydantic_ai.conversation_store import ConversationConflict
from pydantic_ai.models.test import TestModel
from pydantic_ai.usage import RunUsage

from chatstore import ChatMessage, ChatStore, open_async_store
from chatstore import operations as ops
from chatstore.adapters.pydantic_ai import ChatStoreConversations
from chatstore.adapters.pydantic_ai_hints import LONGEST
from tests.adapters.test_pydantic_ai import TURNS, awaited, model, talk, user

Asked = list[type[ops.Operation[Any]]]


@contextmanager
def asking(store: ChatStore) -> Iterator[Asked]:
    """The operations that a store is asked for."""
    asked: Asked = []
    execute = store._execute

    def ask(op: Any) -> Any:
        asked.append(type(op))
        return execute(op)

    store._execute = ask  # type: ignore[method-assign, assignment]
    yield asked
    store._execute = execute  # type: ignore[method-assign]


async def grown(conversations: ChatStoreConversations, id: str = "k") -> Conversation:
    """The conversation as it is stored, with one message more."""
    loaded = await conversations.load(id)
    assert loaded is not None
    loaded.messages.append(user("more"))
    return loaded


@pytest.mark.parametrize("as_json", [False, True])
@awaited
async def test_a_save_is_one_write(store: ChatStore, as_json: bool) -> None:
    conversations = ChatStoreConversations(store, as_json=as_json)
    saved = talk()
    with asking(store) as asked:
        await conversations.save(saved, scope="alice")
        for number in range(3):
            saved.messages += [user(f"{number}"), model("yes")]
            saved.usage.requests += 1
            await conversations.save(saved)
    assert asked == [ops.WriteState] * 4
    assert store.count_messages("k") == len(TURNS) + 6
    record = await ChatStoreConversations(store).read_record("k")
    assert record is not None
    assert (record.usage.requests, record.scope) == (3, "alice")
    assert record.revision == saved.revision
    assert await conversations.read_record("k") == record


@awaited
async def test_a_turn_is_a_load_and_a_write(store: ChatStore) -> None:
    agent: Agent[None, str] = Agent(TestModel())
    await ChatStoreConversations(store).save(talk())
    conversations = ChatStoreConversations(store)
    for _ in range(3):
        with asking(store) as asked:
            loaded = await conversations.load("k")
            result = await agent.run("And?", conversation=loaded)
            entries = await conversations.save(result)
        assert asked == [ops.ReadState, ops.Read, ops.WriteState]
        assert len(entries) == 2
    with asking(store) as asked:
        await conversations.save(await agent.run("Anew"))
    assert asked == [ops.WriteState]


@awaited
async def test_usage_that_goes_on_is_not_what_was_stored(store: ChatStore) -> None:
    conversations = ChatStoreConversations(store)
    saved = talk()
    saved.usage = RunUsage(requests=1)
    await conversations.save(saved)
    saved.usage.requests = 7  # of a run that is not saved
    record = await conversations.read_record("k")
    assert record is not None
    assert record.usage.requests == 1
    record.usage.requests = 8
    record.branches.append("not one")
    saved.messages.append(user("more"))
    await conversations.save(saved)
    again = await ChatStoreConversations(store).read_record("k")
    assert again is not None
    assert (again.usage.requests, again.branches) == (7, [])


@awaited
async def test_what_a_fork_tells_of_itself_stays(store: ChatStore) -> None:
    conversations = ChatStoreConversations(store)
    entries = await conversations.save(talk())
    await conversations.fork("k", at=2, new_conversation_id="fork", scope="bob")
    for _ in range(2):
        await conversations.save(await grown(conversations, "fork"))
    record = await ChatStoreConversations(store).read_record("fork")
    assert record is not None
    assert (record.forked_from, record.forked_at) == ("k", entries[1].id)
    assert record.scope == "bob"
    # Branched, by the memory of one that saved since.
    loaded = await grown(conversations)
    branched = await conversations.branch("k", at=1, expected_revision=loaded.revision)
    for number in range(2):
        branched.messages.append(user(f"{number}"))
        await conversations.save(branched)
    record = await ChatStoreConversations(store).read_record("k")
    assert record is not None
    assert record.branches == [entries[-1].id]
    assert [e.message for e in await conversations.read_history(record.branches[0])] == TURNS


@awaited
async def test_a_memory_that_is_stale_harms_nobody(store: ChatStore) -> None:
    mine, yours = ChatStoreConversations(store), ChatStoreConversations(store)
    saved = talk()
    await mine.save(saved)
    await yours.save(await grown(yours))
    # What was loaded elsewhere is saved here, where an older one was seen.
    await mine.save(await grown(yours))
    assert store.count_messages("k") == len(TURNS) + 2
    saved.messages.append(user("late"))
    with pytest.raises(ConversationConflict):
        await mine.save(saved)
    assert store.count_messages("k") == len(TURNS) + 2
    await mine.save(await grown(mine))
    # Another framework writes, and the rewritten history is compared with what is there.
    loaded = await grown(mine)
    store.add_message("k", ChatMessage("of another"))
    loaded.messages[0] = user("rewritten")
    with pytest.raises(ConversationConflict):
        await mine.save(loaded)
    loaded = await grown(mine)
    await mine.save(loaded)
    found = await yours.load("k")
    assert found is not None
    assert found.messages == loaded.messages


@awaited
async def test_a_conversation_that_is_gone_or_there(store: ChatStore) -> None:
    mine, yours = ChatStoreConversations(store), ChatStoreConversations(store)
    saved = talk()
    await mine.save(saved)
    store.delete_messages("k")
    saved.messages.append(user("more"))
    with pytest.raises(ConversationConflict):
        await mine.save(saved)
    assert store.get_keys() == []
    await yours.save(talk())
    for conversations in (mine, yours, ChatStoreConversations(store)):
        with pytest.raises(ConversationConflict):
            await conversations.save(talk())
    await yours.delete("k")
    await mine.save(talk())  # it remembers one of another life
    store.add_message("other", ChatMessage("of another"))
    with pytest.raises(ConversationConflict):
        await mine.save(talk("other"))
    await mine.save(await grown(mine, "other"))
    assert store.count_messages("other") == 2
    assert store.check().problems == []


@awaited
async def test_another_scope_is_refused(store: ChatStore) -> None:
    conversations = ChatStoreConversations(store)
    saved = talk()
    await conversations.save(saved, scope="alice")
    saved.messages.append(user("more"))
    with pytest.raises(ConversationConflict):
        await conversations.save(saved, scope="bob")
    await conversations.save(saved, scope="alice")
    assert store.count_messages("k") == len(TURNS) + 1


@awaited
async def test_a_long_record_is_read_again(store: ChatStore) -> None:
    conversations = ChatStoreConversations(store)
    saved = talk()
    saved.usage.details = {f"kind {n}": n for n in range(LONGEST // 8)}
    await conversations.save(saved)
    saved.messages.append(user("more"))
    with asking(store) as asked:
        await conversations.save(saved)
        await grown(conversations)
        await conversations.save(await grown(conversations))
    assert asked.count(ops.WriteState) == 2
    assert asked[:2] == [ops.ReadState, ops.WriteState]
    assert asked[-2:] == [ops.ReadState, ops.WriteState]


@awaited
async def test_saves_of_tasks_do_not_mix(store: ChatStore) -> None:
    conversations = ChatStoreConversations(store)
    talks = [talk(f"k{number}") for number in range(8)]
    for turn in range(3):
        await asyncio.gather(*map(conversations.save, talks))
        for number, one in enumerate(talks):
            one.messages.append(user(f"{turn} of {number}"))
    # The same object at once: one wins, and the others are told so.
    saves = [conversations.save(talks[0]) for _ in range(4)]
    results = await asyncio.gather(*saves, return_exceptions=True)
    assert sum(isinstance(result, list) for result in results) == 1
    assert sum(isinstance(result, ConversationConflict) for result in results) == 3
    assert store.count_messages("k0") == len(TURNS) + 3


@awaited
async def test_a_save_that_is_cancelled_is_done_or_not_begun(url: str) -> None:
    async with open_async_store(url) as store:
        conversations = ChatStoreConversations(store)
        await conversations.save(talk())
        for steps in range(12):
            loaded = await grown(conversations)
            before = await store.count_messages("k")
            loaded.messages.append(model(f"{steps}"))
            task = asyncio.ensure_future(conversations.save(loaded))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            count = await store.count_messages("k")
            assert count in (before, before + 2)
            assert len(await conversations.load_entries("k") or []) == count
        assert (await store.check()).problems == []


class Watched(ChatStoreConversations):
    """One that looks at what it is asked, as an application may make it."""

    def __init__(self, store: ChatStore) -> None:
        super().__init__(store)
        self.seen: list[str] = []

    async def read_record(self, conversation_id: str) -> Any:
        self.seen.append("read")
        return await super().read_record(conversation_id)

    async def write_record(self, record: Any, **options: Any) -> None:
        self.seen.append("write")
        await super().write_record(record, **options)


@awaited
async def test_a_subclass_is_asked_as_ever(store: ChatStore) -> None:
    conversations = Watched(store)
    saved = talk()
    await conversations.save(saved)
    saved.messages.append(user("more"))
    await conversations.save(saved)
    assert conversations.seen == ["read", "write"] * 2
