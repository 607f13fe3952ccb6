"""Every way to fail: one line, one remedy, one exit code."""

import json
import signal
import sqlite3
from pathlib import Path

import pytest

from chatstore import errors, open_store
from chatstore.cli import exits, program
from chatstore.cli.ending import Ended
from tests.cli.conftest import Run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lst"], "invalid choice"),
        (["list", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["list"], "CHATSTORE_URL"),
        (["list", "--url", "mysql://host/db"], "no store is opened by mysql://"),
        (["list", "--sort", "random", "--url", "x.db"], "invalid choice"),
        (["list", "--limit", "-1", "--url", "x.db"], "--limit"),
        (["list", "--limit", "many", "--url", "x.db"], "whole number"),
        (["list", "--all", "-n", "3", "--url", "memory://"], "not both"),
        (["show"], "KEY"),
        (["tail", "k", "-n", "-3", "--url", "x.db"], "-n"),
        (["demo", "--url", "memory://", "--small"], "memory will not do"),
        (["demo", "--url", "sqlite://", "--small"], "memory will not do"),
        (["demo", "--small", "--data", "x.json"], "not allowed with"),
        (["downgrade", "x.db"], "--to"),
    ],
)
def test_usage(run: Run, words: list[str], said: str) -> None:
    found = run(*words)
    assert found.code == 2
    assert found.out == ""
    assert found.err.startswith("chatstore: error: ")
    assert said in found.err
    assert found.err.count("\n") == 1


def test_show_takes_a_window_or_the_last(run: Run, chat: str) -> None:
    found = run("show", "ann", "--last", "2", "--start", "1", "--url", chat)
    assert (found.code, "not both" in found.err) == (2, True)


def test_nothing_asked_for(run: Run) -> None:
    found = run()
    assert found.code == 2
    assert "COMMAND" in found.out


def test_help_and_version(run: Run) -> None:
    assert run("--version").out.startswith("chatstore ")
    found = run("show", "--help")
    assert found.code == 0
    assert "--records" in found.out


@pytest.mark.parametrize("key", ["", "k" * 1025, "a\0b", "\ud800"])
def test_a_key_that_can_name_nothing(run: Run, chat: str, key: str) -> None:
    for words in (["show", key], ["add", key, "text"], ["set-ttl", key, "5"]):
        found = run(*words, "--url", chat)
        assert found.code == 10
        assert found.err.startswith("chatstore: error: a key ")


def test_an_id_that_no_message_may_have(run: Run, chat: str) -> None:
    assert run("add", "ann", "x", "--id", "~1", "--url", chat).code == 11


def test_a_file_that_is_no_database(run: Run) -> None:
    Path("text.db").write_text("hello, this is no database, and longer than its header" * 9)
    for words in (["list"], ["add", "k", "x"], ["check"], ["upgrade"], ["current"]):
        found = run(*words, "--url", "text.db")
        assert found.code == 23
        assert found.err.count("\n") == 1
    assert Path("text.db").read_text().startswith("hello")


def test_an_empty_file_is_no_store_to_read(run: Run) -> None:
    Path("empty.db").touch()
    found = run("list", "--url", "empty.db")
    assert (found.code, "empty" in found.err) == (24, True)


def test_a_foreign_database(run: Run) -> None:
    connection = sqlite3.connect("foreign.db")
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    assert run("list", "--url", "foreign.db").code == 30


