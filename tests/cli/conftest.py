import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chatstore import ChatMessage, open_store
from chatstore.cli import main
from tests.cli.program import Program

CALL = {
    "block_type": "tool_call",
    "tool_call_id": "call_1",
    "tool_name": "weather",
    "tool_kwargs": {"city": "Oslo"},
}


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[Any]:
        """The lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody's settings, and a folder of the test's own."""
    for name in ("CHATSTORE_URL", "CHATSTORE_NAMESPACE", "CHATSTORE_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line, in this process."""

    def call(*words: object) -> Result:
        capsys.readouterr()
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return Result(code, said.out, said.err)

    return call


@pytest.fixture
def spawn() -> Run:
    """The command line, in a process of its own."""

    def call(*words: object, stdin: bytes = b"", **environment: str) -> Result:
        program = Program(*map(str, words), env={**os.environ, **environment})
        code, out, err = program.communicate(stdin)
        return Result(code, out.decode(), err.decode())

    return call


@pytest.fixture(scope="session")
def _model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: a fresh schema takes longer than most tests here."""
    path = tmp_path_factory.mktemp("model") / "chat.db"
    with open_store(path) as store:
        for number in range(12):
            role = "assistant" if number % 2 else "user"
            store.add_message("ann", ChatMessage(f"ann {number}", role=role, id=f"a{number}"))
        store.add_message("bob", ChatMessage("Hello\nthere"))
        store.set_ttl("bob", 3600)
        store.add_messages(
            "weather",
            [
                ChatMessage("Oslo?"),
                ChatMessage(role="assistant", blocks=[CALL]),
                ChatMessage("21 C", role="tool", additional_kwargs={"tool_call_id": "call_1"}),
            ],
        )
        store.set_metadata("weather", {"title": "The weather"})
    return path


@pytest.fixture
def chat(tmp_path: Path, _model: Path) -> str:
    """The path of a store with three conversations: ann, bob and weather."""
    return str(shutil.copy(_model, tmp_path / "chat.db"))
