import json
import os
import sqlite3
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from chatstore import ChatMessage, open_store
from chatstore.cli import main
from chatstore.importers import import_file
from tests.cli.conftest import Run
from tests.measuring import peak


def test_list_shows_the_last_written_first(run: Run, chat: str) -> None:
    found = run("list", "--url", chat)
    assert found.code == 0
    lines = found.out.splitlines()
    assert lines[0].split() == ["key", "messages", "updated", "expires", "title"]
    assert [line.split()[0] for line in lines[1:]] == ["weather", "bob", "ann"]
    assert lines[1].endswith("The weather")
    assert found.err == ""


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        (["--sort", "longest"], ["ann", "weather", "bob"]),
        (["--sort", "longest", "--all"], ["ann", "weather", "bob"]),
        (["--sort", "key"], ["ann", "bob", "weather"]),
        (["--sort", "newest"], ["weather", "bob", "ann"]),
        (["-n", "1"], ["weather"]),
        (["--limit", "0"], []),
        (["--all"], ["weather", "bob", "ann"]),
        (["b"], ["bob"]),
        (["x"], []),
    ],
)
def test_list_as_json(run: Run, chat: str, options: list[str], keys: list[str]) -> None:
    found = run("list", *options, "--json", "--url", chat)
    assert [row["key"] for row in found.rows] == keys


def test_list_as_json_tells_everything(run: Run, chat: str) -> None:
    (bob,) = run("list", "bob", "--json", "--url", chat).rows
    assert bob["count"] == 1
    assert bob["ttl"] == 3600
    assert bob["metadata"] == {}
    assert bob["created_at"].endswith("+00:00")
    assert bob["expires_at"] > bob["updated_at"]
    assert bob["revision"]


