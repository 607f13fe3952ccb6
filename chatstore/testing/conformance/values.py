"""What a message may hold, and what comes back."""

import enum
from collections import OrderedDict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstore import ChatMessage, ChatStore, InvalidMessageError, NativeMessage
from chatstore.messages import text_block
from chatstore.testing.conformance.base import KEY, Base, describe, held, say, seen

ODD_TEXTS = {
    "empty": "",
    "space": " \t\r\n ",
    "nul": "\0",
    "nul inside": "a\0b",
    "controls": "".join(map(chr, range(32))) + "\x7f\x80\x9f",
    "lone high": "\ud800",
    "lone low": "a\udfffb",
    "turned pair": "\udc00\ud800",
    "separators": "a\u2028b\u2029c\x85d",
    "nfc": "café",
    "nfd": "cafe\u0301",
    "bom": "\ufeffa\ufffe\uffff",
    "astral": "😀\U0010ffff👩‍👩‍👧",
    "bidi": "a\u202eb\u2066c\u200b",
    "escape": "\x1b[31mred\x1b[0m",
    "json": '{"role": "user", "\\u0000": "\\ud800"}',
    "sql": "'; DROP TABLE chatstore_message; --",
    "backslashes": "\\\\\"'`\\u0000\\x00",
    "percent": "%s %(a)s :a ?1 $1 {0}",
}

KEPT: dict[str, Any] = {
    "null": None,
    "booleans": [True, False],
    "integers": [0, -1, 2**31, 2**53 + 1, 2**63, -(2**63), 2**64 + 1, 10**40, -(10**400)],
    "floats": [0.0, -0.0, 0.1, 1e-320, 1.7976931348623157e308, 5e-324, 1e16, 123456789.123456789],
    "texts": list(ODD_TEXTS.values()),
    "names": dict.fromkeys(ODD_TEXTS.values()),
    "order": {"b": 1, "a": 2, "": 3, "B": 4},
    "empty": [{}, [], "", [[]], {"": {}}],
    "deep": {"a": [{"b": [{"c": [[[[{"d": None}]]]]}]}]},
}

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

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class _Named(str, enum.Enum):  # noqa: UP042 - see below
    CHAT = "openai.chat"


def repeated(value: Any) -> str:
    """The value, with what `==` overlooks: types, the sign of zero, the order of names."""
    return repr(value)


