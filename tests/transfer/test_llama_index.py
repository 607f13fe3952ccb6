"""Files of LlamaIndex's `SimpleChatStore` load here, and ours load there."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from chatstore import ChatMessage, NativeMessage, SimpleChatStore
from chatstore.transfer import llama_index
from tests.transfer.given import (
    content,
    everything,
    exported,
    given_row,
    given_store,
    imported,
    stores,
    tool_call,
)

THEIRS = Path(__file__).parent / "llama_index.json"
"""What `SimpleChatStore.persist` of LlamaIndex 0.14.25 wrote, under pydantic 2.13."""


def loaded(text: str) -> SimpleChatStore:
    store = SimpleChatStore()
    store.import_json(io.StringIO(text), format="json")
    return store


# Theirs, here


def test_their_file_loads() -> None:
    store = SimpleChatStore.from_persist_path(THEIRS)

    assert store.get_keys() == ["user1"], "a conversation without messages does not exist"
    first, call, result, parts = store.get_messages("user1")
    assert (first.role, first.content) == ("user", "Hello, é 😀")
    assert [block["block_type"] for block in call.blocks] == ["thinking", "tool_call"]
    assert result.additional_kwargs == {"tool_call_id": "c1"}
    assert parts.blocks[1]["image"] == "iVBORw0KGgo="
    kinds = [record.kind for record in store.get_records("user1")]
    assert kinds == ["message", "tool_call", "tool_result", "message"]
    assert store.check().ok


def test_nothing_of_their_messages_changes_in_ours() -> None:
    theirs = json.loads(THEIRS.read_bytes())["store"]["user1"]
    ours = json.loads(SimpleChatStore.from_persist_path(THEIRS).json())["store"]["user1"]
    assert [{k: message[k] for k in theirs[0]} for message in ours] == theirs
    assert all(message.keys() == {*theirs[0], "created_at"} for message in ours)


def test_a_document_in_a_string_loads() -> None:
    """LlamaIndex takes it, for an older version wrote it."""
    whole = THEIRS.read_text(encoding="utf-8")
    assert loaded(json.dumps(whole)).count_messages("user1") == 4


@pytest.mark.parametrize(
    ("message", "texts"),
    [
        ({"role": "user", "content": "Hello", "additional_kwargs": {}}, ["Hello"]),
        ({"content": "Hello"}, ["Hello"]),
        ({"role": "assistant", "content": None, "blocks": []}, []),
        ({"role": "assistant", "content": ""}, [""]),
        ({"content": [{"block_type": "text", "text": "a"}], "blocks": []}, ["a"]),
        ({"content": "a", "blocks": [{"block_type": "text", "text": "b"}]}, ["a"]),
        ({"role": "user"}, []),
    ],
)
def test_messages_of_older_versions(message: dict[str, Any], texts: list[str]) -> None:
    store = loaded(json.dumps({"store": {"user1": [message]}}))
    [found] = store.get_messages("user1")
    assert [block["text"] for block in found.blocks] == texts
    assert found.role == message.get("role", "user")


def test_members_that_others_know_are_kept() -> None:
    message = {"role": "user", "content": "x", "status": "read", "native": 1, "self": 2}
    store = loaded(json.dumps({"store": {"user1": [message]}, "theirs": [1], "conversations": 5}))
    [found] = store.get_messages("user1")
    assert found.model_extra == {"status": "read", "native": 1, "self": 2}


def test_ids_and_times_by_hand() -> None:
    message = {"content": "x", "id": "m1", "created_at": "2026-01-31T13:00:00+01:00"}
    store = loaded(json.dumps({"store": {"user1": [message, {"content": "y", "id": None}]}}))
    first, second = store.get_records("user1")
    assert (first.id, first.created_at.isoformat()) == ("m1", "2026-01-31T12:00:00+00:00")
    assert second.created_at > first.created_at


# Ours, there


def given_shown() -> SimpleChatStore:
    """What LlamaIndex has a word for, and what it has none for."""
    store = given_store()
    store.add_messages("shown", [ChatMessage(blocks=[block]) for block in BLOCKS])
    store.add_message("shown", ChatMessage("half a pair \ud800"))
    store.add_message(
        "shown", ChatMessage("x", role="developer", additional_kwargs={"é": "\udc00"})
    )
    store.add_message("shown", NativeMessage("openai.chat", {"role": "assistant", "content": "x"}))
    given_row(store, "shown", format="later/1", payload='{"x":1}', role="who")
    given_row(store, "shown", payload="damaged", role="")
    return store


BLOCKS: list[dict[str, Any]] = [
    {"block_type": "text", "text": "x"},
    {"block_type": "text", "text": None},
    {"block_type": "image", "url": "https://example.com/a.png"},
    {"block_type": "image", "url": "no address"},
    {"block_type": "image", "path": "/nowhere.png"},
    {"block_type": "image", "image": "aGVsbG8="},
    {"block_type": "image", "image": "\ud800"},
    {"block_type": "image"},
    {"block_type": "audio", "audio": "aGVsbG8=", "format": "mp3"},
    {"block_type": "video", "fps": 3},
    {"block_type": "video", "fps": "often"},
    {"block_type": "document", "data": "aGVsbG8=", "path": "x"},
    {"block_type": "cache", "cache_control": {"type": "ephemeral"}},
    {"block_type": "cache"},
    {"block_type": "citable", "title": "t", "source": "s", "content": "x"},
    {"block_type": "citable", "title": "t", "source": "s", "content": [{"block_type": "x"}]},
    {
        "block_type": "citation",
        "cited_content": "x",
        "source": "s",
        "title": "t",
        "additional_location_info": {"page": 1},
    },
    {"block_type": "thinking", "content": "x", "additional_information": {"a": [1]}},
    tool_call("c1"),
    {**tool_call("c1"), "tool_name": None},
    {**tool_call("c1"), "tool_kwargs": [1]},
    {"block_type": "unheard-of"},
]


def test_what_is_shown_is_what_they_can_read() -> None:
    shown = json.loads(given_shown().json())["store"]["shown"]
    assert {message["role"] for message in shown} <= llama_index.ROLES
    kept = [block for message in shown[: len(BLOCKS)] for block in message["blocks"]]
    assert kept == [
        b for i, b in enumerate(BLOCKS) if i not in {1, 3, 4, 6, 10, 13, 15, 19, 20, 21}
    ]


def test_what_they_cannot_read_comes_back_all_the_same() -> None:
    store = given_shown()
    data = exported(store, "json")
    again = imported(data, "json")
    assert everything(again) == everything(store)
    assert content(exported(again, "json")) == content(data)


@pytest.fixture(scope="module")
def theirs() -> Any:
    """Their class. Late, since importing it takes a second."""
    from llama_index.core.storage.chat_store import SimpleChatStore as Theirs

    return Theirs


def test_our_file_loads_there(theirs: Any, tmp_path: Path) -> None:
    store, path = given_shown(), tmp_path / "chat_store.json"
    store.persist(path)

    there = theirs.from_persist_path(str(path))

    assert sorted(there.get_keys()) == sorted(store.get_keys())
    shown = json.loads(path.read_bytes())["store"]
    for key in store.get_keys():
        messages = there.get_messages(key)
        assert len(messages) == store.count_messages(key)
        for message, ours in zip(messages, shown[key], strict=True):
            assert (message.role.value, len(message.blocks)) == (ours["role"], len(ours["blocks"]))
            assert message.additional_kwargs == ours["additional_kwargs"]
    assert [m.content for m in there.get_messages("user1")] == [f"message {i}" for i in range(7)]


@settings(deadline=None)
@given(store=stores())
def test_any_file_loads_there(theirs: Any, store: SimpleChatStore) -> None:
    there = theirs(**json.loads(store.json()))
    assert {key: len(there.get_messages(key)) for key in there.get_keys()} == {
        key: store.count_messages(key) for key in store.get_keys()
    }


def test_their_file_is_the_same_to_both(theirs: Any) -> None:
    there = theirs.from_persist_path(str(THEIRS)).get_messages("user1")
    here = SimpleChatStore.from_persist_path(THEIRS).get_messages("user1")
    assert [(m.role.value, m.content) for m in there] == [(m.role, m.content) for m in here]
