"""The migrations lead to what models.py declares, and the revisions keep their form."""

import ast
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from chatstore.sql import schema
from chatstore.sql.models import Base
from chatstore.sql.schema import drift
from tests.migrations.conftest import Open
from tests.migrations.support import ROOT, load, master, opened

SCRIPTS = sorted((ROOT / "migrations" / "versions").glob("*.py"))


def test_the_constants_are_those_of_the_scripts() -> None:
    script = ScriptDirectory(str(schema.migrations()))
    assert script.get_heads() == [schema.HEAD]
    walked = [found.revision for found in script.walk_revisions()]
    assert tuple(reversed(walked)) == schema.REVISIONS
    assert set(schema.TABLES) == set(Base.metadata.tables)


def test_a_script_is_named_like_its_revision() -> None:
    assert tuple(path.stem for path in SCRIPTS) == schema.REVISIONS
    # Alembic's column for it has 32 characters.
    assert all(len(revision) <= 32 for revision in schema.REVISIONS)


def test_history_tells_what_each_brings() -> None:
    assert [step.revision for step in schema.history()] == list(schema.REVISIONS)
    assert all(len(step.summary) > 20 and "\n" not in step.summary for step in schema.history())


def test_migrations_lead_to_the_models(path: Path, open_: Open) -> None:
    """Alembic's comparison, with types and defaults."""
    schema.upgrade(open_(path))
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    with engine.connect() as conn:
        context = MigrationContext.configure(
            conn,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "version_table": schema.VERSION_TABLE,
            },
        )
        assert compare_metadata(context, Base.metadata) == []


def test_migrations_lead_to_the_statements_of_the_models(
    path: Path, open_: Open, tmp_path: Path
) -> None:
    """sqlite_master as create_all would have written it: more than Alembic compares."""
    schema.upgrade(open_(path))
    declared = tmp_path / "declared.db"
    engine = sa.create_engine(f"sqlite:///{declared}", poolclass=sa.NullPool)
    Base.metadata.create_all(engine)
    assert flat(path) == flat(declared)
    assert {name for name, _ in flat(path)} >= set(drift.declared())


def test_upgraded_files_are_as_new_ones(path: Path, open_: Open, released: Path) -> None:
    new = path.with_name("new.db")
    schema.upgrade(open_(new))
    schema.upgrade(open_(released))
    assert flat(released) == flat(new)
    assert schema.check(open_(released)) == []


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("DROP INDEX uq_chatstore_message_id", "uq_chatstore_message_id is missing"),
        (
            "DROP INDEX uq_chatstore_message_id; CREATE UNIQUE INDEX uq_chatstore_message_id "
            "ON chatstore_message (conversation_id, id)",
            "uq_chatstore_message_id lacks",
        ),
        ("DROP TABLE chatstore_block", "chatstore_block is missing"),
        (
            "ALTER TABLE chatstore_message ADD COLUMN mood TEXT",
            "chatstore_message has 'mood TEXT' besides",
        ),
        ("ALTER TABLE chatstore_message DROP COLUMN kind", "chatstore_message lacks 'kind TEXT'"),
    ],
)
def test_check_names_a_difference(path: Path, open_: Open, harm: str, told: str) -> None:
    schema.upgrade(open_(path))
    with opened(path) as conn:
        conn.executescript(harm)
    assert any(told in problem for problem in schema.check(open_(path)))


def test_check_names_an_older_schema(old: Path, open_: Open) -> None:
    assert schema.check(open_(old)) == [f"the schema is 0001_messages, not {schema.HEAD}"]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.stem))
def test_a_revision_keeps_the_form(path: Path) -> None:
    source = path.read_text("utf-8")
    tree = ast.parse(source)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for name in ("upgrade", "downgrade"):
        assert [argument.arg for argument in functions[name].args.args] == ["op"], name
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    # What the library is later must not change what a revision did; `alembic.op` is a global.
    assert imported <= {"typing", "sqlalchemy", "alembic.operations"}
    for commits in ("autocommit_block", "CONCURRENTLY", "COMMIT", ".commit(", "begin("):
        assert commits.lower() not in source.lower(), f"{commits} ends the one transaction"
    assert "batch_alter_table" not in source or "copy_from=" in source


def test_the_form_is_that_of_the_template() -> None:
    template = (ROOT / "migrations" / "script.py.mako").read_text("utf-8")
    assert 'def upgrade(op: "Operations") -> None:' in template
    assert 'def downgrade(op: "Operations") -> None:' in template
    assert "from alembic import op" not in template


def test_dumps_are_of_their_schema(path: Path, open_: Open, tmp_path: Path) -> None:
    """A dump that was edited by hand, or a revision that was edited after its release."""
    for revision in schema.REVISIONS:
        file = load(revision, tmp_path / f"{revision}.db")
        fresh = tmp_path / f"{revision}.new.db"
        schema.upgrade(open_(fresh), revision)
        assert flat(file) == flat(fresh)


def flat(path: Path) -> list[tuple[str, list[str]]]:
    """What is declared, without what SQLite adds."""
    return [
        (name, drift.normalised(sql))
        for _, name, _, sql in master(path)
        if sql and not name.startswith(("sqlite_", "chatstore_alembic"))
    ]
