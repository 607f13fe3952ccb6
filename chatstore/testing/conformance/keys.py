"""What a key may be."""

from contextlib import suppress
from typing import Any

import pytest

from chatstore import ChatStore, ConflictError, InvalidKeyError
from chatstore.testing.conformance.base import Base, describe, held, say
from chatstore.testing.conformance.calls import OF_A_KEY

GOOD = [
    "a", "A", "a ", " a", " ", "\n", "\t", "\x01", "\x7f", "a:b", "a::b", ":", "a,b", "a/b", "../a",
    "*", "a*", "%", "a%", "_", "?", "[a-z]", "{}", "{a}", "}{", "{", "}", "a}{b", "\\", "\\x00",
    "'", '"', "`", ";", "'; DROP TABLE chatstore_message; --", "$1", ":key", "?1", "%s", "%(key)s",
    "NULL", "0", "1", "-1", "a\u2028b", "é", "e\u0301", "É", "ß", "ẞ", "I", "i", "\u0130", "\u0131",
    "\ufeff", "\u200b", "\ud7ff", "\ue000", "\uffff", "\U0010ffff", "😀", "👩‍👩‍👧", "日本", "मानक",
    "chatstore", "chatstore:", "x" * 1024, "é" * 512, "😀" * 256,
]  # fmt: skip

ODDEST = ["%", "a}{b", "\\", "'; DROP TABLE chatstore_message; --", "\uffff", "😀" * 256]

BAD: list[Any] = ["", "\0", "a\0", "\0a", "\ud800", "a\udfffb", "x" * 1025, "é" * 513, "😀" * 257,
                  None, 5, b"a", ["a"]]  # fmt: skip


def _name(value: object) -> str:
    shown = ascii(value)
    return shown if len(shown) < 40 else f"{shown[:20]}…{len(shown)}"


class KeyLimits(Base):
    """1 to 1 024 bytes of UTF-8, told apart to the byte, refused alike by every call."""

    def test_keys_are_told_apart(self, store: ChatStore) -> None:
        for number, key in enumerate(GOOD):
            store.add_messages(key, say(f"{number}", f"{number}"))
        for number, key in enumerate(GOOD):
            assert held(store, key) == [f"{number}"] * 2
            assert describe(store, key).key == key
        assert store.get_keys() == sorted(GOOD)
        for number, key in enumerate(GOOD):
            assert store.delete_messages(key) == say(f"{number}", f"{number}")
            assert len(store.get_keys()) == len(GOOD) - number - 1

    def test_every_call_takes_any_key(self, store: ChatStore) -> None:
        store.add_messages("user1", say("a", "b"))
        for key in ODDEST:
            for call in OF_A_KEY.values():
                store.delete_messages("elsewhere")
                store.set_messages(key, say("a", "b"))
                with suppress(ConflictError):  # a copy to what exists
                    call(store, key)
                store.delete_messages(key)

    @pytest.mark.parametrize("key", BAD, ids=_name)
    def test_no_call_takes_a_bad_key(self, store: ChatStore, key: Any) -> None:
        taken = []
        for name, call in OF_A_KEY.items():
            with suppress(InvalidKeyError):
                call(store, key)
                taken.append(name)
        assert taken == []
        assert store.get_keys() == []