@pytest.mark.parametrize("sort", ["newest", "longest", "key"])
def test_a_list_of_all_has_the_order_of_the_table(
    run: Run, sort: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatstore.cli.listing._PAGE", 7)
    with open_store("many.db") as store:
        for number in range(40):
            store.add_messages(
                f"k{number * 17 % 40}\U0001f600", [ChatMessage("é")] * (number % 3 + 1)
            )
        store.set_metadata("k5\U0001f600", {"title": "\ud800\0\n"})
    limited = run("list", "--sort", sort, "--json", "--limit", 1000, "--url", "many.db")
    assert len(limited.rows) == 40
    found = run("list", "--sort", sort, "--json", "--url", "many.db")
    assert found == limited
    assert found.out.isascii()
    assert run("list", "k1", "--sort", sort, "--json", "--url", "many.db").rows == [
        row for row in found.rows if row["key"].startswith("k1")
    ]


@pytest.fixture(scope="module")
def few_and_many(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Files with 200 conversations and with 1000: what is told of the latter is 2 MB."""
    folder = tmp_path_factory.mktemp("listed")
    urls = []
    for n in (200, 1000):
        talks = (
            {
                "id": f"k{number:04}",
                "messages": [{"role": "user", "content": "x"}],
                "title": "x" * 2000,
            }
            for number in range(n)
        )
        source = folder / "talks.jsonl"
        source.write_text("".join(json.dumps(talk) + "\n" for talk in talks))
        urls.append(str(folder / f"{n}.db"))
        with open_store(urls[-1]) as store:
            import_file(store, source)
    return urls


@pytest.mark.parametrize("sort", ["newest", "longest", "key"])
def test_a_list_takes_constant_memory(
    sort: str, few_and_many: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatstore.cli.listing._PAGE", 100)

    def listed(url: str) -> int:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            return peak(lambda: main(["list", "--json", "--sort", sort, "--url", url]))

    few, many = map(listed, few_and_many)
    assert many < few + 500_000


def test_a_list_that_has_no_room_to_be_sorted(
    run: Run, chat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(name: str, **options: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = connect(name, **options)
        if not name:
            db.execute("PRAGMA max_page_count=1").close()
        return db

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", small)
    found = run("list", "--json", "--url", chat)
    assert (found.code, found.out) == (71, "")
    assert "--sort key" in found.err
    assert len(run("list", "--json", "--sort", "key", "--url", chat).rows) == 3


def test_list_says_that_there_is_more(run: Run, chat: str) -> None:
    found = run("list", "--limit", 1, "--url", chat)
    assert len(found.out.splitlines()) == 2
    assert "--all" in found.err
    assert run("list", "--limit", 3, "--url", chat).err == ""


def test_list_shows_fifty_unless_told_otherwise(run: Run, tmp_path: Path) -> None:
    with open_store("many.db") as store:
        for number in range(60):
            store.add_message(f"k{number:02}", ChatMessage("Hello"))
    assert len(run("list", "--url", "many.db").out.splitlines()) == 51
    assert len(run("list", "--all", "--url", "many.db").out.splitlines()) == 61
    assert len(run("list", "--json", "--url", "many.db").rows) == 60
    assert len(run("list", "-n", "55", "--json", "--url", "many.db").rows) == 55


def test_list_of_nothing(run: Run, chat: str) -> None:
    assert run("list", "--url", chat, "--namespace", "other").out == "no conversations\n"


def test_the_url_and_the_namespace_come_from_the_environment(
    run: Run, chat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATSTORE_URL", f"sqlite:///{chat}")
    assert len(run("list", "--json").rows) == 3
    monkeypatch.setenv("CHATSTORE_NAMESPACE", "other")
    assert run("list", "--json").rows == []
    assert len(run("list", "--json", "--namespace", "").rows) == 3


def test_the_url_may_stand_before_the_command(run: Run, chat: str) -> None:
    assert len(run("--url", chat, "list", "--json").rows) == 3


def test_show(run: Run, chat: str) -> None:
    found = run("show", "weather", "--url", chat)
    assert found.code == 0
    lines = found.out.splitlines()
    assert lines[0].startswith("weather  3 messages, created ")
    assert lines[1] == 'metadata {"title": "The weather"}'
    assert [line for line in lines if line.startswith("    ")] == [
        "    Oslo?",
        '    -> weather {"city": "Oslo"}',
        "    21 C",
    ]
    assert [line.split()[:2] for line in lines if line.startswith("[")] == [
        ["[0]", "user"],
        ["[1]", "assistant"],
        ["[2]", "tool"],
    ]


@pytest.mark.parametrize(
    ("window", "numbers"),
    [
        ([], range(12)),
        (["--last", "2"], [10, 11]),
        (["-n", "0"], []),
        (["--start", "10"], [10, 11]),
        (["--start", "3", "--stop", "5"], [3, 4]),
        (["--start=-2"], [10, 11]),
        (["--stop=-10"], [0, 1]),
        (["--start", "50"], []),
    ],
)
def test_show_a_window(run: Run, chat: str, window: list[str], numbers: list[int]) -> None:
    rows = run("show", "ann", *window, "--json", "--url", chat).rows
    assert [(row["idx"], row["text"]) for row in rows] == [(n, f"ann {n}") for n in numbers]
    shown = run("show", "ann", *window, "--url", chat).out
    assert [line for line in shown.splitlines() if line.startswith("    ")] == [
        f"    ann {n}" for n in numbers
    ]


def test_show_reads_a_long_conversation_in_pages(run: Run) -> None:
    with open_store("long.db") as store:
        store.add_messages("long", [ChatMessage(str(n)) for n in range(1203)])
    rows = run("show", "long", "--json", "--url", "long.db").rows
    assert [int(row["text"]) for row in rows] == list(range(1203))
    assert [row["idx"] for row in rows] == list(range(1203))


def test_show_one_status(run: Run, chat: str) -> None:
    with open_store(chat) as store:
        store.archive_messages("ann", 10)
    rows = run("show", "ann", "--status", "active", "--json", "--url", chat).rows
    assert [row["text"] for row in rows] == ["ann 10", "ann 11"]
    rows = run("show", "ann", "--status", "archived", "-n", 1, "--json", "--url", chat).rows
    assert [(row["text"], row["status"]) for row in rows] == [("ann 9", "archived")]
    assert "(archived)" in run("show", "ann", "-n", "12", "--url", chat).out


def test_records_show_what_is_stored(run: Run, chat: str) -> None:
    (row,) = run("tail", "weather", "-n", 1, "--records", "--json", "--url", chat).rows
    assert row["format"] == "chatstore"
    assert row["kind"] == "tool_result"
    assert row["tool_call_ids"] == ["call_1"]
    assert '"21 C"' in row["payload"]
    shown = run("tail", "weather", "-n", 1, "--records", "--url", chat).out
    assert "chatstore, tool_result, calls call_1" in shown
    assert '"21 C"' in shown


def test_a_message_that_cannot_be_decoded_does_not_hide_its_neighbours(run: Run, chat: str) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(chat)) as connection, connection:
        connection.execute("UPDATE chatstore_message SET format = 'future/9' WHERE id = 'a11'")
    found = run("tail", "ann", "-n", 2, "--url", chat)
    assert "ann 10" in found.out
    assert "cannot be decoded: unknown format 'future/9'" in found.out
    assert run("check", "--url", chat).code == 1


def test_tail(run: Run, chat: str) -> None:
    rows = run("tail", "ann", "--json", "--url", chat).rows
    assert [row["idx"] for row in rows] == list(range(2, 12))
    assert rows[-1]["id"] == "a11"
    assert rows[-1]["blocks"] == [{"block_type": "text", "text": "ann 11"}]
    found = run("tail", "ann", "-n", 1, "--url", chat)
    assert found.out.splitlines()[0].startswith("[11] assistant  20")
    assert run("tail", "ann", "-n", 0, "--url", chat).out == ""


def test_a_text_of_many_lines_is_indented(run: Run, chat: str) -> None:
    assert run("tail", "bob", "--url", chat).out.splitlines()[1:] == ["    Hello", "    there"]


@pytest.mark.parametrize("command", ["show", "tail"])
def test_a_conversation_that_is_not_there(run: Run, chat: str, command: str) -> None:
    found = run(command, "nobody", "--url", chat)
    assert (found.code, found.out) == (4, "")
    assert found.err.startswith("chatstore: error: there is no conversation 'nobody'")
    assert found.err.count("\n") == 1


def test_stats(run: Run, chat: str) -> None:
    (facts,) = run("stats", chat, "--json").rows
    assert facts["conversations"] == 3
    assert facts["messages"] == 16
    assert facts["longest"] == 12
    assert facts["expiring"] == 1
    assert facts["bytes"] >= os.stat(chat).st_size
    shown = run("stats", "--url", chat).out
    assert "messages       16\n" in shown
    assert "on disk" in shown


def test_stats_of_nothing(run: Run) -> None:
    assert "conversations  0" in run("stats", "memory://").out


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["show", "ann"],
        ["tail", "ann"],
        ["stats"],
        ["check"],
        ["current"],
        ["history"],
        ["doctor"],
        ["export", "out.jsonl"],
        ["delete", "ann", "--yes"],
        ["erase", "ann", "--yes"],
        ["purge"],
        ["set-ttl", "ann", "5"],
        ["downgrade", "--to", "base", "--yes"],
    ],
)
def test_what_does_not_create_never_creates_a_file(
    run: Run, tmp_path: Path, words: list[str]
) -> None:
    for url in ("missing.db", "sqlite:///missing.db", f"sqlite:///{tmp_path}/missing.db"):
        found = run(*words, "--url", url)
        assert found.code == 3
        assert found.err.startswith("chatstore: error: there is no file ")
        assert found.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_only_looks_changes_no_byte(run: Run, chat: str) -> None:
    before = Path(chat).read_bytes()
    for words in (["list"], ["show", "ann"], ["tail", "ann"], ["stats"], ["check"], ["current"]):
        assert run(*words, "--url", chat).code == 0
    assert run("doctor", chat).code == 0
    assert Path(chat).read_bytes() == before


def test_a_folder_is_no_store(run: Run, tmp_path: Path) -> None:
    found = run("list", "--url", tmp_path)
    assert (found.code, "is a folder" in found.err) == (3, True)
