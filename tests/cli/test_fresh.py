"""A SQLite file that an import or a copy makes: it is there when all is in it, or not at all."""

import contextlib
import errno
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chatstore import ChatMessage, ChatStore, ConflictError, StoreFullError, open_store
from chatstore.cli.fresh import open_filling
from tests.cli.conftest import Run
from tests.cli.program import Program
from tests.cli.test_moving import digest, openai_file
from tests.cli.test_streams import environment


def files() -> list[str]:
    return sorted(os.listdir())


@pytest.mark.parametrize("url", ["new.db", "sqlite:///new.db", "folder/new.db"])
def test_a_file_that_breaks_off_leaves_nothing(run: Run, chat: str, url: str) -> None:
    os.mkdir("folder")
    run("export", "out.jsonl", "--url", chat)
    Path("cut.jsonl").write_bytes(Path("out.jsonl").read_bytes()[:-20])
    before = files()
    assert run("import", "cut.jsonl", "--url", url).code == 14
    assert (files(), os.listdir("folder")) == (before, [])
    found = run("import", "out.jsonl", "--url", url)
    assert found.code == 0
    assert digest(url) == digest(chat)
    path = Path("folder/new.db" if "folder" in url else "new.db")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_nlink == 1
    hidden = [name for name in (*files(), *os.listdir("folder")) if name.startswith(".")]
    assert hidden == []


def test_a_row_that_is_broken_leaves_nothing(run: Run) -> None:
    name = openai_file("a")
    with open(name, "a") as file:
        file.write('{"messages": 5}\n')
    assert run("import", name, "--url", "new.db").code == 14
    assert files() == [name]


def test_a_server_that_is_not_there_leaves_nothing(run: Run) -> None:
    for words in (
        ("copy", "redis://127.0.0.1:1/0", "new.db"),
        ("import", "redis://127.0.0.1:1/0", "--url", "new.db"),
        ("import", "redis://127.0.0.1:1/0", "--from", "langchain-redis", "--url", "new.db"),
    ):
        assert run(*words).code != 0
        assert files() == []


@pytest.mark.parametrize("words", [("", "text"), ("k" * 1025, "text"), ("k", "text", "--id", "~1")])
def test_a_message_that_is_refused_leaves_nothing(run: Run, words: tuple[str, ...]) -> None:
    assert run("add", *words, "--url", "new.db").code in (10, 11)
    assert files() == []


def fill(work: Callable[[ChatStore], object]) -> None:
    with open_filling("new.db", "") as store:
        store.add_message("mine", ChatMessage("x"))
        work(store)


def temporary() -> str:
    (name,) = (name for name in files() if name.endswith(".tmp"))
    return name


def test_an_interruption_leaves_nothing() -> None:
    def work(_: ChatStore) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill(work)
    assert files() == []


