"""Stores to export, files to import, and a second way to write the footer of one."""

import hashlib
import io
import json
import re
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from chatstore import ChatMessage, NativeMessage, SimpleChatStore
from chatstore.records import Draft
from chatstore.transfer import Format, TransferReport

NASTY = 'NUL \0, half a pair \ud800, \u2028\u2029, \x7f\x1b[31m, \\ " / é 😀 \ufeff <script>'


def given_store(**options: Any) -> SimpleChatStore:
    """A bit of everything, in a store."""
    store = SimpleChatStore(**options)
    store.add_messages(
        "all/kinds",
        [
            ChatMessage("Be brief.", role="system"),
            ChatMessage(NASTY, id='id "quoted", é'),
            ChatMessage(role="assistant", blocks=[tool_call("c1"), tool_call("c2")]),
            ChatMessage("21 C", role="tool", additional_kwargs={"tool_call_id": "c1"}),
            ChatMessage(blocks=[{"block_type": "unheard-of", "deep": [[{"x": [None, 1.5e300]}]]}]),
            ChatMessage(
                "", role="critic 😀", status="an extra", payload=1, native={}, content_="x"
            ),
            ChatMessage(role="assistant"),
            NativeMessage("openai.chat", {"role": "assistant", "tool_calls": [openai_call()]}),
            NativeMessage("openai.chat", {"role": "user", "content": NASTY}, id="native"),
            NativeMessage("chatstore", {"role": "user"}),
        ],
    )
    store.archive_messages("all/kinds", 3)
    store.set_metadata("all/kinds", {"title": NASTY, "n": [1, 2.5, None, True, {"": {}}]})
    store.add_message('é😀 key with "quotes" and ,"payload":{', ChatMessage("Hello"))
    store.set_ttl('é😀 key with "quotes" and ,"payload":{', 300.25)
    store.add_messages("user1", [ChatMessage(f"message {i}") for i in range(7)])
    return store


def tool_call(id: str) -> dict[str, Any]:
    return {
        "block_type": "tool_call",
        "tool_call_id": id,
        "tool_name": "weather",
        "tool_kwargs": {"city": "Zürich", ',"payload":{': 1},
    }


def openai_call() -> dict[str, Any]:
    return {"id": "c9", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def given_row(store: SimpleChatStore, key: str, **columns: Any) -> None:
    """Put a row behind the others by the back door, as damage or a newer version would."""
    held = store._shelf.held[key]
    draft = Draft(None, "chatstore", "{}", "user", None, None, False, 0)._replace(**columns)
    held.append([draft])


def exported(store: SimpleChatStore, format: Format = "jsonl") -> bytes:
    file = io.BytesIO()
    store.export_json(file, format=format)
    return file.getvalue()


def imported(data: bytes, format: Format = "jsonl", **options: Any) -> SimpleChatStore:
    store = SimpleChatStore()
    store.import_json(io.BytesIO(data), format=format, **options)
    return store


def content(data: bytes) -> bytes:
    """A file without what differs between exports of the same store."""
    return re.sub(rb'"exported_at":"[^"]*","source":"(?:[^"\\]|\\.)*"', b"", data, count=1)


def everything(store: SimpleChatStore) -> list[tuple[Any, ...]]:
    """All that a store holds but what it made itself, read without an export."""
    return [
        (
            conversation.key,
            conversation.created_at,
            conversation.updated_at,
            conversation.ttl,
            conversation.expires_at,
            conversation.metadata,
            [tuple(row[3:]) for row in store._shelf.held[conversation.key].rows],
        )
        for conversation in store.get_conversations(order="key")
    ]


def sealed(lines: Sequence[bytes]) -> bytes:
    """A `.jsonl` file of these lines, as the page docs/json.md says that it is written."""
    body = b"".join(line + b"\n" for line in lines)
    digest = hashlib.sha256(b'{"format":"chatstore","version":1}\n' + body).hexdigest()
    talks = sum(line.startswith(b'{"conversation"') for line in lines)
    footer = {
        "end": True,
        "conversations": talks,
        "messages": len(lines) - talks,
        "sha256": digest,
    }
    return HEADER + b"\n" + body + json.dumps(footer).encode() + b"\n"


HEADER = (
    b'{"format":"chatstore","version":1,"snapshot":true,'
    b'"exported_at":"2026-01-31T12:00:00.000000Z","source":"a test"}'
)
TIMES = b'"created_at":"2026-01-31T12:00:00.000000Z","updated_at":"2026-01-31T12:00:00.000000Z"'
TALK = b'{"conversation":"talk",' + TIMES + b"}"
TIME = b'"created_at":"2026-01-31T12:00:00.000000Z"'
HELLO = b'{"role":"user","additional_kwargs":{},"blocks":[{"block_type":"text","text":"Hello"}]}'
MESSAGE = b"{" + TIME + b',"payload":' + HELLO + b"}"


def drain(stream: Any, on_conflict: str) -> TransferReport:
    """A `restore` that keeps nothing."""
    conversations = messages = 0
    for _, drafts in stream():
        conversations += 1
        messages += sum(1 for _ in drafts)
    return TransferReport(conversations, messages)


# Strategies


def _joined(text: str) -> str:
    """Two halves side by side become the character that they are in JSON; lone ones stay."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


text = st.text(st.characters(codec=None), max_size=20).map(_joined) | st.sampled_from(
    ["", NASTY, "plain"]
)
words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=10)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(words, values, max_size=3)
blocks = st.builds(lambda t: {"block_type": "text", "text": t}, text) | st.builds(
    lambda kind, rest: {**rest, "block_type": kind},
    st.sampled_from(["text", "image", "tool_call", "thinking", "unheard-of"]),
    objects,
)
_names = words.filter(lambda name: name not in {"self", "content"} and name.isidentifier())
extras = st.dictionaries(
    _names.filter(lambda n: not n.startswith("_") and n not in ChatMessage.model_fields)
    | st.sampled_from(["status", "native", "payload", "raw", "format"]),
    values,
    max_size=1,
)
roles = st.sampled_from(["user", "assistant", "system", "tool", "function"]) | words.filter(
    lambda word: "\0" not in word
)
messages = (
    st.builds(lambda t, r: ChatMessage(t, role=r), text, roles)
    | st.builds(
        lambda role, kwargs, parts, extra: ChatMessage(
            role=role, additional_kwargs=kwargs, blocks=parts, **extra
        ),
        roles,
        objects,
        st.lists(blocks, max_size=3),
        extras,
    )
    | st.builds(
        lambda content: NativeMessage("openai.chat", {"role": "user", "content": content}), text
    )
)
keys = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
ids = st.none() | words.filter(lambda w: "\0" not in w and not w.startswith("~"))


@st.composite
def stores(draw: st.DrawFn) -> SimpleChatStore:
    store = SimpleChatStore()
    for key in draw(st.lists(keys, unique=True, max_size=3)):
        found = draw(st.lists(messages, min_size=1, max_size=5))
        for message, id in zip(found, draw(st.lists(ids, unique=True, max_size=5)), strict=False):
            message.id = id
        store.add_messages(key, found)
        store.archive_messages(key, draw(st.integers(0, 2)))
        if draw(st.booleans()):
            store.set_metadata(key, draw(objects))
        if draw(st.booleans()):
            # As long as the arithmetic of floats is exact, and longer than the test.
            store.set_ttl(key, draw(st.integers(10**9, 10**15)) / 1_000_000)
    return store
