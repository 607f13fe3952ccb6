"""The commands that change the schema, on a server."""

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