class Values(Base):
    """Whatever JSON can hold comes back as it went in; all else is refused."""

    @pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS)
    def test_a_text_comes_back(self, store: ChatStore, text: str) -> None:
        store.add_message(KEY, ChatMessage(text))
        store.set_messages("other", say(text, "a"))
        store.update_message("other", 1, ChatMessage(text, role="assistant"))
        (message,) = store.get_messages(KEY)
        assert message.blocks == [text_block(text)]
        assert store.get_records(KEY)[0].text == text
        assert [m.content for m in store.iter_messages("other")] == [text, text]
        assert store.delete_message(KEY, 0) == ChatMessage(text)

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

    def test_a_long_text_comes_back(self, store: ChatStore) -> None:
        text = "0123456789é😀\0 " * 350_000
        store.add_message(KEY, ChatMessage(text))
        assert store.get_messages(KEY, last=1) == say(text)

    @pytest.mark.parametrize("value", KEPT.values(), ids=KEPT)
    def test_a_value_comes_back(self, store: ChatStore, value: Any) -> None:
        block = {"block_type": "from/the/future", "value": value}
        message = ChatMessage([block], additional_kwargs={"value": value}, later=value)
        store.add_message(KEY, message)
        (read,) = store.get_messages(KEY)
        assert read == message
        assert repeated(read.blocks) == repeated([block])
        assert repeated(read.additional_kwargs) == repeated({"value": value})
        assert repeated(getattr(read, "later", None)) == repeated(value)

    def test_anything_comes_back(self, store: ChatStore) -> None:
        @settings(max_examples=40, deadline=None)
        @given(text=st.text(st.characters()), value=JSON)
        def comes_back(text: str, value: Any) -> None:
            message = ChatMessage([text_block(text)], additional_kwargs={"value": value})
            store.set_messages(KEY, [message])
            (read,) = store.get_messages(KEY)
            assert repeated(read.blocks) == repeated(message.blocks)
            assert repeated(read.additional_kwargs["value"]) == repeated(value)

        comes_back()

    @pytest.mark.parametrize(
        "role", ["user", "system", "tool", "developer", "chatbot", "Ω😀", "a b"]
    )
    def test_any_word_is_a_role(self, store: ChatStore, role: str) -> None:
        store.add_message(KEY, ChatMessage("a", role=role))
        assert store.get_messages(KEY)[0].role == role
        assert store.get_records(KEY)[0].role == role

    @pytest.mark.parametrize("role", ["\0", "a\0b", "\ud800"], ids=ascii)
    def test_a_role_that_is_no_word_is_refused(self, store: ChatStore, role: str) -> None:
        message = ChatMessage("a")
        message.role = role
        with pytest.raises(InvalidMessageError, match="role"):
            store.add_message(KEY, message)
        with pytest.raises(InvalidMessageError):
            store.add_message(KEY, NativeMessage("openai.chat", {"role": role, "content": "a"}))
        assert store.get_keys() == []

    def test_a_message_may_be_without_content(self, store: ChatStore) -> None:
        messages = [ChatMessage(), ChatMessage(""), ChatMessage([text_block("a"), text_block("b")])]
        store.add_messages(KEY, messages)
        assert store.get_messages(KEY) == messages
        assert [message.content for message in store.get_messages(KEY)] == [None, "", "a\nb"]

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
            ("a", " is a str"),
        ],
        ids=["bytes", "no role", "list", "format", "str"],
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

    def test_subclasses_of_json_types_are_kept_as_those(self, store: ChatStore) -> None:
        class Color(enum.StrEnum):
            RED = "red"

        class Level(enum.IntEnum):
            ONE = 1

        extra = {"color": Color.RED, "level": Level.ONE, "map": OrderedDict(a=1)}
        store.add_message(KEY, ChatMessage("a", additional_kwargs=extra))
        read = store.get_messages(KEY)[0].additional_kwargs
        assert repeated(read) == repeated({"color": "red", "level": 1, "map": {"a": 1}})

    def test_a_member_of_an_enum_is_its_text(self, store: ChatStore) -> None:
        class Word(str, enum.Enum):  # noqa: UP042 - a format string shows the name of such a one
            A = "alpha"

        message = ChatMessage("a")
        message.role, message.id = Word.A, Word.A
        ids = [store.add_message(Word.A, message), *store.add_messages(Word.A, say("b"))]
        store.add_message("alpha", ChatMessage("c", role="alpha"))
        store.add_message("alpha", NativeMessage(_Named.CHAT, {"role": "user", "content": "d"}))
        records = store.get_records("alpha")
        found = [
            *store.get_keys(prefix=Word.A),
            *store.get_keys(),
            *(conversation.key for conversation in store.get_conversations()),
            describe(store, Word.A).key,
            *(record.role for record in records[:3:2]),
            *(message.role for message in store.get_messages("alpha")[:3:2]),
            records[0].id,
            ids[0],
        ]
        assert [(type(text), text) for text in found] == [(str, "alpha")] * len(found)
        assert type(records[3].format) is str
        assert records[3].format == "openai.chat"
        assert store.check().problems == []

    def test_fields_of_a_subclass_are_kept(self, store: ChatStore) -> None:
        class Signed(ChatMessage):
            name: str

        store.add_message(KEY, Signed(content="a", name="Ada"))
        (read,) = store.get_messages(KEY)
        assert getattr(read, "name", None) == "Ada"

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
