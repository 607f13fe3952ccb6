"""What was stored never reaches the terminal as a command to it."""

import pytest

from chatstore import ChatMessage, open_store
from chatstore.cli.clean import clean, clean_lines, hide_passwords
from tests.cli.conftest import Run

CLIPBOARD = "\x1b]52;c;cm0gLXJmIH4=\x07"
LINK = "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\"
HOSTILE = [
    "\x1b[2J",
    CLIPBOARD,
    LINK,
    "\x9b31m",
    "\x90q\x9c",
    "\r overwritten",
    "\b\b\b",
    "\u202egnp.exe",
    "\u2066\u2069",
    "\u200e\u200f\u061c",
    "\u2028\u2029",
    "\x7f\x00\x85",
    "\ud800",
    "\ufeff",
    "\U000e0041",
]
SEEN_BY_TERMINALS = set("".join(HOSTILE)) - set(map(chr, range(0x20, 0x7F)))


def is_harmless(text: str) -> bool:
    return not SEEN_BY_TERMINALS & set(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_escapes_are_shown_and_not_obeyed(text: str) -> None:
    assert is_harmless(clean(text))
    assert "\\" in clean(text)


@pytest.mark.parametrize(
    "text", ["Grüße", "日本語", "👩‍👩‍👧‍👦", "a\u0301", "שלום", "नमस्ते", "100 %", "\\x1b", "क्‍ष"]
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


def test_lines_are_kept_and_nothing_else() -> None:
    assert clean_lines("a\tb\r\nc\rd\x0be\n") == ["a\tb", "c\\x0dd\\x0be", ""]
    assert clean("key\nwith\tmore") == "key\\x0awith\\x09more"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_command_lets_one_through(run: Run, chat: str, text: str) -> None:
    storable = text.replace("\x00", "").replace("\ud800", "")
    key = f"k{storable}"
    with open_store(chat) as store:
        store.add_message(key, ChatMessage(text, role=f"user{storable}"))
        blocks = [
            {"block_type": f"x{text}"},
            {"block_type": "thinking", "content": text},
            {"block_type": "tool_call", "tool_name": text, "tool_kwargs": {"a": text}},
        ]
        store.add_message(key, ChatMessage(role="assistant", blocks=blocks, id=f"i{storable}"))
        store.set_metadata(key, {"title": text})
    words = (
        ["list"],
        ["show", key],
        ["show", key, "--records"],
        ["tail", key, "--json"],
        ["list", "--json"],
        ["set-ttl", key, "500"],
        ["delete", key, "--yes"],
        ["show", key],
        ["show", f"nobody{storable}"],
        ["export", f"missing{storable}/x.json"],
        ["import", f"missing{storable}.jsonl"],
    )
    for command in words:
        found = run(*command, "--url", chat)
        assert is_harmless(found.out + found.err), command
        assert found.err.count("\n") <= 1


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("redis://:pw@host:6379/0", "redis://:***@host:6379/0"),
        ("cannot open postgresql+psycopg://me:p%40w@h/db now", "postgresql+psycopg://me:***@h/db"),
        ("redis+sentinel://me:p:w/@h1,h2/s/0", "redis+sentinel://me:***@h1,h2/s/0"),
        ("postgresql://h/db?user=a&password=pw&x=1", "postgresql://h/db?user=a&password=***&x=1"),
        ("sqlite:///a:b@c.db", "sqlite:///a:b@c.db"),
        ("at 10:30 a@b.c", "at 10:30 a@b.c"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
    ],
)
def test_passwords_are_hidden(text: str, hidden: str) -> None:
    assert hidden in hide_passwords(text)
