"""Pipes, terminals, signals: what only a process of its own can show."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chatstore import ChatMessage, open_store
from tests.cli.conftest import Run
from tests.cli.program import Program, begin
from tests.processes import ended

PROGRAM = [sys.executable, "-m", "chatstore"]


def environment(**more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CHATSTORE_", "NO_COLOR", "COLUMNS", "FORCE_COLOR"))
    }
    return {**kept, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm-256color", **more}


def on_a_terminal(*words: str, **more: str) -> tuple[int, str]:
    """What a user sees who types this."""
    import pty

    ours, theirs = pty.openpty()
    try:
        process = begin(words, environment(COLUMNS="100", **more), [theirs] * 3)
    finally:
        os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # EIO: the other end is closed
        while part := os.read(ours, 65536):
            seen += part
    os.close(ours)
    return ended(process), seen.decode()


def test_python_m(chat: str) -> None:
    found = subprocess.run(
        [*PROGRAM, "list", "--json"],
        check=False, capture_output=True, env=environment(CHATSTORE_URL=chat), timeout=60,
    )  # fmt: skip
    assert (found.returncode, len(found.stdout.splitlines()), found.stderr) == (0, 3, b"")
    found = subprocess.run(
        [*PROGRAM, "show", "nobody", "--url", chat],
        check=False, capture_output=True, env=environment(), timeout=60,
    )  # fmt: skip
    assert found.returncode == 4


def test_a_pipe_gets_plain_text(spawn: Run, chat: str) -> None:
    found = spawn("show", "ann", "--url", chat, FORCE_COLOR="", TERM="xterm-256color")
    assert found.code == 0
    assert "\x1b" not in found.out + found.err


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
class TestTerminal:
    def test_colours(self, chat: str) -> None:
        code, seen = on_a_terminal("show", "ann", "--url", chat)
        assert code == 0
        assert "\x1b[" in seen
        assert "ann 11" in seen

    @pytest.mark.parametrize("more", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
    def test_no_colours(self, chat: str, more: dict[str, str]) -> None:
        _, seen = on_a_terminal("list", "--url", chat, **more)
        coloured = [f"\x1b[{code}m" for code in range(30, 48)]
        assert not any(code in seen for code in coloured)
        if "TERM" in more:
            assert "\x1b" not in seen

    @pytest.mark.parametrize("rich", ["", "1"])
    def test_escapes_in_a_message_reach_no_terminal(self, tmp_path: Path, rich: str) -> None:
        with open_store("x.db") as store:
            text = "\x1b]52;c;aGk=\x07 \u202e [bold red]no markup[/] :smile:"
            store.add_message("k[/]\x1b[2J", ChatMessage(text))
        if not rich:
            hide = tmp_path / "hide" / "rich"
            hide.mkdir(parents=True)
            (hide / "__init__.py").write_text("raise ImportError('not today')")
        path = os.pathsep.join([str(tmp_path / "hide"), *sys.path])
        code, seen = on_a_terminal("show", "k[/]\x1b[2J", "--url", "x.db", PYTHONPATH=path)
        assert code == 0
        assert "\x1b]52" not in seen
        assert "\x1b[2J" not in seen
        assert "\u202e" not in seen
        assert ("\x1b[" in seen) == bool(rich)
        assert "[bold red]no markup[/] :smile:" in seen

    def test_long_work_shows_how_far_it_is(self) -> None:
        rows = (f'{{"messages":[{{"role":"user","content":"{n}"}}]}}\n' for n in range(8_000))
        Path("many.jsonl").write_text("".join(rows))
        code, seen = on_a_terminal("import", "many.jsonl", "--url", "many.db")
        assert code == 0
        assert "importing many.jsonl" in seen
        assert "messages" in seen
        assert "imported 8 000 messages in 8 000 conversations" in seen

    @pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
    def test_a_long_text_stays_inside_its_margin(self, term: str) -> None:
        with open_store("x.db") as store:
            store.add_message("k", ChatMessage("x" * 95 + "[7] system  I am no line of yours"))
        _, seen = on_a_terminal("tail", "k", "--url", "x.db", TERM=term)
        lines = seen.replace("\r\n", "\n").splitlines()
        assert [line for line in lines[1:] if line.strip() and not line.startswith("    ")] == []
        assert max(map(len, lines)) <= 100
        assert "system" in seen

    def test_a_key_is_folded_and_never_cut(self) -> None:
        key = "k" * 300
        with open_store("x.db") as store:
            store.add_message(key, ChatMessage("Hello"))
        _, seen = on_a_terminal("list", "--url", "x.db")
        assert seen.count("k") >= 300


def err_of_who_is_cut(*words: str) -> bytes:
    """What it says when nobody reads on after its first line."""
    program = Program(*words, env=environment())
    with program.stdin, program.stderr:
        with program.stdout:
            assert program.stdout.readline()
        said = program.stderr.read()
    assert program.wait() == 141
    return said


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_who_reads_only_the_head_of_an_export_sees_no_complaint(chat: str) -> None:
    with open_store(chat) as store:
        store.add_messages("long", [ChatMessage("x" * 1000)] * 3000)
    assert err_of_who_is_cut("export", "-", "--url", chat) == b""


@pytest.mark.skipif(sys.platform == "win32", reason="sh")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_is_no_bug(closed: str, chat: str) -> None:
    line = f'exec "$0" -m chatstore list --url "$1" {closed}'
    found = subprocess.run(
        ["sh", "-c", line, sys.executable, chat],
        check=False, capture_output=True, env=environment(), timeout=30,
    )  # fmt: skip
    assert (found.returncode, found.stderr) == (0, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_who_reads_only_the_head_sees_no_complaint() -> None:
    with open_store("many.db") as store:
        store.add_messages("k", [ChatMessage("x" * 100) for _ in range(3000)])
    assert err_of_who_is_cut("show", "k", "--url", "many.db") == b""


@pytest.mark.skipif(sys.platform == "win32", reason="limits")
@pytest.mark.parametrize("word", ["history", "--help"])
def test_output_that_cannot_be_written_is_an_error(word: str) -> None:
    import resource

    with open("out", "w") as out:
        found = subprocess.run(
            [*PROGRAM, word],
            check=False,
            stdout=out,
            stderr=subprocess.PIPE,
            env=environment(),
            timeout=60,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
        )
    assert found.returncode == 71
    assert found.stderr.decode() == (
        "chatstore: error: file too large (check the disk and the permissions)\n"
    )


def test_an_encoding_that_cannot_hold_it_gets_escapes(chat: str) -> None:
    with open_store(chat) as store:
        store.add_message("k", ChatMessage("Grüße 👋"))
    found = subprocess.run(
        [*PROGRAM, "tail", "k", "--url", chat],
        check=True,
        capture_output=True,
        env=environment(PYTHONIOENCODING="ascii"),
        timeout=30,
    )
    assert b"Gr\\xfc\\xdfe \\U0001f44b" in found.stdout


def is_locked(conn: sqlite3.Connection) -> bool:
    """Whether another connection writes."""
    try:
        conn.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return True
    conn.execute("ROLLBACK")
    return False


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_stores_nothing(chat: str) -> None:
    rows = (f'{{"messages":[{{"role":"user","content":"{n}"}}]}}\n' for n in range(100_000))
    Path("many.jsonl").write_text("".join(rows))
    program = Program("import", "many.jsonl", "--url", chat, env=environment())
    # While modules are imported, Python may drop the interruption: not before it stores.
    with contextlib.closing(sqlite3.connect(chat, isolation_level=None, timeout=0)) as conn:
        while not program.has_ended() and not is_locked(conn):
            time.sleep(0.02)
    program.send_signal(signal.SIGINT)
    assert program.communicate() == (130, b"", b"chatstore: interrupted\n")
    with open_store(chat) as store:
        assert store.get_keys() == ["ann", "bob", "weather"]
        assert store.check().ok
