"""What is exported comes back, and makes the same bytes again."""

import gzip
import io
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, settings

from chatstore import ChatMessage, NativeMessage, SimpleChatStore, UndecodableMessage
from chatstore.formats import VIEWS
from chatstore.transfer import Format
from tests.transfer import given
from tests.transfer.given import (
    NASTY,
    content,
    everything,
    exported,
    given_row,
    given_store,
    imported,
    stores,
)

FORMATS: list[Format] = ["json", "jsonl"]
HELLO = given.HELLO.decode()
NAMES = ["chat.json", "chat.jsonl", "chat.jsonl.gz"]


@pytest.mark.parametrize("format", FORMATS)
def test_everything_comes_back(format: Format) -> None:
    store = given_store()
    data = exported(store, format)

    again = imported(data, format)

    assert everything(again) == everything(store)
    assert again.check().ok
    assert content(exported(again, format)) == content(data)


@pytest.mark.parametrize("name", NAMES)
def test_through_a_path(name: str, tmp_path: Path) -> None:
    store, again, path = given_store(), SimpleChatStore(), tmp_path / name

    written = store.export_json(path)
    read = again.import_json(str(path))

    assert (written.conversations, written.messages) == (3, 18)
    assert (read.conversations, read.messages, read.skipped) == (3, 18, 0)
    assert everything(again) == everything(store)


@pytest.mark.parametrize("format", FORMATS)
def test_an_empty_store(format: Format) -> None:
    data = exported(SimpleChatStore(), format)
    assert everything(imported(data, format)) == []


@settings(deadline=None)
@hypothesis.given(store=stores())
def test_any_store(store: SimpleChatStore) -> None:
    for format in FORMATS:
        hypothesis.note(format)
        data = exported(store, format)
        again = imported(data, format)
        assert everything(again) == everything(store)
        assert again.check().ok
        assert content(exported(again, format)) == content(data)


@pytest.mark.torture
@pytest.mark.parametrize("part", range(10))
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@hypothesis.given(store=stores())
def test_ten_thousand_stores(part: int, store: SimpleChatStore) -> None:
    for format in FORMATS:
        data = exported(store, format)
        again = imported(data, format)
        assert everything(again) == everything(store)
        assert content(exported(again, format)) == content(data)


def test_the_same_store_makes_the_same_gzip(tmp_path: Path, monkeypatch: Any) -> None:
    store = given_store()
    monkeypatch.setattr("chatstore.clock.now", lambda: 1_700_000_000_000_000)
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        store.export_json(tmp_path / name)

    data = (tmp_path / "a.jsonl.gz").read_bytes()
    assert data == (tmp_path / "b.jsonl.gz").read_bytes()
    assert data[4:8] == bytes(4), "a time in the header of gzip"
    assert b"jsonl" not in data[:40], "a name in the header of gzip"
    monkeypatch.undo()
    assert content(gzip.decompress(data)) == content(exported(store))


def test_equal_stores_have_equal_digests_whatever_they_are_called(tmp_path: Path) -> None:
    data = exported(given_store())
    renamed = data.replace(b"SimpleChatStore()", b"elsewhere", 1)
    assert content(exported(imported(renamed))) == content(data)


def test_store_made_ids_ordinals_and_revisions_stay_at_home() -> None:
    store = given_store()
    ids = [record.id for record in store.get_records("user1")]
    data = exported(store)
    assert all(id.encode() not in data for id in ids)
    conversation = store.get_conversation("user1")
    assert conversation is not None
    assert f'"{conversation.revision}"'.encode() not in data


@pytest.mark.parametrize("format", FORMATS)
def test_a_message_of_an_unknown_format_is_restored_as_it_is(format: Format) -> None:
    store = given_store()
    payload = '{"kind":"request","parts":[{"part_kind":"system-prompt","n":1.0}]}'
    given_row(
        store,
        "user1",
        format="pydantic_ai/9",
        payload=payload,
        role="user",
        kind="tool_call",
        tool_call_ids='["a", "b"]',
        id="theirs",
        archived=True,
    )

    data = exported(store, format)
    again = imported(data, format)

    assert everything(again)[1][6][-1] == (
        *("theirs", "pydantic_ai/9", payload, "user", "tool_call", '["a", "b"]', True, 0),
    )
    message = again.get_messages("user1")[-1]
    assert isinstance(message, UndecodableMessage)
    assert message.raw == payload
    assert content(exported(again, format)) == content(data)


