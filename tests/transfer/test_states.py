"""States in files: their members, and what is refused of them."""

import io
import json
from typing import Any

import pytest

from chatstore import ChatMessage, SimpleChatStore, TransferError
from chatstore.testing.conformance.states import write
from chatstore.transfer import Format
from tests.transfer.given import (
    HEADER,
    MESSAGE,
    TIMES,
    content,
    exported,
    given_store,
    imported,
    sealed,
)
from tests.transfer.test_errors import refused

AT = b'"updated_at":"2026-01-31T12:00:00.000000Z"'


def line(state: bytes, more: bytes = b"") -> bytes:
    return b'{"conversation":"talk",' + TIMES + more + b',"state":' + state + b"}"


def alone(data: bytes, states: int = 1) -> bytes:
    """The file, whose footer says that so many lines are states without messages."""
    *lines, last = data.splitlines(keepends=True)
    footer = json.loads(last)
    footer["conversations"] -= states
    footer["states"] = states
    return b"".join(lines) + json.dumps(footer).encode() + b"\n"


GOOD = b'{"body":"{}",' + AT + b"}"
BAD = {
    "no object": (b"[]", "state is no object"),
    "nothing": (b"{}", "body of the state is no text"),
    "without a time": (b'{"body":"{}"}', "updated_at is no time"),
    "a time of another type": (b'{"body":"{}","updated_at":1}', "updated_at is no time"),
    "a body that is an object": (b'{"body":{},' + AT + b"}", "body of the state is no text"),
    "an empty body": (b'{"body":"",' + AT + b"}", "body of the state is no JSON"),
    "a body that is no JSON": (b'{"body":"{",' + AT + b"}", "body of the state is no JSON"),
    "a body with a name twice": (
        b'{"body":"{\\"a\\":1,\\"a\\":2}",' + AT + b"}",
        "body of the state is no JSON",
    ),
    "a body in two lines": (b'{"body":"{\\n}",' + AT + b"}", "not JSON in one line of ASCII"),
    "a body beyond ASCII": (b'{"body":"\\"\\u00e9\\"",' + AT + b"}", "one line of ASCII"),
    "parted that is no JSON": (
        b'{"body":"{}","parted":"[",' + AT + b"}",
        "parted of the state is no JSON",
    ),
    "parted of another type": (
        b'{"body":"{}","parted":null,' + AT + b"}",
        "parted of the state is no text",
    ),
    "a scope of another type": (b'{"body":"{}","scope":1,' + AT + b"}", "the scope of the state"),
    "a scope of null": (b'{"body":"{}","scope":null,' + AT + b"}", "the scope of the state"),
    "a scope with NUL": (b'{"body":"{}","scope":"\\u0000",' + AT + b"}", "the scope of the state"),
    "half a character": (b'{"body":"{}","scope":"\\ud800",' + AT + b"}", "the scope of the state"),
    "changed of another type": (b'{"body":"{}","changed":1,' + AT + b"}", "changed is neither"),
    "an unknown member": (b'{"body":"{}","later":1,' + AT + b"}", "members that version 1"),
}


@pytest.mark.parametrize("fault", BAD)
def test_what_is_no_state_is_refused_with_its_line(fault: str) -> None:
    state, match = BAD[fault]
    refused(sealed([line(state), MESSAGE]), "jsonl", f"line 2: .*{match}")
    refused(alone(sealed([line(state)])), "jsonl", f"line 2: .*{match}")
    known = line(state).replace(b'"conversation":"talk",', b"")
    refused(document(MESSAGE, known), "json", match)


def document(message: bytes, known: bytes) -> bytes:
    payload = message[1:-1].replace(b'"payload":{', b"").removesuffix(b"}")
    texts = b"[{" + payload + b"}]" if message else b""
    store = b'"talk":' + texts if message else b""
    return (
        b'{"class_name":"SimpleChatStore",' + HEADER[1:-1] + b',"store":{' + store
        + b'},"conversations":{"talk":' + known + b"}}"
    )  # fmt: skip


def test_the_files_of_these_tests_are_whole() -> None:
    known = line(GOOD).replace(b'"conversation":"talk",', b"")
    for file, shape in (
        (sealed([line(GOOD), MESSAGE]), "jsonl"),
        (document(MESSAGE, known), "json"),
    ):
        store = imported(file, shape)  # type: ignore[arg-type]
        assert store.get_messages("talk") == [ChatMessage("Hello")]
        assert b'"state":{"body":"{}"' in exported(store)
    for file, shape in ((alone(sealed([line(GOOD)])), "jsonl"), (document(b"", known), "json")):
        store = imported(file, shape)  # type: ignore[arg-type]
        assert store.get_keys() == []
        assert b'"state":{"body":"{}"' in exported(store)


def test_a_state_without_messages_is_that_alone() -> None:
    metadata = line(GOOD, b',"metadata":{"a":1}')
    changed = line(b'{"body":"{}","changed":true,' + AT + b"}")
    for bad in (metadata, changed):
        refused(alone(sealed([bad])), "jsonl", "a state without messages has no metadata")
        known = bad.replace(b'"conversation":"talk",', b"")
        refused(document(b"", known), "json", "a state without messages has no metadata")
        assert imported(sealed([bad, MESSAGE])).get_keys() == ["talk"]


def test_the_footer_counts_them() -> None:
    refused(sealed([line(GOOD)]), "jsonl", "the footer tells of another content")
    refused(alone(sealed([line(GOOD), MESSAGE])), "jsonl", "footer tells of another content")
    whole = alone(sealed([line(GOOD)]))
    refused(whole.replace(b'"states": 1', b'"states": 2'), "jsonl", "counts other lines")
    for bad in (b"-1", b"null", b'"1"', b"true"):
        file = whole.replace(b'"states": 1', b'"states": ' + bad)
        refused(file, "jsonl", "the footer is not whole")
    other = b'{"conversation":"walk",' + TIMES + b',"state":' + GOOD + b"}"
    both = alone(sealed([line(GOOD), MESSAGE, other]))
    assert imported(both).get_keys() == ["talk"]


def test_the_digest_covers_them() -> None:
    store = SimpleChatStore()
    write(store, key="talk", body='{"of":"mine"}')
    data = exported(store)
    refused(data.replace(b"mine", b"them"), "jsonl", "the digest does not fit")


@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_a_file_without_states_says_nothing_of_them(format: Format) -> None:
    store = given_store()
    plain = exported(store, format)
    assert b'"state' not in plain
    write(store, key="with a state")
    assert exported(store, format) != plain
    store._shelf.beside.clear()
    assert content(exported(store, format)) == content(plain)


def test_llama_index_reads_past_them() -> None:
    store = given_store()
    write(store, "x", key="user1")
    write(store, key="alone")
    document: dict[str, Any] = json.loads(exported(store, "json"))
    assert "alone" not in document["store"]
    assert document["conversations"]["alone"]["state"]["body"]
    assert set(document["store"]) == set(store.get_keys())


@pytest.mark.parametrize("body", ["{", '{\n"a":1}', '{"a":1,"a":2}', '"é"'])
@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_a_damaged_state_stops_the_export(body: str, format: Format) -> None:
    store = given_store()
    write(store, "x", key="user1", body=body)
    with pytest.raises(TransferError, match="the state beside 'user1' is damaged"):
        store.export_json(io.BytesIO(), format=format)
