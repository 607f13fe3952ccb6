"""What one framework wrote, every other reads: texts, roles, order and tool calls."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core import messages as lc
from llama_index.core.base.llms import types as li
from pydantic_ai import messages as pai
from pydantic_ai.conversation import Conversation

from chatstore import ChatMemoryBuffer, ChatMessage, ChatStore, open_store
from chatstore.adapters.langchain import ChatStoreMessageHistory
from chatstore.adapters.llama_index import LlamaIndexChatStore
from chatstore.adapters.openai_agents import ChatStoreSession
from chatstore.adapters.parts import unfolded
from chatstore.adapters.pydantic_ai import ChatStoreConversations

Event = tuple[str, ...]

TALK: list[Event] = [
    ("system", "Be kind."),
    ("user", "Oslo and Rome?"),
    ("assistant", "I will look."),
    ("call", "c1", "weather", '{"city": "Oslo"}'),
    ("call", "c2", "weather", '{"city": "Rome"}'),
    ("result", "c1", "21 C"),
    ("result", "c2", "30 C"),
    ("assistant", "21 and 30.\nWarm! \0 \u2028 😀"),
    ("user", ""),
]
ARGS: list[Any] = [{"city": "Oslo"}, {"city": "Rome"}]


def write_chatstore(store: ChatStore) -> None:
    texts = [{"block_type": "text", "text": "I will look."}]
    calls = [
        {"block_type": "tool_call", "tool_call_id": id, "tool_name": "weather", "tool_kwargs": args}
        for id, args in zip(("c1", "c2"), ARGS, strict=True)
    ]
    store.add_messages(
        "k",
        [
            ChatMessage(TALK[0][1], role="system"),
            ChatMessage(TALK[1][1]),
            ChatMessage(role="assistant", blocks=texts + calls),
            ChatMessage("21 C", role="tool", additional_kwargs={"tool_call_id": "c1"}),
            ChatMessage("30 C", role="tool", additional_kwargs={"tool_call_id": "c2"}),
            ChatMessage(TALK[7][1], role="assistant"),
            ChatMessage(""),
        ],
    )


def write_llama_index(store: ChatStore) -> None:
    calls = [
        li.ToolCallBlock(tool_call_id=id, tool_name="weather", tool_kwargs=args)
        for id, args in zip(("c1", "c2"), ARGS, strict=True)
    ]
    tool = li.MessageRole.TOOL
    LlamaIndexChatStore(store).set_messages(
        "k",
        [
            li.ChatMessage(TALK[0][1], role="system"),
            li.ChatMessage(TALK[1][1]),
            li.ChatMessage(role="assistant", blocks=[li.TextBlock(text=TALK[2][1]), *calls]),
            li.ChatMessage("21 C", role=tool, additional_kwargs={"tool_call_id": "c1"}),
            # As with notes.
            li.ChatMessage("30 C", role=tool, additional_kwargs={"tool_call_id": "c2", "b": b"x"}),
            li.ChatMessage(TALK[7][1], role="assistant"),
            li.ChatMessage(""),
        ],
    )


def write_langchain(store: ChatStore) -> None:
    calls = [
        lc.ToolCall(name="weather", args=args, id=id)
        for id, args in zip(("c1", "c2"), ARGS, strict=True)
    ]
    # As Anthropic's models say it: the calls are parts of the content as well.
    parts: list[Any] = [{"type": "text", "text": TALK[2][1]}]
    parts += [{"type": "tool_use", "id": c["id"], "name": "weather", "input": {}} for c in calls]
    ChatStoreMessageHistory("k", store).add_messages(
        [
            lc.SystemMessage(TALK[0][1]),
            lc.HumanMessage(TALK[1][1]),
            lc.AIMessage(parts, tool_calls=calls),
            lc.ToolMessage("21 C", tool_call_id="c1"),
            lc.ToolMessage("30 C", tool_call_id="c2", artifact=(1, 2)),
            lc.AIMessageChunk(content=TALK[7][1]),
            lc.HumanMessage(""),
        ]
    )


def write_openai(store: ChatStore) -> None:
    items: list[Any] = [
        {"role": "system", "content": TALK[0][1]},
        {"role": "user", "content": [{"type": "input_text", "text": TALK[1][1]}]},
        {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "g"},
        {
            "type": "message",
            "id": "msg",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": TALK[2][1], "annotations": []}],
        },
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": TALK[3][3]},
        {"type": "function_call", "call_id": "c2", "name": "weather", "arguments": TALK[4][3]},
        {"type": "function_call_output", "call_id": "c1", "output": "21 C"},
        {"type": "function_call_output", "call_id": "c2", "output": [_input("30 C")]},
        {"role": "assistant", "content": TALK[7][1]},
        {"role": "user", "content": ""},
    ]
    asyncio.run(ChatStoreSession("k", store).add_items(items))


def write_pydantic_ai(store: ChatStore) -> None:
    calls = [
        pai.ToolCallPart("weather", args, id) for id, args in zip(("c1", "c2"), ARGS, strict=True)
    ]
    # As its agents write it: several roles, and several results, in one request.
    written: list[pai.ModelMessage] = [
        pai.ModelRequest(parts=[pai.SystemPromptPart(TALK[0][1]), pai.UserPromptPart(TALK[1][1])]),
        pai.ModelResponse(parts=[pai.ThinkingPart("Hm."), pai.TextPart(TALK[2][1]), *calls]),
        pai.ModelRequest(
            parts=[
                pai.ToolReturnPart("weather", "21 C", "c1"),
                pai.ToolReturnPart("weather", "30 C", "c2"),
            ]
        ),
        pai.ModelResponse(parts=[pai.TextPart(TALK[7][1])]),
    ]
    talk = Conversation(conversation_id="k", messages=written)
    asyncio.run(ChatStoreConversations(store).save(talk))


def _input(text: str) -> dict[str, str]:
    return {"type": "input_text", "text": text}


def read_chatstore(store: ChatStore) -> list[Event]:
    return [event for message in store.get_messages("k") for event in _events(message)]


def _events(whole: ChatMessage) -> list[Event]:
    return [event for message in unfolded(whole) for event in _events_of(message)]


def _events_of(message: ChatMessage) -> list[Event]:
    if message.role == "tool":
        return [("result", message.additional_kwargs["tool_call_id"], message.content or "")]
    found: list[Event] = []
    if message.content is not None:
        found.append((message.role, message.content))
    for block in message.blocks:
        if block["block_type"] == "tool_call":
            args = block["tool_kwargs"]
            args = args if isinstance(args, str) else json.dumps(args)
            found.append(("call", block["tool_call_id"], block["tool_name"], args))
    return found


def read_llama_index(store: ChatStore) -> list[Event]:
    found: list[Event] = []
    for message in LlamaIndexChatStore(store).get_messages("k"):
        assert isinstance(message.role, li.MessageRole)
        if message.role is li.MessageRole.TOOL:
            found.append(
                ("result", message.additional_kwargs["tool_call_id"], message.content or "")
            )
            continue
        if message.content is not None:
            found.append((message.role.value, message.content))
        for block in message.blocks:
            if isinstance(block, li.ToolCallBlock):
                args = block.tool_kwargs
                args = args if isinstance(args, str) else json.dumps(args)
                found.append(("call", str(block.tool_call_id), block.tool_name, args))
    return found


def read_langchain(store: ChatStore) -> list[Event]:
    roles = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant"}
    found: list[Event] = []
    for message in ChatStoreMessageHistory("k", store).messages:
        text = str(message.text)
        if isinstance(message, lc.ToolMessage):
            found.append(("result", message.tool_call_id, text))
            continue
        calls = message.tool_calls if isinstance(message, lc.AIMessage) else []
        only_thinking = not isinstance(message.content, str) and not text
        if not only_thinking and (text or not calls):
            found.append((roles.get(message.type, message.type), text))
        found += [("call", str(c["id"]), c["name"], json.dumps(c["args"])) for c in calls]
    return found


def read_openai(store: ChatStore) -> list[Event]:
    found: list[Event] = []
    items: list[Any] = list(asyncio.run(ChatStoreSession("k", store).get_items()))
    for item in items:
        kind = item.get("type", "message")
        if kind == "function_call":
            found.append(("call", item["call_id"], item["name"], item["arguments"]))
        elif kind == "function_call_output":
            found.append(("result", item["call_id"], _joined(item["output"])))
        elif kind == "message":
            found.append((item["role"], _joined(item["content"])))
    return found


def read_pydantic_ai(store: ChatStore) -> list[Event]:
    loaded = asyncio.run(ChatStoreConversations(store).load("k"))
    found: list[Event] = []
    parts: list[Any] = [part for message in loaded.messages for part in message.parts]  # type: ignore[union-attr]
    for part in parts:
        if part.part_kind == "tool-call":
            found.append(
                ("call", part.tool_call_id, part.tool_name, json.dumps(part.args_as_dict()))
            )
        elif part.part_kind == "tool-return":
            found.append(("result", part.tool_call_id, part.content))
        elif part.part_kind != "thinking":
            role = {"user-prompt": "user", "system-prompt": "system"}.get(part.part_kind)
            found.append((role or "assistant", part.content))
    return found


def _joined(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)


WRITERS = [write_chatstore, write_llama_index, write_langchain, write_openai, write_pydantic_ai]
READERS = [read_chatstore, read_llama_index, read_langchain, read_openai, read_pydantic_ai]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("write", WRITERS)
def test_everyone_reads_everyone(
    write: Callable[[ChatStore], None], read: Callable[[ChatStore], list[Event]]
) -> None:
    with open_store("memory://") as store:
        write(store)
        found = [event for event in read(store) if event != ("user", "")]
        assert found == TALK[:-1]


@pytest.mark.parametrize("write", WRITERS)
def test_a_window_keeps_calls_with_results(write: Callable[[ChatStore], None]) -> None:
    with open_store("memory://") as store:
        write(store)
        kinds = [r.kind for r in store.get_records("k") if r.kind not in ("message", "reasoning")]
        assert set(kinds) == {"tool_call", "tool_result"}
        for limit in range(1, 60, 4):
            memory = ChatMemoryBuffer(limit, store, "k", str.split)
            events = [event for message in memory.get() for event in _events(message)]
            calls = {event[1] for event in events if event[0] == "call"}
            for event in events:
                assert event[0] != "result" or event[1] in calls


@pytest.mark.parametrize(
    ("module", "framework", "extra"),
    [
        ("llama_index", "llama_index", "llama-index"),
        ("langchain", "langchain_core", "langchain"),
        ("openai_agents", "agents", "openai-agents"),
        ("pydantic_ai", "pydantic_ai", "pydantic-ai"),
    ],
)
def test_a_missing_framework_names_its_extra(module: str, framework: str, extra: str) -> None:
    script = f"""
