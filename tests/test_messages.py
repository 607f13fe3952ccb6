"""`ChatMessage` and its two special kinds, as values."""

import copy
import enum
import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from chatstore import ChatMessage, NativeMessage, UndecodableMessage
from chatstore.messages import is_role, text_block


class Role(enum.Enum):
    USER = "user"


def test_content_is_the_text_block() -> None:
    message = ChatMessage("Hello")
    assert message.blocks == [{"block_type": "text", "text": "Hello"}]
    assert message.content == "Hello"
    assert ChatMessage(role="user", content="Hello") == message
    assert ChatMessage("").content == ""
    assert ChatMessage().content is None


def test_content_joins_texts_and_passes_over_the_rest() -> None:
    blocks = [text_block("a"), {"block_type": "image", "url": "…"}, text_block("b")]
    assert ChatMessage(blocks).content == "a\nb"
    assert ChatMessage(blocks[1:2]).content is None
    assert ChatMessage([{"block_type": "text"}, text_block("b")]).content == "b"


def test_content_can_be_set() -> None:
    message = ChatMessage([text_block("a"), {"block_type": "image"}])
    message.content = "new"
    assert message.blocks == [text_block("new")]


@pytest.mark.parametrize(
    "fields",
    [
        {"content": "a", "blocks": [text_block("b")]},
        {"content": 5},
        {"blocks": [{"text": "no type"}]},
        {"blocks": [{"block_type": 5}]},
        {"blocks": ["text"]},
        {"blocks": "text"},
        {"role": ""},
        {"role": 5},
        {"role": None},
        {"role": "a\0"},
        {"role": "\ud800"},
        {"additional_kwargs": []},
        {"additional_kwargs": {1: 2}},
        {"id": 5},
        {"created_at": datetime(2020, 1, 1)},  # noqa: DTZ001
        {"created_at": "yesterday"},
        {"created_at": datetime.max.replace(tzinfo=timezone(timedelta(hours=-7)))},
    ],
    ids=repr,
)
def test_what_is_no_message_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        ChatMessage(**fields)


def test_an_error_does_not_tell_what_was_said() -> None:
    with pytest.raises(ValidationError) as caught:
        ChatMessage("secret", role=5, additional_kwargs={"a": "secret"})
    assert "secret" not in str(caught.value)


def test_a_role_may_be_an_enum() -> None:
    assert ChatMessage("a", role=Role.USER).role == "user"


@pytest.mark.parametrize("role", ["user", "Ω😀", "a b", "\n", "x" * 1000, "\u0378"])
def test_a_role_is_any_word(role: str) -> None:
    assert is_role(role)
    assert ChatMessage("a", role=role).role == role


def test_times_are_shown_in_utc() -> None:
    given = datetime(2020, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    shown = ChatMessage("a", created_at=given).created_at
    assert shown == given
    assert shown is not None
    assert shown.tzinfo is UTC


def test_messages_are_equal_by_what_they_say() -> None:
    message = ChatMessage("a", id="m1", additional_kwargs={"n": 1}, name="Ada")
    assert message == ChatMessage("a", id="m1", additional_kwargs={"n": 1}, name="Ada")
    later = ChatMessage("a", id="m1", additional_kwargs={"n": 1}, name="Ada")
    later.created_at = datetime.now(UTC)
    assert message == later
    for other in (
        ChatMessage("b", id="m1", additional_kwargs={"n": 1}, name="Ada"),
        ChatMessage("a", id="m2", additional_kwargs={"n": 1}, name="Ada"),
        ChatMessage("a", id="m1", additional_kwargs={"n": 2}, name="Ada"),
        ChatMessage("a", id="m1", additional_kwargs={"n": 1}, name="Eve"),
        ChatMessage("a", id="m1", additional_kwargs={"n": 1}),
        UndecodableMessage(raw="", format="", error=""),
        "a",
        None,
    ):
        assert message != other


def test_the_content_of_a_copy_may_be_new() -> None:
    message = ChatMessage("a", id="m1", name="Ada")
    assert message.model_copy(update={"content": "b", "role": "tool"}) == ChatMessage(
        "b", id="m1", name="Ada", role="tool"
    )
    assert message.model_copy(update={"content": None}).blocks == []
    assert message.model_copy(update={"content": [text_block("b")]}).content == "b"
    assert message.model_copy(update={"id": None}) == ChatMessage("a", name="Ada")
    assert message.model_copy() == message == ChatMessage("a", id="m1", name="Ada")
    with pytest.raises(ValueError, match="content or blocks"):
        message.model_copy(update={"content": "b", "blocks": []})


def test_content_is_set_as_the_constructor_takes_it() -> None:
    message = ChatMessage("a")
    message.content = None
    assert message.blocks == []
    message.content = [text_block("b"), text_block("c")]
    assert message.content == "b\nc"


def test_messages_have_no_hash() -> None:
    with pytest.raises(TypeError):
        hash(ChatMessage("a"))


def test_other_fields_may_have_any_name() -> None:
    message = ChatMessage.model_validate({"role": "user", "self": 1, "cls": 2, "name": "Ada"})
    assert message.model_dump()["self"] == 1
    assert ChatMessage.model_validate(message.model_dump()) == message


def test_messages_can_be_copied_and_pickled() -> None:
    message = ChatMessage("a", id="m1", additional_kwargs={"deep": [1]}, name="Ada")
    for again in (copy.deepcopy(message), pickle.loads(pickle.dumps(message))):  # noqa: S301
        assert again == message
        again.additional_kwargs["deep"].append(2)
        assert message.additional_kwargs == {"deep": [1]}


def test_a_message_prints_as_it_is_read() -> None:
    assert str(ChatMessage("Hello", role="assistant")) == "assistant: Hello"
    assert str(ChatMessage()) == "user: "


def test_the_shape_is_that_of_llama_index() -> None:
    message = ChatMessage("Hello", role="assistant", additional_kwargs={"n": 1})
    shape = message.model_dump(include={"role", "additional_kwargs", "blocks"})
    assert shape == {
        "role": "assistant",
        "additional_kwargs": {"n": 1},
        "blocks": [{"block_type": "text", "text": "Hello"}],
    }


def test_a_native_message_has_a_zone_and_a_quiet_repr() -> None:
    with pytest.raises(ValueError, match="time zone"):
        NativeMessage("openai.chat", {}, created_at=datetime(2020, 1, 1))  # noqa: DTZ001
    assert "secret" not in repr(NativeMessage("openai.chat", {"content": "secret"}, id="m1"))