def test_a_locked_database(run: Run, chat: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from chatstore.cli import stores

    monkeypatch.setattr(
        stores, "open_store", lambda url, **options: open_store(url, lock_timeout=0.1, **options)
    )
    connection = sqlite3.connect(chat, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = run("add", "ann", "x", "--url", chat)
    finally:
        connection.close()
    assert found.code == 20


def test_a_store_that_may_not_be_written(run: Run, chat: str) -> None:
    assert run("add", "ann", "x", "--url", f"sqlite:///{chat}?mode=ro").code == 22
    assert run("list", "--url", f"sqlite:///{chat}?mode=ro").code == 0


def test_a_server_that_is_not_there(run: Run) -> None:
    found = run("list", "--url", "redis://:geheim@127.0.0.1:1/0")
    assert found.code == 24
    assert "geheim" not in found.err


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--url", "mysql://me:geheim@host/db"],
        ["--url=mysql://me:geheim@host/db", "stats"],
        ["current", "redis://:gehe@im:geheim@127.0.0.1/0"],
        ["list", "redis://:geheim@host", "extra", "mysql://me:geheim@host/db"],
        ["list", "--url", "postgresql://me:geheim@127.0.0.1:1/db?connect_timeout=1"],
        ["list", "--url", "postgresql://127.0.0.1:1/db?connect_timeout=1&password=geheim"],
        ["copy", "mysql://me:geheim@host/db", "x.db"],
        ["demo", "--small", "--url", "redis://:geheim@127.0.0.1:1"],
    ],
)
def test_no_password_is_printed(
    run: Run, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATSTORE_DEBUG", "1")
    found = run(*words)
    assert found.code != 0
    assert "geheim" not in found.out + found.err
    assert found.err.splitlines()[-1].startswith("chatstore: error: ")


def test_debug_shows_where_it_came_from(
    run: Run, chat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Traceback" not in run("show", "nobody", "--url", chat).err
    monkeypatch.setenv("CHATSTORE_DEBUG", "1")
    found = run("show", "nobody", "--url", chat)
    assert "Traceback" in found.err
    assert found.err.splitlines()[-1].startswith("chatstore: error: ")
    assert found.code == 4


def test_each_class_of_error_has_its_own_code() -> None:
    codes = list(exits.OF_ERRORS.values())
    special = [exits.OK, exits.PROBLEMS, exits.NO_STORE, exits.BUG, exits.INTERRUPTED]
    assert len(set(codes + special)) == len(codes + special)
    classes = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.ChatStoreError)
    }
    assert classes <= set(exits.OF_ERRORS)
    for kind in classes:
        assert exits.code_of(kind("x")) == exits.OF_ERRORS[kind]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "chatstore: interrupted\n"),
        (Ended(signal.SIGTERM), 143, "chatstore: ended by SIGTERM\n"),
        (RuntimeError("odd"), 70, "this is a bug"),
        (errors.StoreFullError("no room\nhere"), 21, "chatstore: error: no room here\n"),
        (OSError(28, "No space left on device"), 71, "no space left on device"),
        (ImportError("install chatstore-sql[postgres]"), 5, "chatstore-sql[postgres]"),
        (ValueError("\x1b[31mred"), 2, "\\x1b[31mred"),
    ],
)
def test_what_becomes_of_an_exception(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    def fail(words: object) -> int:
        raise error

    monkeypatch.setattr(program, "_run", fail)
    found = run("list")
    assert found.code == code
    assert said in found.err
    assert found.err.count("\n") == 1


def test_a_warning_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    def warn(words: object) -> int:
        warnings.simplefilter("always")
        warnings.warn("put the file on a local disk", RuntimeWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(program, "_run", warn)
    found = run("list")
    assert (found.code, found.err) == (0, "chatstore: warning: put the file on a local disk\n")


def test_json_errors_are_on_stderr_too(run: Run, chat: str) -> None:
    found = run("show", "nobody", "--json", "--url", chat)
    assert found.out == ""
    assert found.err.startswith("chatstore: error: ")


def test_a_metadata_that_is_hostile_is_json(run: Run, chat: str) -> None:
    with open_store(chat) as store:
        store.set_metadata("ann", {"title": "\x1b]52;c;aGk=\x07", "x": "\u202e"})
    line = run("list", "ann", "--json", "--url", chat).out
    assert json.loads(line)["metadata"]["x"] == "\u202e"
    assert line.isascii()
