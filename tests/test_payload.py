"""The quick way to encode a message writes what the general encoder writes, and refuses alike."""

from typing import Any

import pytest

from chatstore import ChatMessage, json_text
from chatstore.formats import chatstore


def nested(depth: int) -> dict[str, Any]:
    value: Any = "v"
    for _ in range(depth):
        value = {"a": value}
    return {"a": value}


def general(message: ChatMessage) -> str:
    fields = {
        "role": message.role,
        "additional_kwargs": message.additional_kwargs,
        "blocks": message.blocks,
    }
    return json_text.dump(fields, "")


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"sender": "ann"},
        {"text": "\x00 \ud800 \u2028 ü"},
        {"list": [1, {"b": None}, 2.5, True]},
        *(nested(depth) for depth in (60, 61, 62, 63, 64, 65)),
        {"n": float("nan")},
        {"t": (1,)},
        {"d": {1: 2}},
    ],
)
def test_the_quick_way_is_the_general_way(extra: dict[str, Any]) -> None:
    message = ChatMessage("Hello \ud800", role="user")
    message.additional_kwargs = extra
    said = []
    for encode in (chatstore.payload, general):
        try:
            said.append(encode(message))
        except json_text.NotJSONError as error:
            said.append(f"refused: {error}")
    assert said[0] == said[1]


@pytest.mark.parametrize("role", ["user", "assistant", "system", "tool", "häuptling", 'a "b"'])
def test_whoever_speaks(role: str) -> None:
    message = ChatMessage("Hello", role=role)
    assert chatstore.payload(message) == general(message)
