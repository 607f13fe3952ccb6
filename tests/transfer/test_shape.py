"""The files to the byte: a change here is a new version of the shape, or a mistake."""

import hashlib
from typing import Any

import pytest

from chatstore import ChatMessage, NativeMessage, SimpleChatStore
from chatstore.transfer import Format
from tests.transfer.given import everything, exported, given_row, imported

T = "2023-11-14T22:13:20.000000Z"

HEADER = (
    '{"format":"chatstore","version":1,"snapshot":true,'
    f'"exported_at":"{T}","source":"SimpleChatStore()"}}\n'
)
LINES = rf"""
{{"conversation":"a","created_at":"{T}","updated_at":"{T}","ttl":300,"expires_at":"2023-11-14T22:18:20.000000Z","metadata":{{"title":"\u00e9"}}}}
{{"created_at":"{T}","id":"m1","status":"archived","payload":{{"role":"user","additional_kwargs":{{}},"blocks":[{{"block_type":"text","text":"\ud83d\ude00"}}]}}}}
{{"created_at":"{T}","payload":{{"role":"critic","additional_kwargs":{{}},"blocks":[],"n":1}}}}
{{"created_at":"{T}","format":"openai.chat","role":"tool","kind":"tool_result","tool_call_ids":["c1"],"payload":{{"role":"tool","content":"x","tool_call_id":"c1"}}}}
{{"created_at":"{T}","format":"later/1","role":"user","payload":{{"x":1}}}}
{{"created_at":"{T}","role":"user","raw":"{{"}}
"""[1:]

DOCUMENT = rf"""{{
"class_name":"SimpleChatStore","format":"chatstore","version":1,
"snapshot":true,"exported_at":"{T}","source":"SimpleChatStore()",
"store":{{
"a":[
{{"role":"user","additional_kwargs":{{}},"blocks":[{{"block_type":"text","text":"\ud83d\ude00"}}],"created_at":"{T}","id":"m1","status":"archived"}},
{{"role":"assistant","additional_kwargs":{{}},"blocks":[],"created_at":"{T}","native":{{"payload":{{"role":"critic","additional_kwargs":{{}},"blocks":[],"n":1}}}}}},
{{"role":"tool","additional_kwargs":{{"tool_call_id":"c1"}},"blocks":[{{"block_type":"text","text":"x"}}],"created_at":"{T}","native":{{"format":"openai.chat","role":"tool","kind":"tool_result","tool_call_ids":["c1"],"payload":{{"role":"tool","content":"x","tool_call_id":"c1"}}}}}},
{{"role":"user","additional_kwargs":{{}},"blocks":[],"created_at":"{T}","native":{{"format":"later/1","role":"user","payload":{{"x":1}}}}}},
{{"role":"user","additional_kwargs":{{}},"blocks":[],"created_at":"{T}","native":{{"role":"user","raw":"{{"}}}}
]
}},
"conversations":{{
"a":{{"created_at":"{T}","updated_at":"{T}","ttl":300,"expires_at":"2023-11-14T22:18:20.000000Z","metadata":{{"title":"\u00e9"}}}}
}}
}}
"""


@pytest.fixture
def store(monkeypatch: Any) -> SimpleChatStore:
    now = 1_700_000_000_000_000
    monkeypatch.setattr("chatstore.clock.now", lambda: now)
    store = SimpleChatStore(ttl=300)
    store.add_message("a", ChatMessage("😀", id="m1"))
    store.add_message("a", ChatMessage(role="critic", n=1))
    answer = {"role": "tool", "content": "x", "tool_call_id": "c1"}
    store.add_message("a", NativeMessage("openai.chat", answer))
    store.archive_messages("a", 1)
    store.set_metadata("a", {"title": "é"})
    given_row(store, "a", format="later/1", payload='{"x":1}', created_at=now)
    given_row(store, "a", payload="{", created_at=now)
    return store


def test_lines(store: SimpleChatStore) -> None:
    fixed = '{"format":"chatstore","version":1}\n'
    digest = hashlib.sha256((fixed + LINES).encode()).hexdigest()
    footer = f'{{"end":true,"conversations":1,"messages":5,"sha256":"{digest}"}}\n'
    assert exported(store).decode("ascii") == HEADER + LINES + footer


def test_document(store: SimpleChatStore) -> None:
    assert exported(store, "json").decode("ascii") == DOCUMENT


@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_both_come_back(store: SimpleChatStore, format: Format) -> None:
    assert everything(imported(exported(store, format), format)) == everything(store)
