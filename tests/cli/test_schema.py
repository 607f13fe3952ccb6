import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chatstore import open_store
from chatstore.sql.schema.versions import HEAD, REVISIONS
from tests.cli.conftest import Run

OLD = REVISIONS[0]


def execute(path: str, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


@pytest.fixture
def old(run: Run, chat: str) -> str:
    """A store of the first schema."""
    assert run("downgrade", chat, "--to", OLD, "--yes").code == 0
    return chat


def test_current(run: Run, chat: str) -> None:
    assert run("current", chat).out == f"{HEAD} (head)\n"
    assert run("current", "--url", f"sqlite:///{chat}", "--json").rows == [
        {"url": f"sqlite:///{chat}", "current": HEAD, "head": HEAD}
    ]


def test_current_of_an_older_store(run: Run, old: str) -> None:
    found = run("current", old)
    assert found.out == f"{OLD}\n"
    assert f"chatstore upgrade {old}" in found.err


def test_current_of_a_database_without_our_tables(run: Run) -> None:
    execute("foreign.db", "CREATE TABLE t (x)")
    assert run("current", "foreign.db").out == "base (no tables of chatstore)\n"


def test_history(run: Run, old: str) -> None:
    assert [row["revision"] for row in run("history", "--json").rows] == list(REVISIONS)
    assert run("history", old, "--json").rows[0]["marks"] == ["current"]
    first, *_, last = [line.split()[:2] for line in run("history", old).out.splitlines()[1:]]
    assert (first, last) == ([OLD, "current"], [HEAD, "head"])


def test_downgrade_and_upgrade_keep_the_messages_and_a_copy(run: Run, old: str) -> None:
    found = run("upgrade", old)
    assert found.code == 0
    assert found.out.startswith(f"{OLD} -> {HEAD}\na copy of the file as it was: ")
    assert Path(found.out.splitlines()[1].rpartition(": ")[2]).stat().st_mode & 0o777 == 0o600
    assert run("upgrade", old).out == f"nothing to do: the schema is {HEAD}\n"
    assert run("check", old).code == 0
    assert run("stats", old, "--json").rows[0]["messages"] == 16


def test_upgrade_as_json_and_without_a_copy(run: Run, old: str) -> None:
    (facts,) = run("upgrade", old, "--to", "head", "--no-backup", "--json").rows
    assert (facts["before"], facts["after"], facts["backup"]) == (OLD, HEAD, None)


def test_upgrade_makes_a_store(run: Run) -> None:
    assert run("upgrade", "--url", "new.db").out == f"base -> {HEAD}\n"


def test_upgrade_to_nowhere(run: Run, chat: str) -> None:
    found = run("upgrade", chat, "--to", "0009")
    assert (found.code, "no revision '0009'" in found.err) == (2, True)


def test_downgrade_asks_for_yes(run: Run, chat: str) -> None:
    found = run("downgrade", chat, "--to", OLD)
    assert (found.code, "--yes" in found.err) == (2, True)
    assert run("current", chat).out == f"{HEAD} (head)\n"


def test_downgrade_to_base_removes_the_tables(run: Run, chat: str) -> None:
    (facts,) = run("downgrade", chat, "--to", "base", "--yes", "--json").rows
    assert facts["after"] is None
    assert Path(facts["backup"]).exists()
    assert run("current", chat).out.startswith("base")


def test_a_command_that_reads_upgrades_nothing(run: Run, old: str) -> None:
    before = Path(old).read_bytes()
    for words in (["list"], ["show", "ann"], ["stats"], ["export", "out.jsonl"]):
        found = run(*words, "--url", old)
        assert found.code == 30
        assert f"chatstore upgrade {old}" in found.err
    assert Path(old).read_bytes() == before


def test_a_command_that_writes_upgrades(run: Run, old: str) -> None:
    assert run("add", "ann", "more", "--url", old).code == 0
    assert run("current", old).out == f"{HEAD} (head)\n"


def test_a_newer_schema_is_refused_by_every_command(run: Run, chat: str) -> None:
    execute(chat, "UPDATE chatstore_alembic_version SET version_num = '9999_future'")
    before = Path(chat).read_bytes()
    for words in (["list"], ["add", "ann", "x"], ["upgrade"], ["current"], ["check"]):
        found = run(*words, "--url", chat)
        assert found.code == 31
        assert "pip install --upgrade" in found.err
    assert Path(chat).read_bytes() == before


@pytest.mark.parametrize("command", ["upgrade", "current"])
def test_a_store_without_a_schema(run: Run, command: str) -> None:
    found = run(command, "memory://")
    assert (found.code, "has no schema" in found.err) == (2, True)


def test_check_of_a_sound_store(run: Run, chat: str) -> None:
    found = run("check", chat)
    assert (found.code, found.out) == (0, "no problems in 16 messages in 3 conversations\n")
    (report,) = run("check", "--url", chat, "--json").rows
    assert report == {
        "url": chat,
        "ok": True,
        "conversations": 3,
        "messages": 16,
        "problems": [],
    }
    assert run("check", "memory://").code == 0


def test_check_of_a_damaged_store(run: Run, chat: str) -> None:
    execute(chat, "UPDATE chatstore_message SET payload = '{' WHERE id = 'a3'")
    execute(chat, "CREATE TABLE chatstore_extra (x)")
    found = run("check", chat)
    assert found.code == 1
    assert "'a3' cannot be decoded" in found.out
    (report,) = run("check", chat, "--json").rows
    assert not report["ok"]
    assert any("'a3' cannot be decoded" in problem for problem in report["problems"])
    with open_store(chat) as store:
        assert store.count_messages("ann") == 12