def end_an_import(number: int) -> tuple[int, bytes, bytes]:
    """How one ends that gets a signal in its midst, and what it says."""
    row = json.dumps({"messages": [{"role": "user", "content": "x" * 4000}]}) + "\n"
    Path("many.jsonl").write_text(row * 12_000)
    program = Program("import", "many.jsonl", "--url", "new.db", env=environment())
    while not program.has_ended() and not is_being_filled():
        time.sleep(0.02)
    program.send_signal(number)
    return program.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("which", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_leaves_nothing(which: str) -> None:
    number = getattr(signal, which)
    said = {"SIGINT": "interrupted"}.get(which, f"ended by {which}")
    assert end_an_import(number) == (128 + number, b"", f"chatstore: {said}\n".encode())
    assert files() == ["many.jsonl"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_what_a_kill_leaves_is_found_by_the_doctor(run: Run, chat: str) -> None:
    assert "left behind" not in run("doctor", chat).out
    before = files()
    assert end_an_import(signal.SIGKILL)[0] == -signal.SIGKILL
    assert "new.db" not in files()
    found = run("doctor", chat, "--json")
    [finding] = [one for one in found.rows[0]["findings"] if one["name"] == "left behind"]
    assert (found.code, finding["state"]) == (0, "warning")
    assert " hidden file" in finding["value"]
    subprocess.run(finding["remedy"].partition(": ")[2], shell=True, check=True)
    assert files() == sorted([*before, "many.jsonl"])
    assert "left behind" not in run("doctor", chat).out


def is_being_filled() -> bool:
    """Whether the log has messages: the schema takes less."""
    with contextlib.suppress(FileNotFoundError):  # it comes and goes while the schema is made
        return any(log.stat().st_size > 1 << 20 for log in Path().glob(".chatstore-*.tmp-wal"))
    return False


def test_a_signal_that_a_host_handles_is_the_hosts(run: Run, chat: str) -> None:
    for handler in (signal.SIG_IGN, lambda *_: None, signal.SIG_DFL):
        before = signal.signal(signal.SIGTERM, handler)
        try:
            assert run("list", "--url", chat).code == 0
            assert signal.getsignal(signal.SIGTERM) is handler
        finally:
            signal.signal(signal.SIGTERM, before)


def test_what_another_program_makes_meanwhile_is_kept() -> None:
    def work(_: ChatStore) -> None:
        with open_store("new.db") as other:
            other.add_message("theirs", ChatMessage("y"))

    with pytest.raises(ConflictError, match=r"new\.db was made by another"):
        fill(work)
    with open_store("new.db") as other:
        assert other.get_keys() == ["theirs"]
    assert [name for name in files() if name.startswith(".")] == []


def test_a_log_that_another_file_left_is_not_put_into_it(run: Run, chat: str) -> None:
    with open_store("old.db") as old:
        old.add_message("old", ChatMessage("x"))
        shutil.copy("old.db-wal", "new.db-wal")
    found = run("copy", chat, "new.db")
    assert found.code == 0
    assert digest("new.db") == digest(chat)
    with open_store("new.db") as store:
        assert store.check().ok


def test_a_file_system_without_hard_links_will_do(
    run: Run, chat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", link)
    assert run("copy", chat, "new.db").code == 0
    assert digest("new.db") == digest(chat)
    assert [name for name in files() if name.startswith(".")] == []


def test_a_file_whose_log_is_still_needed_is_none_yet() -> None:
    readers = []

    def work(store: ChatStore) -> None:
        readers.append(sqlite3.connect(temporary(), isolation_level=None))
        readers[0].execute("BEGIN")
        readers[0].execute("SELECT count(*) FROM chatstore_message").fetchall()
        store.add_message("mine", ChatMessage("y"))

    with pytest.raises(StoreFullError, match=r"^new\.db: "):
        fill(work)
    with closing(readers[0]):
        assert files() == []


def test_errors_call_the_file_by_its_name() -> None:
    def work(_: ChatStore) -> None:
        raise StoreFullError(f"{temporary()}: no room")

    with pytest.raises(StoreFullError, match=r"^new\.db: no room$"):
        fill(work)
    assert files() == []


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process")
def test_a_pipe_that_is_too_much_for_the_disk_leaves_nothing(tmp_path: Path) -> None:
    # A file may grow to 64 KB, as if the disk were full then.
    limited = (
        "import resource, signal, sys; from chatstore.cli import main; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)); "
        "sys.exit(main(['import', '-', '--url', 'new.db']))"
    )
    os.mkdir("aside")
    found = subprocess.run(
        [sys.executable, "-c", limited],
        input=b'{"messages": []}\n' * 10_000,
        check=False,
        capture_output=True,
        env=environment(TMPDIR="aside"),
        timeout=60,
    )
    assert found.returncode == 71
    assert b"aside (File too large); make room there" in found.stderr
    assert b"nothing was imported" in found.stderr
    assert (files(), os.listdir("aside")) == (["aside"], [])
