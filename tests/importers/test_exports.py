"""What ChatGPT and Claude export, made as FORMATS and their users describe it."""

import zipfile
from pathlib import Path
from typing import Any

import pytest

from chatstore import ChatStore, TransferError
from chatstore.importers import import_file
from tests.importers.conftest import Write

START = 1_700_000_000.25


def node(
    id: str, parent: str | None, role: str | None = None, text: Any = "", **more: Any
) -> dict[str, Any]:
    message = None
    if role:
        content = text if isinstance(text, dict) else {"content_type": "text", "parts": [text]}
        message = {
            "id": id,
            "author": {"role": role},
            "create_time": START,
            "content": content,
            **more,
        }
    return {"id": id, "parent": parent, "children": [], "message": message}


def chatgpt(*nodes: dict[str, Any], current: str) -> list[dict[str, Any]]:
    mapping = {one["id"]: one for one in nodes}
    for one in nodes:
        if one["parent"] in mapping:
            mapping[one["parent"]]["children"].append(one["id"])
    return [
        {
            "title": "Soup",
            "create_time": START,
            "update_time": START + 60,
            "mapping": mapping,
            "current_node": current,
            "conversation_id": "c1",
        }
    ]


def test_chatgpt_follows_the_branch_that_was_open(store: ChatStore, document: Write) -> None:
    export = chatgpt(
        node("root", None),
        node("s", "root", "system", "hidden"),
        node("u", "s", "user", "Soup?"),
        node("a1", "u", "assistant", "first try"),
        node("a2", "u", "assistant", "second try", metadata={"model_slug": "gpt-5"}),
        node("t", "a2", "assistant", "search()", recipient="web"),
        node("z", "t", "assistant", "Yes.", weight=1.0, recipient="all"),
        current="z",
    )
    report = import_file(store, document(export, "conversations.json"))
    assert report.importer == "chatgpt"
    messages = store.get_messages("c1")
    assert [(m.id, m.content) for m in messages] == [
        ("u", "Soup?"),
        ("a2", "second try"),
        ("z", "Yes."),
    ]
    assert messages[1].additional_kwargs == {"model": "gpt-5"}
    found = store.get_conversation("c1")
    assert found is not None
    assert found.metadata["title"] == "Soup"
    assert (found.updated_at - found.created_at).total_seconds() == 60


def test_chatgpt_content_of_other_kinds(store: ChatStore, document: Write) -> None:
    image = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}
    export = chatgpt(
        node("u", None, "user", {"content_type": "multimodal_text", "parts": [image, "what?"]}),
        node("c", "u", "assistant", {"content_type": "code", "text": "print(1)"}),
        node("h", "c", "assistant", {"content_type": "thoughts", "thoughts": [{"content": "hm"}]}),
        current="h",
    )
    import_file(store, document(export))
    blocks = [message.blocks for message in store.get_messages("c1")]
    assert blocks[0][0] == {
        "block_type": "image_asset_pointer",
        "asset_pointer": "file-service://x",
    }
    assert blocks[1] == [{"block_type": "text", "text": "print(1)"}]
    assert store.get_records("c1")[2].kind == "reasoning"


def test_chatgpt_survives_a_circle(store: ChatStore, document: Write) -> None:
    export = chatgpt(node("a", "b", "user", "one"), node("b", "a", "assistant", "two"), current="b")
    import_file(store, document(export))
    assert store.count_messages("c1") == 2


def claude(*messages: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "uuid": "c1",
            "name": "Soup",
            "created_at": "2024-01-01T00:00:00.000000Z",
            "updated_at": "2024-01-02T00:00:00.000000Z",
            "chat_messages": list(messages),
            **more,
        }
    ]


def turn(uuid: str, sender: str, text: str = "", **more: Any) -> dict[str, Any]:
    return {"uuid": uuid, "sender": sender, "text": text, **more}


def test_claude(store: ChatStore, document: Write) -> None:
    content = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "tool_use", "id": "t1", "name": "search", "input": {"q": "soup"}},
        {"type": "text", "text": "Yes."},
    ]
    attachments = [{"file_name": "soup.txt", "extracted_content": "leek"}]
    export = claude(
        turn("m1", "human", "Soup?", attachments=attachments),
        turn("m2", "assistant", "old text", content=content, created_at="2024-01-01T00:00:01Z"),
    )
    report = import_file(store, document(export))
    assert report.importer == "claude"
    one, two = store.get_messages("c1")
    assert (one.role, one.content) == ("user", "Soup?")
    assert one.additional_kwargs == {"attachments": attachments}
    assert (two.role, two.content) == ("assistant", "Yes.")
    assert store.get_records("c1")[1].tool_call_ids == ("t1",)
    found = store.get_conversation("c1")
    assert found is not None
    assert found.metadata["title"] == "Soup"


def test_claude_follows_the_branch_that_was_open(store: ChatStore, document: Write) -> None:
    export = claude(
        turn("m1", "human", "1"),
        turn("m2", "assistant", "first try", parent_message_uuid="m1"),
        turn("m3", "assistant", "second try", parent_message_uuid="m1"),
        current_leaf_message_uuid="m3",
    )
    import_file(store, document(export))
    assert [m.content for m in store.get_messages("c1")] == ["1", "second try"]


@pytest.mark.parametrize("kind", ["chatgpt", "claude"])
def test_a_zip_archive_with_the_export_in_parts(
    store: ChatStore, tmp_path: Path, document: Write, kind: str
) -> None:
    path = tmp_path / "export.zip"
    if kind == "claude":
        one, two = claude(turn("m1", "human", "Hi")), claude(turn("m1", "human", "Hi"))
        two[0]["uuid"] = "c2"
    else:
        one = chatgpt(node("u", None, "user", "Hi"), current="u")
        two = chatgpt(node("u", None, "user", "Hi"), current="u")
        two[0]["conversation_id"] = "c2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(document(one, "one.json"), "conversations-000.json")
        archive.write(document(two, "two.json"), "conversations-001.json")
        archive.writestr("users.json", "[]")
    assert import_file(store, path).importer == kind
    assert store.get_keys() == ["c1", "c2"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"mapping": {"a": {"message": 5}}, "id": "x", "current_node": "a"}, "item 1 is not as"),
        ({"mapping": {}}, "item 1 has no conversation_id"),
        ({}, "item 1 has no mapping"),
    ],
)
def test_a_broken_export_is_named(
    store: ChatStore, document: Write, row: object, said: str
) -> None:
    with pytest.raises(TransferError, match=said):
        import_file(store, document([row]), "chatgpt")