@pytest.mark.parametrize("format", FORMATS)
def test_a_version_that_lacks_a_format_keeps_the_columns(
    format: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = given_store()
    data = exported(store, format)
    monkeypatch.delitem(VIEWS, "openai.chat")
    older = imported(data, format)
    assert everything(older) == everything(store)
    onward = exported(older, format)
    monkeypatch.undo()
    assert everything(imported(onward, format)) == everything(store)


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "{",
        "no JSON",
        "[1]",
        "null",
        '{"role":5}',
        HELLO.replace('"user"', '""'),
        HELLO.replace('"user"', r'"\u0000"'),
        HELLO.replace('"user"', r'"\ud800"'),
        '{"role":"user","role":"user"}',
        '{"role":NaN}',
        '{"a":1e400}',
        "{\n}",
        '{"role" : "user"}',
        '{"role":"user","n":"ü"}',
        '{"n":1E5,"role":"user"}',
        '{"a":' * 100 + "1" + "}" * 100,
        "[" * 100_000,
        '{"n":' + "9" * 5000 + "}",
        NASTY.replace("\ud800", ""),
    ],
)
@pytest.mark.parametrize("format", FORMATS)
def test_a_damaged_row_is_exported_and_restored_as_it_is(payload: str, format: Format) -> None:
    store = given_store()
    given_row(store, "user1", payload=payload, role="user")

    data = exported(store, format)
    again = imported(data, format)

    assert everything(again) == everything(store)
    assert content(exported(again, format)) == content(data)


@pytest.mark.parametrize("format", FORMATS)
def test_columns_that_lie_are_told_right_by_the_file(format: Format) -> None:
    store = given_store()
    hello = ChatMessage("Hello", role="user")
    store.add_message("liar", hello)
    row = store._shelf.held["liar"].rows[0]
    store._shelf.held["liar"].rows[0] = row._replace(role="tool", kind="tool_call")
    assert not store.check().ok

    again = imported(exported(store, format), format)

    assert again.check().ok
    assert again.get_messages("liar") == [hello]


@pytest.mark.parametrize("format", FORMATS)
def test_times_before_and_after_ours(format: Format) -> None:
    store = given_store()
    for year in ("0001-01-01T00:00:00", "1969-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999"):
        store.add_message("old", ChatMessage("x", created_at=year + "Z"))
    again = imported(exported(store, format), format)
    assert everything(again) == everything(store)


def test_a_conversation_whose_rows_are_gone_is_left_out() -> None:
    store = given_store()
    store._shelf.held["user1"].rows.clear()
    assert imported(exported(store)).get_keys() == store.get_keys()[:1] + store.get_keys()[2:]


def test_a_file_without_ttl_gives_that_of_the_store() -> None:
    """Rule 7: no path leaves a conversation without its ttl."""
    store = SimpleChatStore(ttl=300)
    store.import_json(
        io.StringIO('{"store":{"user1":[{"role":"user","content":"x"}]}}'), format="json"
    )
    conversation = store.get_conversation("user1")
    assert conversation is not None
    assert conversation.ttl == 300
    assert conversation.expires_at is not None


def test_a_conversation_that_lives_for_ever_does_so_elsewhere() -> None:
    store = SimpleChatStore(ttl=300)
    store.import_json(io.BytesIO(exported(given_store())), format="jsonl")
    found = {c.key: c.ttl for c in store.get_conversations()}
    assert sorted(found.values(), key=str) == [300.25, None, None]


def test_persist_and_parse_raw(tmp_path: Path) -> None:
    store = given_store()
    store.persist(tmp_path / "chat_store.json")
    assert everything(SimpleChatStore.from_persist_path(tmp_path / "chat_store.json")) == (
        everything(store)
    )
    assert everything(SimpleChatStore.parse_raw(store.json())) == everything(store)


def test_native_messages_keep_their_payload() -> None:
    payload = {"role": "user", "content": [{"type": "text", "text": NASTY}], "name": "é"}
    store = SimpleChatStore()
    store.add_message("user1", NativeMessage("openai.chat", payload))
    for format in FORMATS:
        again = imported(exported(store, format), format)
        [record], [before] = again.get_records("user1"), store.get_records("user1")
        assert (record.format, record.payload) == ("openai.chat", before.payload)
