"""Inside an application that has an Alembic of its own."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from chatstore import ChatMessage, SQLChatStore
from chatstore.sql.host import include_name, include_object
from tests.migrations.support import FIRST, HEAD, contents, load, master, opened, version

ENV = """
import sqlalchemy as sa
from alembic import context
from chatstore import SQLChatStore

metadata = sa.MetaData()
invoice = sa.Table("invoice", metadata, sa.Column("id", sa.Integer, primary_key=True))
sa.Index("ix_invoice", invoice.c.id)
{more}

{before}
engine = sa.create_engine(context.config.get_main_option("sqlalchemy.url"))
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, {filter})
    {after}
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
"""
MIGRATION = """
import sqlalchemy as sa
from alembic import op
from chatstore import SQLChatStore

revision = "ae1027a6acf"
down_revision = None

def upgrade():
    op.create_table("invoice", sa.Column("id", sa.Integer, primary_key=True))
    {inside}
    op.create_index("ix_invoice", "invoice", ["id"])

def downgrade():
    op.drop_table("invoice")
"""


class Host:
    """A project with models, migrations and a database."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "host.db"
        self.scripts = folder / "alembic"
        (self.scripts / "versions").mkdir(parents=True)
        self.config = Config(stdout=io.StringIO())
        self.config.set_main_option("script_location", str(self.scripts))
        self.config.set_main_option("path_separator", "os")
        self.config.set_main_option("sqlalchemy.url", f"sqlite:///{self.path}")
        self.write()

    def write(self, **parts: str) -> None:
        parts = {"more": "", "before": "", "filter": "", "after": "", "inside": ""} | parts
        (self.scripts / "env.py").write_text(ENV.format(**parts))
        migration = self.scripts / "versions" / "ae1027a6acf_invoices.py"
        migration.write_text(MIGRATION.format(**parts))

    def upgrade(self) -> None:
        command.upgrade(self.config, "head")

    def check(self) -> None:
        command.check(self.config)

    def is_right(self) -> None:
        names = [name for _, name, *_ in master(self.path)]
        assert {"invoice", "ix_invoice", "alembic_version"}.issubset(names)
        with opened(self.path) as conn:
            found = conn.execute("SELECT version_num FROM alembic_version").fetchall()
        assert found == [("ae1027a6acf",)]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


FILTERS = {
    "include_name": "from chatstore.sql.host import include_name",
    "include_object": "from chatstore.sql.host import include_object",
}


@pytest.mark.parametrize("name", FILTERS)
def test_autogenerate_leaves_our_tables_alone(host: Host, name: str) -> None:
    host.upgrade()
    with SQLChatStore(host.path) as store:
        store.add_message("k", ChatMessage("x"))
    with pytest.raises(CommandError) as caught:
        host.check()
    # Without the filter, the next `alembic revision --autogenerate` drops the history.
    told = str(caught.value)
    for table in ("conversation", "message", "block", "alembic_version"):
        assert f"remove_table', Table('chatstore_{table}'" in told
    host.write(more=FILTERS[name], filter=f"{name}={name}")
    host.check()
    host.is_right()


@pytest.mark.parametrize("name", FILTERS)
def test_the_filter_hides_nothing_of_the_host(host: Host, name: str) -> None:
    host.upgrade()
    SQLChatStore(host.path).close()
    with opened(host.path) as conn:
        conn.execute("CREATE TABLE forgotten (id INTEGER)")
        conn.execute("DROP INDEX ix_invoice")
    missing = "\nsa.Table('chatstore_of_the_host', metadata, sa.Column('id', sa.Integer))"
    host.write(more=FILTERS[name] + missing, filter=f"{name}={name}")
    with pytest.raises(CommandError) as caught:
        host.check()
    told = str(caught.value)
    assert "remove_table', Table('forgotten'" in told
    assert "add_index', Index('ix_invoice'" in told
    assert "add_table', Table('chatstore_of_the_host'" in told
    assert told.count("remove_") == 1


def test_tables_of_a_newer_version_are_left_alone(host: Host) -> None:
    host.upgrade()
    with opened(host.path) as conn:
        conn.execute("CREATE TABLE chatstore_of_the_future (id INTEGER)")
    host.write(more=FILTERS["include_object"], filter="include_object=include_object")
    host.check()


def test_the_filters_answer() -> None:
    for ours in ("chatstore_message", "chatstore_alembic_version"):
        assert not include_name(ours, "table", {})
        assert not include_object(None, ours, "table", False, None)
    for other in ("alembic_version", "message", None):
        assert include_name(other, "table", {})
        assert include_object(None, other, "table", True, None)
    assert include_name("chatstore_message", "column", {})
    assert include_object(None, "chatstore_x", "table", True, object())
    assert include_object(None, "chatstore_x", "index", True, None)


def test_the_filters_bring_no_store() -> None:
    """A host's env.py pays for SQLAlchemy and Alembic anyway; the rest stays out."""
    program = (
        "import sys, chatstore.sql.host\n"
        "late = {'alembic', 'redis', 'psycopg'} & set(sys.modules)\n"
        "assert not late, late\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("place", ["before", "after", "inside"])
@pytest.mark.parametrize("there", ["fresh", "old"])
def test_a_store_opens_within_the_alembic_of_a_host(
    host: Host, tmp_path: Path, place: str, there: str
) -> None:
    """Alembic's own commands would end with KeyError: 'config' in all of these places."""
    path = tmp_path / "chat.db"
    if there == "old":
        load(FIRST, path)
    host.write(**{place: f"SQLChatStore({str(path)!r}).close()"})
    host.upgrade()
    host.is_right()
    assert version(path) == HEAD
    assert [name for _, name, *_ in master(path) if "invoice" in name] == []
    assert len(contents(path)) == (13 if there == "old" else 0)


def test_a_store_opens_in_the_database_that_a_host_migrates(host: Host) -> None:
    host.write(before=f"SQLChatStore({str(host.path)!r}).close()")
    host.upgrade()
    host.is_right()
    assert version(host.path) == HEAD
    with SQLChatStore(host.path) as store:
        store.add_message("k", ChatMessage("x"))
    command.downgrade(host.config, "base")
    with SQLChatStore(host.path) as store:
        assert store.count_messages("k") == 1
