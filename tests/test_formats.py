"""Views: whatever a payload holds, it is a message or refused, and what is written can be read."""

import json
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from chatstore import (
    ChatMessage,
    InvalidMessageError,
    NativeMessage,
    UndecodableMessage,
    codec,
    damage,
)
from chatstore.formats import VIEWS, chatstore, openai_chat
from chatstore.messages import text_block
from chatstore.records import Draft, Row
from chatstore.testing.conformance.values import JSON

WORDS = [
    "role", "content", "blocks", "block_type", "text", "type", "additional_kwargs", "tool_calls",
    "tool_call_id", "function", "custom", "name", "arguments", "input", "id", "created_at", "data",
    "image_url", "url", "call_id", "output", "summary", "self", "kwargs", "args",
]  # fmt: skip
VALUES = [
    "user",
    "assistant",
    "tool",
    "ai",
    "human",
    "text",
    "function_call",
    "reasoning",
    "",
    "\0",
]

words, values = st.sampled_from(WORDS), st.sampled_from(VALUES)
near = st.recursive(
    values | JSON,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
payloads = st.dictionaries(words, near, max_size=6)

SOME = settings(max_examples=60, deadline=None)
"""Each payload is tried as every format: to make one up takes thirty times as long."""


def row(draft: Draft) -> Row:
    return Row(1, 2, 3, *draft)


@SOME
@given(payloads)
def test_what_is_written_can_be_read(payload: dict[str, Any]) -> None:
    for format in VIEWS:
        note(format)
        try:
            draft = codec.encode(NativeMessage(format, payload, id="m1"), 0)
        except InvalidMessageError:
            continue
        assert json.loads(draft.payload) == payload
        message = codec.decode(row(draft), strict=True)
        assert (message.id, message.role) == ("m1", draft.role)
        assert damage.of_message("a", row(draft)) == []
        json.dumps(message.model_dump(mode="python", exclude={"created_at"}), allow_nan=False)


@SOME
@given(payloads | JSON)
def test_whatever_was_stored_can_be_shown(payload: Any) -> None:
    for format in VIEWS:
        note(format)
        stored = Row(1, 2, 3, None, format, json.dumps(payload), "user", None, None, False, 0)
        message = codec.decode(stored)
        if isinstance(message, UndecodableMessage):
            assert (message.raw, message.format) == (stored.payload, format)
        codec.record(stored)
        damage.of_message("a", stored)


@SOME
@given(payloads)
def test_a_view_is_pure(payload: dict[str, Any]) -> None:
    for format in VIEWS:
        note(format)
        shown = []
        for _ in range(2):
            try:
                message = VIEWS[format](json.loads(json.dumps(payload)))
                shown.append(message.model_dump(mode="python"))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                shown.append({"error": type(error)})
        assert repr(shown[0]) == repr(shown[1])


def test_the_quick_view_is_the_thorough_one() -> None:
    payload: dict[str, Any] = {"role": "user", "additional_kwargs": {"n": 1}}
    payload["blocks"] = [text_block("a")]
    quick = chatstore.view(json.loads(json.dumps(payload)))
    thorough = ChatMessage(**payload)
    assert quick == thorough
    assert quick.model_dump() == thorough.model_dump()
    assert quick.model_fields_set == thorough.model_fields_set
    quick.name = "Ada"  # type: ignore[attr-defined]
    assert quick.model_copy(deep=True).model_dump()["name"] == "Ada"


@pytest.mark.parametrize(
    ("payload", "blocks", "extra"),
    [
        ({"role": "user", "content": "a"}, [text_block("a")], {}),
        ({"role": "user", "content": None}, [], {}),
        ({"role": "assistant", "content": None, "refusal": "no"}, [], {"refusal": "no"}),
        (
            {"role": "user", "content": [{"type": "text", "text": "a"}, "b"], "name": "Ada"},
            [text_block("a"), text_block("b")],
            {"name": "Ada"},
        ),
        (
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "u", "detail": "low"}}],
            },
            [{"block_type": "image", "url": "u", "detail": "low"}],
            {},
        ),
        (
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": ""}}]},
            [{"block_type": "input_audio", "input_audio": {"data": ""}}],
            {},
        ),
        (
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
            [
                {
                    "block_type": "tool_call",
                    "tool_call_id": "c1",
                    "tool_name": "f",
                    "tool_kwargs": "{}",
                }
            ],
            {},
        ),
        (
            {"role": "tool", "tool_call_id": "c1", "content": "21 C"},
            [text_block("21 C")],
            {"tool_call_id": "c1"},
        ),
    ],
)
def test_openai_chat(
    payload: dict[str, Any], blocks: list[dict[str, Any]], extra: dict[str, Any]
) -> None:
    message = openai_chat.view(payload)
    assert message.role == payload["role"]
    assert message.blocks == blocks
    assert message.additional_kwargs == extra


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"role": None, "content": "a"},
        {"role": "user", "content": 5},
        {"role": "user", "content": [5]},
        {"role": "user", "content": [{"text": "a"}]},
        {"role": "assistant", "tool_calls": ["c1"]},
        {"role": "assistant", "tool_calls": [{"function": "f"}]},
        {"role": "assistant", "tool_calls": 5},
    ],
    ids=repr,
)
def test_what_is_no_openai_message_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessageError, match=r"openai\.chat"):
        codec.encode(NativeMessage("openai.chat", payload), 0)