import sys, chatstore
known = ("llama_index", "langchain", "agents", "openai", "pydantic_ai")
assert not [name for name in sys.modules if name.partition(".")[0].startswith(known)]
sys.modules[{framework!r}] = None
import chatstore.adapters
try:
    import chatstore.adapters.{module}
except ImportError as error:
    assert "chatstore-sql[{extra}]" in str(error), error
else:
    raise AssertionError("imported")
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_call_is_said_once() -> None:
    with open_store("memory://") as store:
        write_langchain(store)
        types = [block["block_type"] for block in store.get_messages("k")[2].blocks]
        assert types == ["text", "tool_call", "tool_call"]


def test_what_nobody_can_read_is_said_and_not_shown_as_a_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with open_store("memory://") as store:
        store.add_messages("k", [ChatMessage(text) for text in "abc"])
        rows = store._shelf.held["k"].rows  # type: ignore[attr-defined]
        rows[1] = rows[1]._replace(format="chatstore/99", payload='{"said":"secret"}')
        history = ChatStoreMessageHistory("k", store)
        assert [message.content for message in history.messages] == ["a", "c"]
        session = ChatStoreSession("k", store)
        assert len(asyncio.run(session.get_items())) == 2
        chats = LlamaIndexChatStore(store)
        assert [message.content for message in chats.get_messages("k")] == ["a", None, "c"]
        talk = asyncio.run(ChatStoreConversations(store).load("k"))
        assert talk is not None
        assert len(talk.messages) == 3
        # An entry of Pydantic AI's has an id of its own.
        named = re.compile(r"the message (~1-2|chatstore:\w+) cannot be decoded: unknown format .*")
        said = [named.fullmatch(record.getMessage()) for record in caplog.records]
        assert [found and found[1] == "~1-2" for found in said] == [True, True, True, False]
        assert {record.name for record in caplog.records} == {"chatstore.adapters"}
        assert store.get_records("k")[1].payload == '{"said":"secret"}'
