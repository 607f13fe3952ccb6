"""Every message of LlamaIndex comes back equal, or is refused with its path."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llama_index.core.base.llms.types import (
    AudioBlock,
    CacheControl,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from openai.types.chat.chat_completion_message_function_tool_call import (
    ChatCompletionMessageFunctionToolCall,
    Function,
)

from chatstore import ChatMessage as Ours
from chatstore import ChatStore, InvalidMessageError, SimpleChatStore, open_store
from chatstore.adapters.llama_index import LlamaIndexChatStore
from chatstore.adapters.llama_index_blocks import UnknownBlock
from tests.adapters.anything import json_values, kept_values

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
maybe = st.none() | text
url = st.sampled_from(["https://example.org/a.png", "data:image/png;base64,aGk=", "http://ü.de"])
raw = st.binary(min_size=1, max_size=30)
words = st.builds(TextBlock, text=text)
images = st.builds(ImageBlock, image=raw, detail=maybe) | st.builds(ImageBlock, url=url)
papers = st.builds(DocumentBlock, data=raw, title=text) | st.builds(DocumentBlock, url=text)
blocks = st.one_of(
    words,
    images,
    papers,
    st.builds(AudioBlock, audio=raw, format=maybe),
    st.builds(VideoBlock, video=raw, fps=st.none() | st.integers(1, 60)),
    st.builds(CachePoint, cache_control=st.builds(CacheControl, type=text, ttl=text)),
    st.builds(CitableBlock, title=text, source=text, content=st.lists(words | images, max_size=2)),
    st.builds(
        CitationBlock,
        cited_content=words | images,
        source=text,
        title=text,
        additional_location_info=st.dictionaries(text, st.integers(), max_size=2),
    ),
    st.builds(
        ThinkingBlock,
        content=maybe,
        num_tokens=st.none() | st.integers(0, 99),
        additional_information=st.dictionaries(text, kept_values, max_size=2),
    ),
    st.builds(
        ToolCallBlock,
        tool_call_id=maybe,
        tool_name=text,
        tool_kwargs=st.dictionaries(text, json_values, max_size=2) | text,
    ),
    st.builds(
        lambda kind, extra: UnknownBlock(block_type=f"new_{kind}", **extra),
        text,
        st.dictionaries(st.sampled_from(["a", "b"]), kept_values, max_size=2),
    ),
)


def made(role: MessageRole, parts: list[Any], extra: dict[str, Any]) -> ChatMessage:
    message = ChatMessage(role=role, additional_kwargs=extra)
    message.blocks.extend(parts)  # an unknown block is refused by the constructor
    return message


messages = st.builds(
    made,
    st.sampled_from(MessageRole),
    st.lists(blocks, max_size=3),
    st.dictionaries(text.filter(lambda name: name != "images"), kept_values, max_size=3),
)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ChatStore]]:
    path = tmp_path_factory.mktemp("types") / "chat.db"
    with open_store(path, durability="normal") as one, open_store("memory://") as other:
        yield [one, other]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(messages, min_size=1, max_size=3))
def test_what_goes_in_comes_out_equal(stores: list[ChatStore], given: list[ChatMessage]) -> None:
    for store in stores:
        chats = LlamaIndexChatStore(store)
        chats.set_messages("k", given)
        assert chats.get_messages("k") == given
        assert list(map(repr, chats.get_messages("k"))) == list(map(repr, given))
        views = store.get_messages("k")
        assert [view.role for view in views] == [message.role.value for message in given]
        for view, message in zip(views, given, strict=True):
            assert [b["block_type"] for b in view.blocks] == [b.block_type for b in message.blocks]
        assert chats.delete_last_message("k") == given[-1]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (float("nan"), r"additional_kwargs\.x\[1\]"),
        (float("inf"), r"additional_kwargs\.x\[1\]"),
        ({1, 2}, r"additional_kwargs\.x\[1\] is of type set"),
        (object(), r"additional_kwargs\.x\[1\] is of type object"),
        ({1: 2}, r"additional_kwargs\.x\[1\] has a key of type int"),
        (TextBlock(text="a"), r"additional_kwargs\.x\[1\] is of type TextBlock"),
        (
            datetime(2026, 1, 1, fold=1, tzinfo=UTC),
            r"additional_kwargs\.x\[1\] is of type datetime",
        ),
    ],
)
def test_what_would_come_back_changed_is_refused(value: Any, path: str) -> None:
    chats = LlamaIndexChatStore("memory://")
    for kept in ({}, {"y": b"1"}):  # as either format
        message = ChatMessage(content="a", additional_kwargs={"x": [1, value], **kept})
        with pytest.raises(InvalidMessageError, match=path):
            chats.add_message("k", message)
    assert chats.get_keys() == []


def test_classes_that_would_be_lost_are_refused(tmp_path: Path) -> None:
    class Mine(ChatMessage):
        extra: int = 1

    class Block(TextBlock):
        extra: int = 1

    chats = LlamaIndexChatStore("memory://")
    with pytest.raises(InvalidMessageError, match=r"messages\[1\] is a Mine"):
        chats.set_messages("k", [ChatMessage(content="a"), Mine(content="a")])
    message = ChatMessage(content="a")
    message.blocks.append(Block(text="b"))
    with pytest.raises(InvalidMessageError, match=r"message\.blocks\[1\] is a Block"):
        chats.add_message("k", message)
    with pytest.raises(InvalidMessageError, match=r"blocks\[0\]\.image is of type BytesIO"):
        chats.add_message("k", ChatMessage(blocks=[ImageBlock(image=BytesIO(b"a"))]))


def test_paths_come_back_when_their_files_are_gone(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n")
    blocks = [ImageBlock(path=file), DocumentBlock(path=file), DocumentBlock(path=str(file))]
    chats = LlamaIndexChatStore("memory://")
    message = ChatMessage(blocks=blocks)
    chats.add_message("k", message)
    file.unlink()
    assert chats.get_messages("k") == [message]
    assert type(chats.get_messages("k")[0].blocks[1].path) is type(file)  # type: ignore[union-attr]


def test_tool_calls_that_an_openai_llm_leaves(store: ChatStore) -> None:
    # llama-index-llms-openai puts the objects of the client there.
    call = ChatCompletionMessageFunctionToolCall(
        id="call_1", function=Function(name="f", arguments='{"a": 1}'), type="function"
    )
    extra = {"tool_calls": [call], "at": datetime(2026, 1, 1, tzinfo=UTC), "sig": b"\0\xff"}
    message = ChatMessage(role="assistant", content="", additional_kwargs=extra)
    chats = LlamaIndexChatStore(store)
    chats.add_message("k", message)
    [found] = chats.get_messages("k")
    assert found == message
    assert type(found.additional_kwargs["tool_calls"][0]) is type(call)
    [record] = store.get_records("k")
    assert record.tool_call_ids == ("call_1",)
    assert record.kind == "tool_call"


def test_a_file_of_ours_is_read_by_llama_index(tmp_path: Path) -> None:
    from llama_index.core.storage.chat_store import SimpleChatStore as Theirs

    with SimpleChatStore() as store:
        chats = LlamaIndexChatStore(store)
        said = ChatMessage(role="assistant", content="a", additional_kwargs={"b": b"1"})
        chats.set_messages("k", [said, ChatMessage(content="b")])
        store.persist(tmp_path / "a.json")
    theirs = Theirs.from_persist_path(str(tmp_path / "a.json"))
    assert theirs.get_messages("k")[1] == ChatMessage(content="b")
    assert theirs.get_messages("k")[0].content == "a"


def test_poison_does_not_hide_its_neighbours() -> None:
    with open_store("memory://") as store:
        store.add_messages(
            "k",
            [
                Ours("a", role="robot"),
                Ours(blocks=[{"block_type": "hologram", "data": {"x": 1}}]),
                Ours(blocks=[{"block_type": "image", "path": "/gone.png"}]),
                Ours(blocks=[{"block_type": "tool_call", "tool_kwargs": 5}]),
                Ours("z", additional_kwargs={"images": ["x"]}),
            ],
        )
        chats = LlamaIndexChatStore(store)
        first = [json.loads(record.payload) for record in store.get_records("k")]
        found = chats.get_messages("k")
        assert [message.content for message in found] == ["a", None, None, None, "z"]
        chats.set_messages("k", found)  # and writing them back keeps every block
        again = [json.loads(record.payload) for record in store.get_records("k")]
        assert [p["blocks"] for p in again] == [p["blocks"] for p in first]
