"""The commands that change the schema, on a server."""

from pathlib import Path

import pytest

from chatstore import ChatMessage, SchemaOutdatedError, SQLChatStore
from chatstore.cli import main
from chatstore.sql import schema
from tests.postgres.support import query, stored

VERSION = "SELECT version_num FROM chatstore_alembic_version"


def test_a_downgrade_is_confirmed(postgres_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    first, head = schema.REVISIONS[0], schema.HEAD
    assert main(["upgrade", postgres_url]) == 0
    with SQLChatStore(postgres_url) as store:
        store.add_messages("k", [ChatMessage("a"), ChatMessage("b")])
    assert main(["downgrade", postgres_url, "--to", first]) != 0
    assert "--yes" in capsys.readouterr().err
    assert query(postgres_url, VERSION) == [(head,)]
    assert main(["downgrade", postgres_url, "--to", first, "--yes"]) == 0
    assert query(postgres_url, VERSION) == [(first,)]
    # Opening does neither way by itself, and an upgrade goes forward only.
    with pytest.raises(SchemaOutdatedError, match="chatstore upgrade"):
        SQLChatStore(postgres_url)
    assert query(postgres_url, VERSION) == [(first,)]
    assert main(["upgrade", postgres_url]) == 0
    assert main(["upgrade", postgres_url, "--to", first]) != 0
    assert query(postgres_url, VERSION) == [(head,)]
    assert stored(postgres_url) == {"k": ["a", "b"]}


@pytest.mark.parametrize("path", ["", "?options=-c%20default_transaction_read_only%3Don"])
def test_every_command_that_reads_runs_on_a_server(
    postgres_url: str, path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["upgrade", postgres_url]) == 0
    with SQLChatStore(postgres_url) as store:
        store.add_messages("k", [ChatMessage("a"), ChatMessage("b")])
    url = f"{postgres_url}{path}"
    for command in ("list", "stats", "check", "current", "history", "doctor"):
        assert main([command, "--url", url]) == 0, capsys.readouterr().err
    for command in ("show", "tail"):
        assert main([command, "k", "--url", url]) == 0, capsys.readouterr().err
    assert main(["export", str(tmp_path / "x.jsonl"), "--url", url]) == 0
    query(postgres_url, "ALTER TABLE chatstore_message ADD COLUMN strange int")
    capsys.readouterr()
    assert main(["check", "--url", url]) != 0
    assert "strange" in capsys.readouterr().out
