"""Records that cannot be decoded, and their neighbours."""

import pytest

from chatstore import (
    ChatMessage,
    ChatStore,
    DuplicateMessageError,
    InvalidMessageError,
    UndecodableMessage,
)
from chatstore.testing.backend import Backend
from chatstore.testing.conformance.base import KEY, Base, OpenStore, describe, held, say

DAMAGE = {
    "a newer format": ("chatstore/99", '{"who":"user","said":"secret"}'),
    "a format without a name": ("", "{}"),
    "no JSON": ("chatstore", '{"role":"user","blocks":[{"text":"secret'),
    "nothing": ("chatstore", ""),
    "a number": ("chatstore", "5"),
    "null": ("chatstore", "null"),
    "a list": ("chatstore", "[]"),
    "no role": ("chatstore", '{"role":null,"additional_kwargs":{},"blocks":[]}'),
    "an empty role": ("chatstore", '{"role":"","additional_kwargs":{},"blocks":[]}'),
    "blocks without a type": ("chatstore", '{"role":"user","blocks":[{"text":"secret"}]}'),
    "blocks that are none": ("chatstore", '{"role":"user","blocks":"secret"}'),
    "an abyss": ("chatstore", "[" * 100_000),
    "another's damage": ("openai.chat", '{"role":"user","content":{"secret":1}}'),
}


class Undecodable(Base):
    """A damaged or newer record hides nothing but itself."""

    @pytest.fixture(params=[*DAMAGE.values()], ids=[*DAMAGE])
    def damage(self, request: pytest.FixtureRequest) -> tuple[str, str]:
        """A format and a payload."""
        found: tuple[str, str] = request.param
        return found

    @pytest.fixture
    def damaged(self, store: ChatStore, backend: Backend, damage: tuple[str, str]) -> ChatStore:
        """A conversation whose second message of three is damaged."""
        store.add_messages(KEY, [ChatMessage("a"), ChatMessage("secret", id="m1")])
        backend.put_raw(KEY, *damage)
        store.add_message(KEY, ChatMessage("c"))
        return store

    def test_it_comes_back_raw_between_its_neighbours(
        self, damaged: ChatStore, damage: tuple[str, str]
    ) -> None:
        for messages in (
            damaged.get_messages(KEY),
            damaged.get_messages(KEY, last=3),
            list(damaged.iter_messages(KEY)),
            [record.message for record in damaged.get_records(KEY)],
        ):
            first, found, last = messages
            assert (first, last) == (ChatMessage("a"), ChatMessage("c"))
            assert isinstance(found, UndecodableMessage)
            assert (found.format, found.raw) == damage
            assert (found.id, found.blocks, found.content) == ("m1", [], None)
            assert found.error
            assert "secret" not in found.error
        record = damaged.get_records(KEY)[1]
        assert (record.id, record.format, record.payload) == ("m1", *damage)

    def test_the_other_calls_go_on(self, damaged: ChatStore, damage: tuple[str, str]) -> None:
        assert damaged.count_messages(KEY) == 3
        assert isinstance(damaged.get_message(KEY, 1), UndecodableMessage)
        assert len(damaged.archive_messages(KEY, 2)) == 2
        assert damaged.copy_conversation(KEY, "fork") == 3
        assert [record.payload for record in damaged.get_records("fork")][1] == damage[1]
        removed = damaged.delete_message(KEY, 1)
        assert isinstance(removed, UndecodableMessage)
        assert removed.raw == damage[1]
        assert held(damaged) == ["a", "c"]
        replaced = damaged.update_message("fork", 1, ChatMessage("new"))
        assert isinstance(replaced, UndecodableMessage)
        assert held(damaged, "fork") == ["a", "new", "c"]

    def test_a_retry_of_it_is_other_content(self, damaged: ChatStore) -> None:
        with pytest.raises(DuplicateMessageError):
            damaged.add_message(KEY, ChatMessage("secret", id="m1"))
        assert damaged.count_messages(KEY) == 3

    def test_it_cannot_be_written_back_by_accident(self, damaged: ChatStore) -> None:
        with pytest.raises(InvalidMessageError, match=r"messages\[1\].*could not be decoded"):
            damaged.set_messages(KEY, damaged.get_messages(KEY))
        assert damaged.count_messages(KEY) == 3

    def test_check_finds_it(self, damaged: ChatStore) -> None:
        report = damaged.check()
        assert not report.ok
        assert any(KEY in problem and "m1" in problem for problem in report.problems)
        assert not any("secret" in problem for problem in report.problems)
        assert isinstance(damaged.get_message(KEY, 1), UndecodableMessage)

    def test_strict_raises_for_it(
        self, backend: Backend, open_store: OpenStore, damage: tuple[str, str]
    ) -> None:
        store = open_store(strict=True)
        store.add_messages(KEY, say("a", "secret"))
        backend.put_raw(KEY, *damage)
        for read in (
            lambda: store.get_messages(KEY),
            lambda: store.get_records(KEY),
            lambda: store.get_message(KEY, 1),
            lambda: list(store.iter_messages(KEY)),
        ):
            with pytest.raises(InvalidMessageError) as caught:
                read()
            assert "secret" not in str(caught.value)
        assert store.get_messages(KEY, stop=1) == say("a")

    def test_strict_does_not_lose_what_a_write_returns(
        self, backend: Backend, open_store: OpenStore, damage: tuple[str, str]
    ) -> None:
        store = open_store(strict=True)
        store.add_messages(KEY, say("a", "secret"))
        backend.put_raw(KEY, *damage)
        archived = store.archive_messages(KEY, 2)
        assert isinstance(archived[1], UndecodableMessage)
        removed = store.delete_last_message(KEY)
        assert isinstance(removed, UndecodableMessage)
        assert removed.raw == damage[1]
        assert describe(store).count == 1
