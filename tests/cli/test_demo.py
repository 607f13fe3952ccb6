import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chatstore import ChatMessage, open_store
from chatstore.cli import demo, demo_place, demo_sample, demo_steps
from tests.cli.conftest import Run


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer is a process of its own, which has to find the package too."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setattr(demo, "_ACKNOWLEDGED", 20)


def chitchat(path: str = "dataset.json", conversations: int = 3) -> str:
    def said(n: int) -> dict[str, str]:
        stamp = f"2018-05-02T12:00:{n // 2:02}Z"
        return {"text": f"say {n}", "timestamp": stamp, "sender": "ab"[n % 2]}

    data = {
        f"c{number}": {
            "start": "2018-05-02T12:00:00Z",
            "messages": [[said(n)] for n in range(4 + number)],
        }
        for number in range(conversations)
    }
    Path(path).write_text(json.dumps(data))
    return path


def test_the_whole_story(run: Run) -> None:
    found = run("demo", "--small")
    assert found.code == 0, found.out + found.err
    out = found.out
    assert f"1 680 messages in {demo_sample.CONVERSATIONS} conversations" in out
    assert "kitchen-40" in out
    assert "was killed (kill -9) after" in out
    assert "acknowledged messages are there, in order" in out
    assert "check: no problems" in out
    assert "equal: keys, order, texts, times, metadata" in out
    assert "messages/s" in out
    assert "Traceback" not in found.err
    with open_store("chat.db") as store:
        assert store.get_messages("kitchen-40", last=1)[0].content == (
            "Of course: nothing was forgotten."
        )
    assert run("import", "chat.demo.jsonl.gz", "--url", "again.db").code == 0
    # What it made, it may make again.
    assert run("demo", "--small").code == 0


def test_it_leaves_alone_what_is_not_its_own(run: Run, chat: str) -> None:
    before = Path(chat).read_bytes()
    found = run("demo", "--small")
    assert found.code == 2
    assert "chatstore demo --path demo.db" in found.err
    assert Path(chat).read_bytes() == before
    Path("text.db").write_text("hello")
    assert run("demo", "--small", "--path", "text.db").code == 2
    assert Path("text.db").read_text() == "hello"
    Path("mine.demo.jsonl.gz").write_text("my backup")
    assert run("demo", "--small", "--path", "mine.db").code == 2
    assert Path("mine.demo.jsonl.gz").read_text() == "my backup"


def test_an_empty_file_is_not_its_own(run: Run) -> None:
    Path("empty.db").touch()
    assert run("demo", "--small", "--path", "empty.db").code == 2
    with open_store("fresh.db"):
        pass
    assert run("demo", "--data", chitchat(), "--path", "fresh.db").code == 0
    assert not Path("chat.db").exists()


def test_other_data(run: Run) -> None:
    found = run("demo", "--data", chitchat())
    assert found.code == 0, found.out + found.err
    assert "15 messages in 3 conversations" in found.out
    assert "[5] assistant  2018-05-02" in found.out


def test_the_real_data_is_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "find", lambda: None)
    found = run("demo")
    assert found.code == 5
    assert "pip install chitchat-dataset" in found.err
    assert "--small" in found.err
    assert not Path("chat.db").exists()


def test_the_real_data_is_found_in_its_package(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "packages/chitchat_dataset").mkdir(parents=True)
    (tmp_path / "packages/chitchat_dataset/__init__.py").touch()
    chitchat("packages/chitchat_dataset/dataset.json", 2)
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    assert "Import dataset.json" in run("demo").out


def test_on_redis_in_a_namespace_of_its_own(run: Run, redis_url: str) -> None:
    with open_store(redis_url) as store:
        store.add_message("mine", ChatMessage("Hello"))
    for _ in range(2):
        found = run("demo", "--small", "--url", redis_url)
        assert found.code == 0, found.out + found.err
    with open_store(redis_url) as store:
        assert store.get_keys() == ["mine"]
    with open_store(redis_url, namespace=demo_place.NAMESPACE) as store:
        for key in store.get_keys():
            store.delete_messages(key)
        store.add_message("foreign", ChatMessage("Hello"))
    assert run("demo", "--small", "--url", redis_url).code == 2


def test_a_loss_would_be_seen(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_steps, "text_of", lambda number: f"append {number + 1}")
    found = run("demo", "--small")
    assert found.code == 1
    assert "not as they should be" in found.out


def test_a_difference_would_be_seen(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = iter("ab")
    monkeypatch.setattr(demo_steps, "content_digest", lambda *_: next(digests))
    found = run("demo", "--small")
    assert found.code == 1
    assert "they differ" in found.out


def test_a_writer_that_cannot_write_would_be_seen(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.Popen

    def broken(words: list[str], **options: Any) -> Any:
        return real([words[0], "-c", "print(1)"], **options)

    monkeypatch.setattr(subprocess, "Popen", broken)
    found = run("demo", "--small")
    assert found.code == 1
    assert "the writer ended by itself" in found.out
