"""The documentation runs: each page's code in order, in one folder, as one session.

A block marked `python` is run; one marked `py` is a piece that cannot stand alone. In a block
marked `console`, lines that begin with `$ chatstore` are run, on a `chat.db` with a conversation
if the page has not made one; a line with a pipe is left out, and docs/cli.md, whose lines are
grammar: tests/cli holds them to the commands. The recipes are run in tests/adapters.
"""

import ast
import asyncio
import inspect
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import pytest

import chatstore
from chatstore.cli import main

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
ELSEWHERE = {"cli.md", "recipes.md"}

LOCAL_REDIS = re.compile(r"redis://localhost:6379(/\d+)?")

EXPORTED = [{"conversations": [{"from": "human", "value": "Hello"}], "id": "1"}]
"""A ShareGPT file, for the pages that import one."""

WITHOUT_EXAMPLE = {
    "ABSENT": "a constant",
    "AsyncRedisChatStore": "needs a server",
    "Conversation": "made by stores, and shown where they return it",
    "Record": "made by stores, and shown where they return it",
    "RedisChatStore": "needs a server",
    "TransferReport": "made by stores, and shown where they return it",
    "__version__": "a constant",
}


class Block(NamedTuple):
    """A piece of code in a page."""

    kind: str
    line: int
    code: str


def _blocks(path: Path) -> Iterator[Block]:
    text = path.read_text(encoding="utf-8")
    for found in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(found[1], text.count("\n", 0, found.start(2)), found[2])


def _run_python(block: Block, path: Path, names: dict[str, Any]) -> None:
    # The lines of the page, so that a traceback points there.
    source = "\n" * block.line + block.code
    code = compile(source, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = FunctionType(code, names)()
    if inspect.iscoroutine(result):
        asyncio.run(result)


def _run_console(block: Block) -> None:
    if not Path("chat.db").exists():
        with chatstore.open_store("chat.db") as store:
            store.add_message("user1", chatstore.ChatMessage("Hello"))
    Path("conversations.json").write_text(json.dumps(EXPORTED))
    for line in block.code.splitlines():
        words = shlex.split(line, comments=True)
        if words[:2] == ["$", "chatstore"] and "|" not in words:
            assert main(words[2:]) == 0, line


@pytest.mark.parametrize(
    "path", [path for path in PAGES if path.name not in ELSEWHERE], ids=lambda path: path.name
)
def test_the_code_of_a_page_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    blocks = [block for block in _blocks(path) if block.kind in {"python", "console"}]
    monkeypatch.chdir(tmp_path)
    if any(LOCAL_REDIS.search(block.code) for block in blocks):
        url = request.getfixturevalue("redis_url")
        blocks = [block._replace(code=LOCAL_REDIS.sub(url, block.code)) for block in blocks]
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks:
        if block.kind == "python":
            _run_python(block, path, names)
        else:
            _run_console(block)


def _public() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in chatstore.__all__:
        thing = getattr(chatstore, name)
        if isinstance(thing, type):
            for inner, member in vars(thing).items():
                if not inner.startswith("_") and inspect.isfunction(member):
                    yield f"{name}.{inner}", member
        yield name, thing


def _is_error(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Exception)


def test_every_public_name_shows_an_example() -> None:
    silent = [
        name
        for name, thing in _public()
        if "." not in name and ">>> " not in (inspect.getdoc(thing) or "")
    ]
    expected = {*WITHOUT_EXAMPLE, *(n for n in silent if _is_error(getattr(chatstore, n)))}
    assert set(silent) == expected


def test_every_public_call_says_what_it_does() -> None:
    silent = [name for name, thing in _public() if not inspect.getdoc(thing)]
    assert [name for name in silent if WITHOUT_EXAMPLE.get(name) != "a constant"] == []


def test_every_call_of_the_contract_shows_an_example() -> None:
    for face in (chatstore.ChatStore, chatstore.AsyncChatStore):
        calls = {n: c for n, c in vars(face).items() if not n.startswith("_") and n != "close"}
        assert [name for name, call in calls.items() if ">>> " not in call.__doc__] == []
