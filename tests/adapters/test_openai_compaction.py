"""The SDK's own compaction over our session: a summary takes the place of what it sums up."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from agents import Runner
from agents.memory import OpenAIResponsesCompactionSession

from chatstore import AsyncChatStore, ChatMessage, open_async_store, open_store
from chatstore.adapters.openai_agents import ChatStoreSession
from tests.adapters.test_openai_session import QUIET, Played, agent, asks, says, user
from tests.processes import in_fork

SUMMARY: Any = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA"}


class Client:
    """Sums up whatever it is sent; `meanwhile` happens while it thinks."""

    def __init__(self, meanwhile: Callable[[], Awaitable[Any]] | None = None) -> None:
        self.responses = self
        self.sent: list[Any] = []
        self._meanwhile = meanwhile

    async def compact(self, **kwargs: Any) -> Any:
        self.sent.append(kwargs)
        if self._meanwhile is not None:
            await self._meanwhile()
        return type("Compacted", (), {"output": [SUMMARY], "usage": None})


def compacting(ours: ChatStoreSession, client: Client) -> OpenAIResponsesCompactionSession:
    return OpenAIResponsesCompactionSession(
        ours.session_id,
        ours,
        client=client,  # type: ignore[arg-type]
        compaction_mode="input",
        should_trigger_compaction=lambda _: True,
    )


async def run(session: Any, question: str = "Oslo?") -> None:
    model = Played(asks("c1"), says("Sunny."))
    await Runner.run(agent(model), question, session=session, run_config=QUIET)


def kinds(items: list[Any]) -> list[str]:
    return [item.get("type", item.get("content")) for item in items]


def test_a_run_and_a_call_compact(url: str) -> None:
    async def main() -> None:
        async with ChatStoreSession("k", url) as ours:
            session = compacting(ours, Client())
            await run(session)
            assert kinds(await session.get_items()) == ["compaction"]
            await session.add_items([user(str(n)) for n in range(3)])
            await session.run_compaction({"force": True})
            assert kinds(await ours.get_items()) == ["compaction"]

    asyncio.run(main())


def test_metadata_and_ttl_stay(url: str) -> None:
    async def main() -> None:
        async with open_async_store(url, ttl=1000) as store:
            ours = ChatStoreSession("k", store)
            await ours.add_items([user("a")])
            await store.set_metadata("k", {"title": "T"})
            await store.set_ttl("k", 500)
            await compacting(ours, Client()).run_compaction({"force": True})
            found = await store.get_conversation("k")
            assert found is not None
            assert (found.count, found.metadata, found.ttl) == (1, {"title": "T"}, 500)

    asyncio.run(main())


@pytest.mark.parametrize("automatic", [True, False])
def test_no_other_sees_an_empty_conversation(url: str, automatic: bool) -> None:
    """A replacement is one operation: nobody can be killed between its halves."""
    seen: list[str] = []

    async def main() -> None:
        async with open_async_store(url) as store:
            ours = ChatStoreSession("k", store)
            await ours.add_items([user("old")])
            session = compacting(ours, Client())
            execute = store._execute

            async def watched(operation: Any) -> Any:
                result = await execute(operation)
                with open_store(url) as other:
                    if not other.count_messages("k"):
                        seen.append(type(operation).__name__)
                return result

            store._execute = watched  # type: ignore[method-assign]
            if automatic:
                await run(session)
            else:
                await session.run_compaction({"force": True})
            store._execute = execute  # type: ignore[method-assign]
            assert kinds(await ours.get_items()) == ["compaction"]

    asyncio.run(main())
    assert seen == []


def compact_and_die_when_cleared(url: str) -> None:
    clear = ChatStoreSession.clear_session

    async def clear_and_die(self: ChatStoreSession) -> None:
        await clear(self)
        os._exit(9)

    async def main() -> None:
        async with ChatStoreSession("k", url) as ours:
            await compacting(ours, Client()).run_compaction({"force": True})

    ChatStoreSession.clear_session = clear_and_die  # type: ignore[method-assign]
    asyncio.run(main())


def test_whoever_is_killed_while_compacting_loses_nothing(url: str) -> None:
    async def fill() -> None:
        async with ChatStoreSession("k", url) as ours:
            await ours.add_items([user("old"), user("older")])

    asyncio.run(fill())
    assert in_fork(compact_and_die_when_cleared, url) == 0
    with open_store(url) as store:
        [record] = store.get_records("k")
        assert '"compaction"' in record.payload


def test_what_others_add_meanwhile_is_kept(url: str) -> None:
    """The summary takes seconds to come, and others go on; it is then thrown away."""

    async def main() -> None:
        async with open_async_store(url) as store, open_async_store(url) as other:
            ours = ChatStoreSession("k", store)

            async def meanwhile() -> None:
                await other.add_message("k", ChatMessage("from elsewhere"))

            await run(compacting(ours, Client(meanwhile)))
            items = await ours.get_items()
            assert items[-1] == user("from elsewhere")
            assert kinds(items[:3]) == ["Oslo?", "reasoning", "function_call"]
            await run(compacting(ours, Client()), "And now?")
            assert "Oslo?" in kinds(await ours.get_items())  # of which the summary knows nothing

    asyncio.run(main())


def test_a_summary_of_the_end_keeps_the_beginning(url: str) -> None:
    """What the SDK asks for when the model was shown only the end of a conversation."""

    async def main() -> None:
        async with open_async_store(url) as store:
            ours = ChatStoreSession("k", store)
            await ours.add_items([user(str(n)) for n in range(6)])
            before = await store.get_records("k")
            assert await ours._get_compaction_snapshot(5) is None
            snapshot = await ours._get_compaction_snapshot(6)
            assert (snapshot.complete, len(snapshot.items)) == (True, 6)
            assert await snapshot.replace_suffix(4, [SUMMARY])
            assert not await snapshot.replace_suffix(4, [SUMMARY])  # it has changed since
            after = await store.get_records("k")
            assert kinds(await ours.get_items()) == ["0", "1", "2", "3", "compaction"]
            times = [record.created_at for record in before[:4]]
            assert [record.created_at for record in after[:4]] == times

    asyncio.run(main())


def test_who_shows_other_items_than_it_keeps_is_not_bypassed() -> None:
    class Loud(ChatStoreSession):
        async def add_items(self, items: list[Any]) -> None:
            loud: list[Any] = [{**item, "loud": True} for item in items]
            await super().add_items(loud)

    async def main(store: AsyncChatStore) -> None:
        ours = Loud("k", store)
        await ours.add_items([user("old")])
        assert await ours._get_compaction_snapshot(9) is None
        await compacting(ours, Client()).run_compaction({"force": True})
        assert await ours.get_items() == [{**SUMMARY, "loud": True}]

    asyncio.run(main(open_async_store("memory://")))


def test_messages_of_others_are_not_cut_in_pieces() -> None:
    async def main(store: AsyncChatStore) -> None:
        ours = ChatStoreSession("k", store)
        await ours.add_items([user("a")])
        await store.archive_messages("k", 1)
        assert await ours._get_compaction_snapshot(9) is None
        await store.add_message("b", ChatMessage("a"))
        assert await ChatStoreSession("b", store)._get_compaction_snapshot(9) is None
        assert await ChatStoreSession("none", store)._get_compaction_snapshot(9) is None

    asyncio.run(main(open_async_store("memory://")))
