"""Between messages and rows: ids, equal content, derived columns, damage."""

import gc
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from chatstore import (
    ChatMessage,
    InvalidMessageError,
    NativeMessage,
    UndecodableMessage,
    codec,
    collector,
    damage,
)
from chatstore.formats import VIEWS
from chatstore.messages import text_block
from chatstore.records import Draft, Row


def encode(message: Any) -> Draft:
    return codec.encode(message, 0)


def payload_of(text: str) -> str:
    return encode(ChatMessage(text)).payload


def test_id_and_time_stand_beside_the_payload() -> None:
    given = ChatMessage("a", id="m1", created_at=datetime(2001, 1, 1, tzinfo=UTC))
    draft = encode(given)
    assert (draft.id, draft.created_at) == ("m1", 978_307_200_000_000)
    assert draft.payload == payload_of("a")
    assert codec.encode(ChatMessage("a"), 5).created_at == 5


@pytest.mark.parametrize(
    ("message", "kind", "calls"),
    [
        (ChatMessage("a"), None, None),
        (ChatMessage("a", role="tool"), "tool_result", None),
        (ChatMessage("a", role="function"), "tool_result", None),
        (
            ChatMessage("a", role="tool", additional_kwargs={"tool_call_id": "c1"}),
            "tool_result",
            ["c1"],
        ),
        (ChatMessage([{"block_type": "tool_call"}]), "tool_call", None),
        (ChatMessage([{"block_type": "tool_call", "tool_call_id": 5}]), "tool_call", None),
        (
            ChatMessage("a", additional_kwargs={"tool_calls": [{"id": "c1"}, {"id": "c1"}, "x"]}),
            "tool_call",
            ["c1"],
        ),
        (ChatMessage("a", additional_kwargs={"tool_calls": "c1"}), None, None),
        (ChatMessage([{"block_type": "thinking"}]), "reasoning", None),
        (ChatMessage([{"block_type": "thinking"}, text_block("a")]), None, None),
        (ChatMessage(), None, None),
    ],
)
def test_columns_are_derived(
    message: ChatMessage, kind: str | None, calls: list[str] | None
) -> None:
    draft = encode(message)
    assert draft.kind == kind
    assert draft.tool_call_ids == (json.dumps(calls) if calls else None)


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ('{"a":1,"b":2}', '{"b":2,"a":1}', True),
        ('{"a":[1,2]}', '{"a":[2,1]}', False),
        ('{"a":1}', '{"a":1.0}', False),
        ('{"a":1}', '{"a":true}', False),
        ('{"a":null}', "{}", False),
        ('"\\ud800"', '"\\uD800"', True),
        ('"é"', '"\\u00e9"', True),
        ("{}", "damaged", False),
        ("{}", "[" * 100_000, False),
    ],
)
def test_content_is_equal_as_json(one: str, two: str, same: bool) -> None:
    draft = encode(ChatMessage("a"))._replace(payload=one)
    assert codec.same_content(draft, "chatstore", two) is same
    assert codec.same_content(draft, "openai.chat", one) is False


def test_an_error_names_the_message_of_a_batch() -> None:
    batch = [ChatMessage("a"), ChatMessage("b", additional_kwargs={"c": {"d": [object()]}})]
    with pytest.raises(InvalidMessageError, match=r"messages\[1\].*additional_kwargs\.c\.d\[0\]"):
        codec.encode_all(batch, 0)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (NativeMessage("nobody's", {}), "no format is called"),
        (NativeMessage("openai.chat", [("role", "user")]), "dict"),  # type: ignore[arg-type]
        (NativeMessage("openai.chat", {"role": "user", "content": b"a"}), r"payload\.content"),
        (UndecodableMessage(raw="{}", format="x", error="y"), "could not be decoded"),
    ],
)
def test_what_cannot_be_written_is_refused(message: Any, words: str) -> None:
    with pytest.raises(InvalidMessageError, match=words):
        encode(message)


def test_a_message_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_PAYLOAD_BYTES", 100)
    encode(ChatMessage("short"))
    with pytest.raises(InvalidMessageError, match="100 are allowed"):
        encode(ChatMessage("x" * 100))
    with pytest.raises(InvalidMessageError, match="100 are allowed"):
        codec.encode_metadata({"a": "x" * 100})


@pytest.mark.parametrize("format", VIEWS)
@pytest.mark.parametrize("payload", ["[true]", "[]", "5", "null", '"role"', '["types"]'])
def test_a_payload_that_is_no_object_is_shown_raw(format: str, payload: str) -> None:
    row = Row(1, 2, 3, None, format, payload, "user", None, None, False, 0)
    message = codec.decode(row)
    assert isinstance(message, UndecodableMessage)
    assert (message.raw, message.error) == (payload, "the payload is no JSON object")


def test_columns_that_do_not_fit_are_a_fault() -> None:
    row = Row(1, 2, 3, *encode(ChatMessage("a")))
    assert damage.of_message("key", row) == []
    for wrong in (row._replace(role="tool"), row._replace(kind="reasoning")):
        assert len(damage.of_message("key", wrong)) == 1


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_left_as_it_was(enabled: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with suppress(ZeroDivisionError), collector.paused():
            assert not gc.isenabled()
            raise ZeroDivisionError
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
