"""What a message may hold, and what comes back."""

import enum
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstore import ChatMessage, ChatStore, NativeMessage
from chatstore.messages import text_block
from chatstore.testing.conformance.base import KEY, Base, describe, say

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

    def test_a_long_text_comes_back(self, store: ChatStore) -> None:
        text = "0123456789é😀\0 " * 150_000  # as JSON, more than any page of a long conversation
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

    def test_a_message_may_be_without_content(self, store: ChatStore) -> None:
        messages = [ChatMessage(), ChatMessage(""), ChatMessage([text_block("a"), text_block("b")])]
        store.add_messages(KEY, messages)
        assert store.get_messages(KEY) == messages
        assert [message.content for message in store.get_messages(KEY)] == [None, "", "a\nb"]

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
