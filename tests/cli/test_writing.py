import io
from pathlib import Path

import pytest

from chatstore import open_store
from tests.cli.conftest import Run


def texts(chat: str, key: str) -> list[str | None]:
    with open_store(chat) as store:
        return [message.content for message in store.get_messages(key)]


def test_add_creates_the_store_and_says_the_id(run: Run) -> None:
    found = run("add", "new", "Hello", "--url", "fresh.db")
    assert found.code == 0
    assert found.out.startswith("~")
    assert texts("fresh.db", "new") == ["Hello"]
    assert Path("fresh.db").stat().st_mode & 0o777 == 0o600


def test_add_with_a_role_and_an_id_is_a_safe_retry(run: Run, chat: str) -> None:
    words = ("add", "ann", "Hi", "--role", "system", "--id", "x1", "--url", chat)
    assert run(*words).out == "x1\n"
    assert run(*words, "--json").rows == [{"id": "x1"}]
    assert texts(chat, "ann")[12:] == ["Hi"]
    found = run("add", "ann", "other", "--id", "x1", "--url", chat)
    assert found.code == 12
    assert "'x1'" in found.err


def test_add_with_a_ttl(run: Run) -> None:
    run("add", "k", "Hello", "--ttl", "60", "--url", "fresh.db")
    (row,) = run("list", "--json", "--url", "fresh.db").rows
    assert row["ttl"] == 60


def give(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_add_from_stdin(run: Run, spawn: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Grüße\n\nzwei Absätze\n"
    assert spawn("add", "k", "--url", "fresh.db", stdin=text.encode()).code == 0
    give(monkeypatch, b"more")
    assert run("add", "k", "-", "--url", "fresh.db").code == 0
    assert texts("fresh.db", "k") == [text[:-1], "more"]


def test_add_from_stdin_that_is_no_text(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, b"\xff")
    found = run("add", "k", "--url", "fresh.db")
    assert (found.code, "not UTF-8" in found.err) == (2, True)
    assert not Path("fresh.db").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a\udcff",), "TEXT is not UTF-8"),
        (("a", "--role", ""), "--role"),
        (("a", "--role", "\udcff"), "--role"),
    ],
    ids=ascii,
)
def test_add_of_words_that_are_no_text(run: Run, words: tuple[str, ...], said: str) -> None:
    found = run("add", "k", *words, "--url", "fresh.db")
    assert (found.code, found.err.count("\n"), said in found.err) == (2, 1, True)
    assert not Path("fresh.db").exists()


@pytest.mark.parametrize("data", [b"", b"\n"])
def test_add_from_stdin_that_is_empty(
    run: Run, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    """What stood before the pipe has failed: a message of it would hide that."""
    give(monkeypatch, data)
    found = run("add", "k", "--url", "fresh.db")
    assert (found.code, "stdin is empty" in found.err) == (2, True)
    assert not Path("fresh.db").exists()
    # An empty text that is asked for is stored.
    assert run("add", "k", "", "--url", "fresh.db").code == 0
    assert texts("fresh.db", "k") == [""]


def test_add_to_a_folder(run: Run) -> None:
    Path("folder").mkdir()
    found = run("add", "k", "Hello", "--url", "folder")
    assert (found.code, "folder is a folder; give the file in it" in found.err) == (3, True)


@pytest.mark.parametrize(("seconds", "ttl"), [("90", 90), ("1.5", 1.5), ("none", None)])
def test_set_ttl(run: Run, chat: str, seconds: str, ttl: float | None) -> None:
    found = run("set-ttl", "bob", seconds, "--url", chat)
    assert found.code == 0
    assert found.out.startswith("bob ")
    with open_store(chat) as store:
        conversation = store.get_conversation("bob")
        assert conversation is not None
        assert conversation.ttl == ttl


@pytest.mark.parametrize("seconds", ["0", "-5", "soon", "nan", "inf"])
def test_set_ttl_to_nonsense(run: Run, chat: str, seconds: str) -> None:
    found = run("set-ttl", "bob", "--url", chat, "--", seconds)
    assert (found.code, "number of seconds" in found.err) == (2, True)


def test_delete(run: Run, chat: str) -> None:
    assert run("delete", "ann", "--idx", "0", "--yes", "--url", chat).code == 0
    assert run("delete", "ann", "--idx=-1", "--yes", "--url", chat).code == 0
    assert texts(chat, "ann") == [f"ann {n}" for n in range(1, 11)]
    found = run("delete", "ann", "--yes", "--url", chat)
    assert found.out == "deleted ann (10 messages)\n"
    assert texts(chat, "ann") == []
    found = run("delete", "bob", "--idx", "7", "--yes", "--url", chat)
    assert (found.code, "it holds 1 message" in found.err) == (4, True)


def test_erase_leaves_no_text_in_the_files(run: Run, chat: str) -> None:
    def left() -> bytes:
        return b"".join(path.read_bytes() for path in Path(chat).parent.glob("chat.db*"))

    assert b"ann 7" in left()
    found = run("erase", "ann", "--yes", "--url", chat)
    assert (found.code, found.out) == (0, "erased ann\n")
    assert "Backups" in found.err
    assert b"ann 7" not in left()
    assert b"Oslo" in left()


@pytest.mark.parametrize("command", ["erase", "delete"])
def test_what_cannot_be_undone_asks_for_yes(run: Run, chat: str, command: str) -> None:
    found = run(command, "ann", "--url", chat)
    assert (found.code, "--yes" in found.err) == (2, True)
    assert len(texts(chat, "ann")) == 12


@pytest.mark.parametrize(
    "words",
    [["erase", "nobody", "--yes"], ["delete", "nobody", "--yes"], ["set-ttl", "nobody", "5"]],
)
def test_a_conversation_that_is_not_there(run: Run, chat: str, words: list[str]) -> None:
    found = run(*words, "--url", chat)
    assert (found.code, "there is no conversation 'nobody'" in found.err) == (4, True)


def test_purge(run: Run, chat: str) -> None:
    assert run("purge", "--url", chat).out == "freed 0 expired conversations\n"
    run("set-ttl", "bob", "0.000001", "--url", chat)
    assert run("purge", "--json", "--url", chat).rows == [{"conversations": 1}]
