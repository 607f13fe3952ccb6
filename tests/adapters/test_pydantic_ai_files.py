"""`ChatStoreConversations` out of a file: as if nothing had happened."""

from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults
from pydantic_ai.conversation import Conversation
from pydantic_ai.models.test import TestModel

from chatstore import ChatMessage, ChatStore, open_store
from chatstore.adapters.pydantic_ai import ChatStoreConversations
from tests.adapters.test_pydantic_ai import TURNS, agent, awaited, content, model, talk, user

SUFFIXES = [".json", ".jsonl", ".jsonl.gz"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@awaited
async def test_a_conversation_with_branches_goes_on(
    store: ChatStore, tmp_path: Path, suffix: str
) -> None:
    conversations = ChatStoreConversations(store)
    first = await agent().run("Hello", conversation=Conversation(conversation_id="k"))
    entries = await conversations.save(first, scope="alice")
    record = await conversations.read_record("k")
    assert record is not None
    branched = await conversations.branch("k", at=1, expected_revision=record.revision)
    branched.messages.append(model("another answer"))
    await conversations.save(branched, scope="alice")
    left = await conversations.read_record("k")
    assert left is not None
    assert left.branches
    store.export_json(tmp_path / f"out{suffix}")

    with open_store("memory://") as other:
        other.import_json(tmp_path / f"out{suffix}")
        moved = ChatStoreConversations(other)
        assert await moved.read_record("k") == left
        assert left.usage.requests == first.usage.requests > 0
        assert await moved.load_entries("k") == await conversations.load_entries("k")
        assert await moved.list_conversations(scope="alice") == (
            await conversations.list_conversations(scope="alice")
        )
        assert await moved.read_entry(entries[-1].id) == entries[-1]
        assert await moved.read_history(entries[-1].id) == entries
        back = await moved.branch("k", from_entry=entries[-1].id, expected_revision=left.revision)
        assert back.messages == first.all_messages()
        result = await agent().run("Go on", conversation=back)
        await moved.save(result, scope="alice")
        assert [m.content for m in other.get_messages("k")][-2] == "Go on"
        again = await moved.load("k")
        assert again is not None
        assert again.messages == result.all_messages()
        record = await moved.read_record("k")
        assert record is not None
        assert record.branches == [left.head_id]
        assert other.check().problems == []


@awaited
async def test_deferred_requests_wait_in_the_file(store: ChatStore, tmp_path: Path) -> None:
    made: Agent[None, Any] = Agent(TestModel(), output_type=[str, DeferredToolRequests])

    @made.tool_plain(requires_approval=True)
    def delete(path: str) -> str:
        return f"{path} is gone"

    result = await made.run("Delete it", conversation=Conversation(conversation_id="k"))
    await ChatStoreConversations(store).save(result)
    store.export_json(tmp_path / "out.jsonl")
    with open_store("memory://") as other:
        other.import_json(tmp_path / "out.jsonl")
        moved = ChatStoreConversations(other)
        loaded = await moved.load("k")
        assert loaded is not None
        waiting = loaded.deferred_tool_requests
        assert waiting == result.output
        assert waiting is not None
        answers = DeferredToolResults(approvals={waiting.approvals[0].tool_call_id: True})
        result = await made.run(conversation=loaded, deferred_tool_results=answers)
        await moved.save(result)
        again = await moved.load("k")
        assert again is not None
        assert again.messages == result.all_messages()


@awaited
async def test_a_record_without_messages_comes_along(store: ChatStore, tmp_path: Path) -> None:
    await ChatStoreConversations(store).save(talk(messages=[]), scope="alice")
    assert store.export_json(tmp_path / "out.jsonl").conversations == 0
    with open_store("memory://") as other:
        other.import_json(tmp_path / "out.jsonl")
        moved = ChatStoreConversations(other)
        [listed] = await moved.list_conversations(scope="alice")
        assert listed.conversation_id == "k"
        assert other.get_keys() == []
        loaded = await moved.load("k")
        assert loaded is not None
        loaded.messages.append(user("on"))
        await moved.save(loaded)
        assert other.count_messages("k") == 1


@awaited
async def test_what_others_wrote_stays_reachable(store: ChatStore, tmp_path: Path) -> None:
    conversations = ChatStoreConversations(store)
    store.add_message("k", ChatMessage("of another"))
    loaded = await conversations.load("k")
    assert loaded is not None
    await conversations.save(loaded)  # at their head
    store.export_json(tmp_path / "out.jsonl")
    with open_store("memory://") as other:
        other.import_json(tmp_path / "out.jsonl")
        moved = ChatStoreConversations(other)
        entries = await moved.load_entries("k")
        assert entries is not None
        [entry] = entries
        assert content(entry.message) == "of another"
        assert (await moved.read_record("k")).head_id == entry.id  # type: ignore[union-attr]
        again = await moved.load("k")
        assert again is not None
        again.messages.extend(TURNS)
        assert len(await moved.save(again)) == len(TURNS)
        assert other.count_messages("k") == 1 + len(TURNS)


@awaited
async def test_a_history_without_its_record_goes_on(store: ChatStore, tmp_path: Path) -> None:
    conversations = ChatStoreConversations(store)
    await conversations.save(talk())
    store.export_json(tmp_path / "out.jsonl")
    with open_store("memory://") as other:
        other.import_json(tmp_path / "out.jsonl")
        moved = ChatStoreConversations(other)
        loaded = await moved.load("k")
        assert loaded is not None
        loaded.messages.append(user("on"))
        assert len(await moved.save(loaded)) == 1
        assert other.count_messages("k") == 5
