"""What no message may hold."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from chatstore import ChatMessage, ChatStore, InvalidMessageError, NativeMessage
from chatstore.messages import text_block
from chatstore.testing.conformance.base import KEY, Base, held, say, seen

REFUSED: dict[str, tuple[Any, str]] = {
    "nan": (float("nan"), ""),
    "infinity": ([float("inf")], r"\[0\]"),
    "minus infinity": ({"a": {"b": [0, float("-inf")]}}, r"\.a\.b\[1\]"),
    "object": (object(), ""),
    "bytes": ({"a": b"x"}, r"\.a"),
    "tuple": ([(1, 2)], r"\[0\]"),
    "set": ({"a": [{1}]}, r"\.a\[0\]"),
    "frozenset": (frozenset(), ""),
    "datetime": ({"a": datetime.now(UTC)}, r"\.a"),
    "decimal": (Decimal("1.5"), ""),
    "integer key": ({"a": {1: 2}}, r"\.a"),
    "none key": ({None: 1}, ""),
    "message": ([ChatMessage("a")], r"\[0\]"),
    "complex": (1j, ""),
    "generator": (iter([]), ""),
    "endless integer": (10**5000, ""),
    "two halves": (["é", "\ud83d\ude00"], r"\[1\]"),
    "a name of two halves": ({"a": {"\ud83d\ude00": 1}}, r"\.a"),
}
"""What JSON cannot hold, and the path to it from where it is put."""


class Refusing(Base):
    """What could not come back as it went in is refused at the write, by its path."""

    def test_halves_that_json_would_join_are_refused(self, store: ChatStore) -> None:
        for text in ("\ud83d\ude00", "\ud800\udc00\ud800", "é\ud83d\ud83d\ude00"):
            with pytest.raises(InvalidMessageError, match=r"^message\.blocks\[0\]\.text holds"):
                store.add_message(KEY, ChatMessage(text))
        joined = "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        store.add_message(KEY, ChatMessage(joined))
        assert held(store) == ["😀"]

    def test_an_error_can_be_printed_whatever_a_name_holds(self, store: ChatStore) -> None:
        for name in ("\ud800", "\x1b[31m", "n" * 100_000):
            with pytest.raises(InvalidMessageError) as caught:
                store.add_message(KEY, ChatMessage("a", additional_kwargs={name: {"a": {1}}}))
            assert str(caught.value).isprintable()
            assert len(str(caught.value)) < 1000

    @pytest.mark.parametrize("role", ["\0", "a\0b", "\ud800"], ids=ascii)
    def test_a_role_that_is_no_word_is_refused(self, store: ChatStore, role: str) -> None:
        message = ChatMessage("a")
        message.role = role
        with pytest.raises(InvalidMessageError, match="role"):
            store.add_message(KEY, message)
        with pytest.raises(InvalidMessageError):
            store.add_message(KEY, NativeMessage("openai.chat", {"role": role, "content": "a"}))
        assert store.get_keys() == []

    @pytest.mark.parametrize(("value", "where"), REFUSED.values(), ids=REFUSED)
    def test_what_json_cannot_hold_is_refused(
        self, store: ChatStore, value: Any, where: str
    ) -> None:
        store.add_message(KEY, ChatMessage("old"))
        before = seen(store)
        bad = ChatMessage("a", additional_kwargs={"x": value})
        path = rf"\.additional_kwargs\.x{where}"
        with pytest.raises(InvalidMessageError, match=rf"^message{path}"):
            store.add_message(KEY, bad)
        with pytest.raises(InvalidMessageError, match=rf"^message{path}"):
            store.add_message(KEY, bad, 0)
        with pytest.raises(InvalidMessageError, match=rf"^message{path}"):
            store.update_message(KEY, 0, bad)
        with pytest.raises(InvalidMessageError, match=rf"^messages\[1\]{path}"):
            store.add_messages(KEY, [ChatMessage("b"), bad])
        with pytest.raises(InvalidMessageError, match=rf"^messages\[0\]{path}"):
            store.set_messages(KEY, [bad])
        block = {"block_type": "x", "x": value}
        with pytest.raises(InvalidMessageError, match=rf"^message\.blocks\[1\]\.x{where}"):
            store.add_message(KEY, ChatMessage([text_block("a"), block]))
        assert seen(store) == before

    @pytest.mark.parametrize(
        ("message", "words"),
        [
            (
                NativeMessage("openai.chat", {"role": "user", "content": "a", "x": [{"y": b""}]}),
                r"\.payload\.x\[0\]\.y is of type bytes",
            ),
            (
                NativeMessage("openai.chat", {"content": "a"}),
                r"\.payload is no openai\.chat message",
            ),
            (NativeMessage("openai.chat", []), r"\.payload is no dict"),  # type: ignore[arg-type]
            (NativeMessage("nobody's", {}), ": no format is called"),
            ("a", r" is a str; use ChatMessage\("),
            (datetime(2020, 1, 1), r" is a datetime\.datetime; use chatstore\.ChatMessage"),  # noqa: DTZ001
        ],
        ids=["bytes", "no role", "list", "format", "str", "another's class"],
    )
    def test_an_error_says_which_message_it_is(
        self, store: ChatStore, message: Any, words: str
    ) -> None:
        with pytest.raises(InvalidMessageError, match=rf"^message{words}"):
            store.add_message(KEY, message)
        with pytest.raises(InvalidMessageError, match=rf"^messages\[2\]{words}"):
            store.add_messages(KEY, [*say("a", "b"), message])
        with pytest.raises(InvalidMessageError, match=rf"^messages\[1\]{words}"):
            store.set_messages(KEY, [*say("a"), message])
        assert store.get_keys() == []

    def test_what_is_nested_without_end_is_refused(self, store: ChatStore) -> None:
        endless: list[Any] = []
        endless.append(endless)
        deep: Any = None
        for _ in range(100_000):
            deep = [deep]
        for value in (endless, deep):
            with pytest.raises(InvalidMessageError, match="deep"):
                store.add_message(KEY, ChatMessage("a", additional_kwargs={"x": value}))
        assert store.get_keys() == []
        while deep:  # else its deallocation recurses
            deep = deep.pop()

    def test_what_is_stored_can_be_read(self, store: ChatStore) -> None:
        spoilt = ChatMessage("a")
        spoilt.__pydantic_extra__ = {"content": "b"}
        with pytest.raises(InvalidMessageError, match=r"^message\.content"):
            store.add_message(KEY, spoilt)
        store.add_message(KEY, ChatMessage("a").model_copy(update={"content": "b"}))
        assert store.get_messages(KEY) == say("b")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("role", ""),
            ("role", None),
            ("role", 5),
            ("blocks", None),
            ("blocks", "text"),
            ("blocks", ["text"]),
            ("blocks", [{"text": "a"}]),
            ("blocks", [{"block_type": 5}]),
            ("additional_kwargs", None),
            ("additional_kwargs", []),
            ("created_at", datetime(2020, 1, 1)),  # noqa: DTZ001
            ("created_at", "2020-01-01"),
        ],
        ids=repr,
    )
    def test_a_message_that_was_spoilt_is_refused(
        self, store: ChatStore, field: str, value: Any
    ) -> None:
        message = ChatMessage("a")
        setattr(message, field, value)
        with pytest.raises(InvalidMessageError, match=field):
            store.add_message(KEY, message)
        with pytest.raises(InvalidMessageError, match=rf"messages\[0\].*{field}"):
            store.set_messages(KEY, [message])
        assert store.get_keys() == []
