"""Conversations that a migration could hurt, as rows: what the dumps hold."""

import json
from typing import Any, NamedTuple

from chatstore import codec
from chatstore.messages import ChatMessage

START = 1_700_000_000_000_000
DAY = 86_400 * 1_000_000
IN_2100 = 4_102_444_800_000_000


class Line(NamedTuple):
    """A message's columns, but for its place."""

    id: str | None
    format: str
    payload: str
    role: str
    kind: str | None
    tool_call_ids: str | None
    archived: bool
    created_at: int


class Talk(NamedTuple):
    """A conversation's columns, but for counters, and its messages."""

    namespace: str
    key: str
    lines: list[Line]
    revision: int
    metadata: dict[str, Any]
    ttl: int | None = None
    expires_at: int | None = None


def line(message: ChatMessage, at: int = START, *, archived: bool = False) -> Line:
    draft = codec.encode(message, at)
    return Line(*draft)._replace(archived=archived)


def raw(payload: str, format: str = "chatstore", role: str = "user") -> Line:
    """What no version of ours would write, or only a later one."""
    return Line(None, format, payload, role, None, None, False, START)


def text(content: str, **more: Any) -> Line:
    archived = more.pop("archived", False)
    return line(ChatMessage(content, **more), archived=archived)


def called(name: str, id: str) -> Line:
    block = {
        "block_type": "tool_call",
        "tool_call_id": id,
        "tool_name": name,
        "tool_kwargs": {"city": "Zürich 🌍", "n": [1, 2.5, None, True]},
    }
    return line(ChatMessage(role="assistant", blocks=[block]))


def answered(id: str) -> Line:
    message = ChatMessage("7 °C", role="tool", additional_kwargs={"tool_call_id": id})
    return line(message)


def talks() -> list[Talk]:
    surrogates = text("half \ud83d an emoji, \x00 NUL, \u2028 line, 👩‍👩‍👧 family, ' \" ; --")
    return [
        # More than a block of 256, not all with ids, ids of every kind.
        Talk(
            "",
            "long",
            [
                text(f"message {n}", id=f"id:{n:03}" if n % 3 else None, role=role)
                for n in range(323)
                for role in ("assistant" if n % 2 else "user",)
            ],
            400,
            {},
        ),
        Talk("", "Robert'); DROP TABLE chatstore_message; --", [surrogates, text("")], 1, {}),
        Talk("", 'say "hi" to 👩‍👩‍👧 %s %(x)s :name ? \\ \n\t {}*_', [text("x")], 1, {"a": "'"}),
        Talk("", "caf\u00e9", [text("composed")], 1, {}),
        Talk("", "cafe\u0301", [text("decomposed")], 1, {}),
        Talk("", "k" * 1_024, [text("the longest key")], 1, {}),
        Talk("tenant β", "long", [text("the same key elsewhere", id="id:001")], 9, {}),
        Talk(
            "",
            "archived in part",
            [text(f"m{n}", archived=n < 10, id=None if n % 2 else f"a'{n}") for n in range(25)],
            31,
            {"title": "Ordner \u2028 \ud800", "deep": [[[{"": None}]]], "n": 10**30},
        ),
        Talk("", "all archived", [text(f"m{n}", archived=True) for n in range(3)], 4, {}),
        Talk("", "lives", [text("for a day"), text("more")], 2, {}, DAY, IN_2100),
        Talk("", "expired", [text("long ago")], 1, {}, DAY, START + DAY),
        Talk("", "tools", [called("weather", "call 'ü'"), answered("call 'ü'")], 2, {}),
        Talk(
            "",
            "payloads",
            [
                raw('{"not": "ours"}', format="future.format"),
                raw("{no json at all"),
                raw("", role=""),
                raw(json.dumps({"role": "user", "blocks": [], "additional_kwargs": {}})),
                text("y" * 20_000, id="quote \" and ' and 👩‍👩‍👧"),
            ],
            5,
            {},
        ),
    ]
